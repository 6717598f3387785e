"""Short-time spectra: with one frame for each hop, in mel bands, and the lapped transform of the VAE's linear path."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from instructme.model.config import ModelError

EMPHASIS_START = 8
"""Coefficient from which on the latent lifts a coefficient k by sqrt(1 + k / EMPHASIS_START)."""


class Spectrum(nn.Module):
    """Complex STFT as real channels, with a sine window, and its inverse.

    Frame f is centred on the middle of samples [f * hop, (f + 1) * hop), so that T samples are ceil(T / hop) frames.

    Raises:
        ModelError: the window is not a whole number of hops, two at least.
    """

    window: Tensor

    def __init__(self, fft_samples: int, hop_samples: int) -> None:
        super().__init__()
        if hop_samples < 1 or fft_samples < 2 * hop_samples or fft_samples % 2 or (fft_samples - hop_samples) % 2:
            raise ModelError(
                f"vae.fft_samples {fft_samples} doesn't fit vae.hop_samples {hop_samples}: take twice the hop, both even"
            )
        self.fft_samples, self.hop_samples, self.channels = fft_samples, hop_samples, fft_samples + 2
        angles = (torch.arange(fft_samples) + 0.5) * (math.pi / fft_samples)
        self.register_buffer("window", angles.sin(), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Map (B, 1, T), T a multiple of the hop, to (B, 2 * bins, T / hop): real parts, then imaginary parts."""
        edge = (self.fft_samples - self.hop_samples) // 2
        padded = functional.pad(audio[:, 0], (edge, edge))
        bins = torch.stft(
            padded, self.fft_samples, self.hop_samples, window=self.window, center=False, normalized=True, return_complex=True
        )
        return torch.cat([bins.real, bins.imag], dim=1)

    def inverse(self, spectrum: Tensor) -> Tensor:
        """Map (B, 2 * bins, F) to (B, 1, F * hop)."""
        real, imaginary = spectrum.float().chunk(2, dim=1)
        audio = torch.istft(
            torch.complex(real, imaginary),
            self.fft_samples,
            self.hop_samples,
            window=self.window,
            center=False,
            normalized=True,
        )
        edge = (self.fft_samples - self.hop_samples) // 2
        return audio[:, None, edge : edge + spectrum.shape[2] * self.hop_samples]


def power(spectrum: Tensor) -> Tensor:
    """Square the magnitudes of a complex spectrum; a sum over pairs of real numbers is several times slower."""
    return spectrum.real.square() + spectrum.imag.square()


def mel_power(audio: Tensor, window: Tensor, hop_samples: int, filters: Tensor, pad_mode: str) -> Tensor:
    """Analyse (B, T) by centred frames as long as the window: powers in bands (B, frames, bands); filters (bins, bands)."""
    spectrum = torch.stft(audio, len(window), hop_samples, window=window, pad_mode=pad_mode, return_complex=True)
    return power(spectrum).transpose(1, 2) @ filters


def lapped_transform(hop_samples: int, channels: int) -> tuple[Tensor, Tensor]:
    """Make the matrices between a `Spectrum` of fft_samples = 2 * hop_samples and its lowest MDCT coefficients.

    Together they are a low pass at rate / 2 * channels / hop_samples, with no redundancy (Princen & Bradley, 1986). The
    coefficients of high frequencies are lifted: music's fall so steeply that the latent would hold them as noise otherwise.

    Returns:
        Analysis (channels, 2 * bins) and synthesis (2 * bins, channels).
    """
    size = 2 * hop_samples
    time = torch.arange(size, dtype=torch.float64) + 0.5 + hop_samples / 2
    frequency = torch.arange(channels, dtype=torch.float64) + 0.5
    basis = torch.cos(math.pi / hop_samples * frequency[:, None] * time) * math.sqrt(2 / hop_samples)
    bins = torch.fft.rfft(basis, norm="ortho")
    synthesis = torch.cat([bins.real, bins.imag], dim=1)
    emphasis = torch.sqrt((torch.arange(channels, dtype=torch.float64) + EMPHASIS_START) / EMPHASIS_START)[:, None]
    # A real spectrum's inner bins stand for two each.
    twice = torch.full((hop_samples + 1,), 2.0, dtype=torch.float64)
    twice[0] = twice[-1] = 1.0
    return (emphasis * synthesis * twice.repeat(2)).float(), (synthesis / emphasis).T.float()
