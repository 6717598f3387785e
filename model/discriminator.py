"""Discriminators of real and decoded waveforms: multi-period, and multi-band over complex spectra."""

from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from instructme.model.residual import SLOPE

PERIODS = (2, 3, 5, 7, 11)
BANDS = ((0.0, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))
"""Of a spectrum's bins, as shares of half the sample rate (Descript audio codec, arXiv 2306.06546, Sec. 3.4)."""
FFT_SAMPLES = (2048, 1024, 512)

Judgement = tuple[Tensor, list[Tensor]]
"""Scores, high where it believes the audio is real, and the feature maps of the layers before them."""


class Period(nn.Module):
    """Judge a waveform folded into rows of `period` samples (HiFi-GAN, arXiv 2010.05646, Sec. 2.3)."""

    def __init__(self, period: int, channels: tuple[int, ...] = (32, 128, 512, 1024, 1024)) -> None:
        super().__init__()
        self.period = period
        strides = [3] * (len(channels) - 1) + [1]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(before, after, (5, 1), (stride, 1), (2, 0)))
            for (before, after), stride in zip(pairwise((1, *channels)), strides, strict=True)
        )
        self.last = weight_norm(nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, audio: Tensor) -> Judgement:
        """Judge (B, 1, T)."""
        padded = functional.pad(audio, (0, -audio.shape[-1] % self.period))
        x = padded.reshape(len(audio), 1, -1, self.period)
        maps = _maps(self.layers, x)
        return self.last(maps[-1]), maps


class Band(nn.Module):
    """Judge bands of a complex spectrum, each by layers of its own (Descript audio codec)."""

    def __init__(self, fft_samples: int, channels: int = 32) -> None:
        super().__init__()
        self.fft_samples = fft_samples
        self.register_buffer("window", torch.hann_window(fft_samples), persistent=False)
        bins = fft_samples // 2 + 1
        self.edges = [(int(low * bins), int(high * bins)) for low, high in BANDS]
        self.bands = nn.ModuleList(_band_layers(channels) for _ in BANDS)
        self.last = weight_norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, audio: Tensor) -> Judgement:
        """Judge (B, 1, T)."""
        window: Tensor = self.window  # type: ignore[assignment]
        padded = functional.pad(audio[:, 0], (0, max(0, self.fft_samples - audio.shape[-1])))
        bins = torch.stft(padded, self.fft_samples, self.fft_samples // 4, window=window, return_complex=True)
        x = torch.stack([bins.real, bins.imag], dim=1).transpose(2, 3)
        maps = [_maps(layers, x[..., low:high]) for (low, high), layers in zip(self.edges, self.bands, strict=True)]
        return self.last(torch.cat([each[-1] for each in maps], dim=3)), list(chain(*maps))


class Discriminators(nn.Module):
    """Ask all discriminators of the configured kinds: `period` and `band`."""

    def __init__(self, kinds: Sequence[str]) -> None:
        super().__init__()
        self.kinds = nn.ModuleDict({name: nn.ModuleList(KINDS[name]()) for name in kinds})

    def forward(self, audio: Tensor) -> list[Judgement]:
        """Judge (B, 1, T)."""
        return [discriminator(audio) for each in self.kinds.values() for discriminator in each]  # type: ignore[attr-defined]


KINDS: dict[str, Callable[[], list[nn.Module]]] = {
    "period": lambda: [Period(period) for period in PERIODS],
    "band": lambda: [Band(size) for size in FFT_SAMPLES],
}


def _band_layers(channels: int) -> nn.ModuleList:
    """Five layers, three of which halve the frequencies."""
    wide = zip((2, channels, channels, channels), (1, 2, 2, 2), strict=True)
    layers = [weight_norm(nn.Conv2d(before, channels, (3, 9), (1, stride), (1, 4))) for before, stride in wide]
    return nn.ModuleList([*layers, weight_norm(nn.Conv2d(channels, channels, 3, padding=1))])


def _maps(layers: Any, x: Tensor) -> list[Tensor]:
    """Give the feature map of each layer."""
    maps = []
    for layer in layers:
        x = functional.leaky_relu(layer(x), SLOPE)
        maps.append(x)
    return maps
