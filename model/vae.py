"""The variational auto-encoder between waveform and latent (paper: eq. 11 and Table 7)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from instructme.model.config import ModelError, Preset, VaeConfig
from instructme.model.discriminator import KINDS, Discriminators
from instructme.model.residual import SLOPE, Down, MultiReceptive, Up
from instructme.model.spectrum import Spectrum, lapped_transform


class Posterior(NamedTuple):
    """Diagonal Gaussian over the unscaled latent, mean and log-variance both (B, C, F)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Draw a latent with standard normal `noise` of the mean's shape."""
        return self.mean + noise * torch.exp(0.5 * self.log_variance)


class Tower(nn.Module):
    """One half of the auto-encoder: a convolution, levels that resample, and another convolution."""

    def __init__(
        self,
        config: VaeConfig,
        resample: type[Down] | type[Up],
        channels: Sequence[int],
        strides: Sequence[int],
        kernel: int,
    ) -> None:
        """Make the layers; `channels` are those that enter, those of each level, and those that leave."""
        super().__init__()
        bias, (enter, *widths, leave) = config.bias, channels
        self.first = nn.Conv1d(enter, widths[0], kernel, padding="same", bias=bias)
        levels: list[nn.Module] = []
        for before, width, stride in zip((widths[0], *widths), widths, strides, strict=False):
            levels += [resample(before, width, stride, bias), MultiReceptive(width, config.kernels, config.dilations, bias)]
        self.levels = nn.Sequential(*levels)
        self.last = nn.Conv1d(widths[-1], leave, kernel, padding="same", bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels[0], T) to (B, channels[-1], T'); the strides say how T' follows from T."""
        result: Tensor = self.last(functional.leaky_relu(self.levels(self.first(x)), SLOPE))
        return result


class Vae(nn.Module):
    """Turn waveforms into latents of C channels, one frame for each `hop_samples`, and back.

    Raises:
        ModelError: sizes that don't fit each other.
    """

    latent_mean: Tensor
    latent_scale: Tensor

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.hop_samples = math.prod(config.strides) * config.hop_samples
        self.spectrum = Spectrum(config.fft_samples, config.hop_samples) if config.transform == "stft" else None
        channels, kernel = (self.spectrum.channels, 3) if self.spectrum else (1, 7)
        encoded, latents = (channels, *config.encoder_channels, 2 * config.latent_channels), config.latent_channels
        self.encoder = Tower(config, Down, encoded, config.strides, kernel)
        self.decoder = Tower(config, Up, (latents, *config.decoder_channels, channels), config.strides[::-1], kernel)
        self.log_variance = nn.Parameter(torch.full((config.latent_channels, 1), config.log_variance))
        self.analysis: nn.Conv1d | None = None
        self.synthesis: nn.Conv1d | None = None
        if config.linear_path:
            self._add_linear_path(channels)
        self.register_buffer("latent_mean", torch.zeros(config.latent_channels))
        self.register_buffer("latent_scale", torch.ones(()))

    def _add_linear_path(self, channels: int) -> None:
        """Start as a low pass with no redundancy; the networks' last layers start at zero and learn the rest."""
        latents = self.config.latent_channels
        self.analysis = nn.Conv1d(channels, latents, 1, bias=False)
        self.synthesis = nn.Conv1d(latents, channels, 1, bias=False)
        analysis, synthesis = lapped_transform(self.config.hop_samples, latents)
        with torch.no_grad():
            self.analysis.weight.copy_(analysis[..., None])
            self.synthesis.weight.copy_(synthesis[..., None])
            self.encoder.last.weight.zero_()
            self.decoder.last.weight.zero_()

    def forward(self, audio: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Posterior]:
        """Encode (B, 1, T) and decode the mean, or with `noise` (B, C, F) a draw: the audio again, and its posterior."""
        posterior = self.encode(audio)
        z = posterior.mean if noise is None else posterior.sample(noise)
        return self.decode(z, audio.shape[-1]), posterior

    def encode(self, audio: Tensor) -> Posterior:
        """Encode (B, 1, T), T >= 1, to the posterior of ceil(T / hop_samples) unscaled frames."""
        frames = -(-audio.shape[-1] // self.hop_samples)
        x = functional.pad(audio, (0, frames * self.hop_samples - audio.shape[-1]))
        x = x if self.spectrum is None else self.spectrum(x)
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        if self.analysis is not None:
            mean = mean + self.analysis(x)
        return Posterior(mean, (log_variance + self.log_variance).clamp(-30.0, 20.0))

    def decode(self, z: Tensor, length_samples: int) -> Tensor:
        """Decode the unscaled latent (B, C, F) to (B, 1, length_samples), at most F * hop_samples.

        Raises:
            ModelError: the latent is shorter than that.
        """
        if length_samples > z.shape[-1] * self.hop_samples:
            raise ModelError(
                f"{z.shape[-1]} latent frames of {self.hop_samples} samples can't make {length_samples} samples: "
                "encode the whole clip"
            )
        x: Tensor = self.decoder(z)
        if self.synthesis is not None:
            x = x + self.synthesis(z)
        return (x if self.spectrum is None else self.spectrum.inverse(x))[..., :length_samples]

    def to_latent(self, audio: Tensor) -> Tensor:
        """Encode (B, 1, T) to the posterior's mean (B, C, F), normalised to zero mean and unit variance."""
        return (self.encode(audio).mean - self.latent_mean[:, None]) / self.latent_scale

    def from_latent(self, latent: Tensor, length_samples: int) -> Tensor:
        """Decode what `to_latent` made, (B, C, F), to (B, 1, length_samples)."""
        return self.decode(latent * self.latent_scale + self.latent_mean[:, None], length_samples)

    @torch.no_grad()
    def fit_latent(self, z: Tensor) -> None:
        """Store mean and scale of unscaled latents (N, C, F); channels keep their relative size.

        Without biases the mean stays 0, so that silence is 0 in the latent, too.
        """
        if self.config.bias:
            self.latent_mean.copy_(z.mean(dim=(0, 2)))
        self.latent_scale.copy_((z - self.latent_mean[:, None]).square().mean().sqrt().clamp_min(1e-8))


def parameter_counts(preset: Preset) -> dict[str, int]:
    """Count the parameters of the VAE's parts, without memory for them (paper: 69.8 M together)."""
    with torch.device("meta"):
        vae, critics = Vae(preset.vae), Discriminators(preset.vae.discriminators)

    def count(*modules: nn.Module | None) -> int:
        return sum(each.numel() for module in modules if module is not None for each in module.parameters())

    counts = {"encoder": count(vae.encoder) + vae.log_variance.numel(), "decoder": count(vae.decoder)}
    if linear := count(vae.analysis, vae.synthesis):
        counts["linear path"] = linear
    return counts | {name: count(each) for name, each in critics.kinds.items()}


def _check(config: VaeConfig) -> None:
    """Refuse sizes that don't fit each other."""
    if len(config.strides) != len(config.encoder_channels) or len(config.strides) != len(config.decoder_channels):
        raise ModelError("vae.strides, vae.encoder_channels and vae.decoder_channels need equal lengths: one of each for a level")
    if unknown := sorted(set(config.discriminators) - set(KINDS)):
        raise ModelError(f"vae.discriminators can't be {unknown[0]!r}: choose from {', '.join(KINDS)}")
    if config.transform == "waveform" and config.hop_samples != 1:
        raise ModelError("vae.hop_samples counts samples of an STFT's hop: make it 1 or set vae.transform=stft")
    if config.linear_path and (
        config.transform != "stft"
        or config.fft_samples != 2 * config.hop_samples
        or max(config.strides, default=1) > 1
        or config.latent_channels > config.hop_samples
    ):
        raise ModelError(
            "vae.linear_path needs vae.transform=stft, vae.fft_samples twice vae.hop_samples, strides of 1 and "
            "no more latent channels than hop_samples: change them or set vae.linear_path=false"
        )
