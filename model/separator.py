"""Separate a named instrument from a mix, by a mask of its STFT.

Two networks make the mask. `frames` is a stack of dilated convolutions over frames that makes a real mask: a laptop trains it.
`bands` is a band-split transformer that makes a complex mask, as in Band-Split RNN (Luo and Yu, 2023) and BS-RoFormer (Lu et
al., 2024): it needs a GPU. In both, the first layers do not know what is asked for, so that several questions about one mix
share them.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from instructme.model.config import SeparatorConfig

_QUIET = 1e-5


class SeparatorMasks(NamedTuple):
    """Masks (B, Q, F, T) of a spectrum, and logits (B, Q, blocks) of the presence of each instrument in blocks of frames."""

    mask: Tensor
    presence: Tensor


class Separator(nn.Module):
    """Estimate named parts of a mix, and whether they sound at all.

    Args:
        config: sizes of the network, and the names that its table of instruments knows.
    """

    def __init__(self, config: SeparatorConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window", torch.hann_window(config.fft_samples), persistent=False)
        self.table = nn.Embedding(len(config.instruments), config.condition_width)
        self.words = nn.Linear(config.text_width, config.condition_width)
        self.window: Tensor
        self.text_mean: Tensor
        self.text_deviation: Tensor
        self.register_buffer("text_mean", torch.zeros(config.text_width))
        self.register_buffer("text_deviation", torch.ones(config.text_width))
        self.mask: nn.Module = _FrameMask(config) if config.network == "frames" else _BandMask(config)

    def condition(self, instruments: Tensor | None = None, text: Tensor | None = None) -> Tensor:
        """Turn what is asked for into vectors (..., condition_width).

        Args:
            instruments: indices into the table of names; below 0 where the words alone count.
            text: mean token vectors (..., text_width) of the words; NaN where the name alone counts.
        """
        total = torch.zeros((), device=self.text_mean.device)
        if instruments is not None:
            known = (instruments >= 0)[..., None]
            total = total + torch.where(known, self.table(instruments.clamp(min=0)), 0.0)
        if text is not None:
            said = ~torch.isnan(text[..., :1])
            vector = (torch.nan_to_num(text) - self.text_mean) / self.text_deviation
            total = total + torch.where(said, self.words(vector), 0.0)
        return total

    def forward(self, spectrum: Tensor, instruments: Tensor, text: Tensor | None = None) -> SeparatorMasks:
        """Estimate masks of parts from the spectrum (B, F, T) of mixes of any level, made by `stft`.

        Args:
            spectrum: of B mixes.
            instruments: (B, Q) what is asked about each mix; see `condition`.
            text: (B, Q, text_width) the same in words; see `condition`.
        """
        level = spectrum.abs().square().mean(dim=(1, 2), keepdim=True).sqrt() + _QUIET
        made = self.mask(spectrum / level, self.condition(instruments, text))
        return SeparatorMasks(*(torch.unflatten(each, 0, (-1, instruments.shape[1])) for each in made))

    def stft(self, sound: Tensor) -> Tensor:
        """Transform (..., T) to (..., F, frames)."""
        size, hop = self.config.fft_samples, self.config.hop_samples
        flat = sound.float().reshape(-1, sound.shape[-1])
        spectrum = torch.stft(flat, size, hop, window=self.window, return_complex=True, pad_mode="constant")
        return spectrum.view(*sound.shape[:-1], *spectrum.shape[1:])

    def istft(self, spectra: Tensor, length: int) -> Tensor:
        """Transform (..., F, frames) back to (..., length)."""
        size, hop = self.config.fft_samples, self.config.hop_samples
        sound = torch.istft(spectra.flatten(0, -3), size, hop, window=self.window, length=length)
        return sound.view(*spectra.shape[:-2], length)


class _FrameMask(nn.Module):
    """Magnitudes in, a real mask of 0 to 1 out, by residual dilated convolutions along the frames."""

    def __init__(self, config: SeparatorConfig) -> None:
        super().__init__()
        bins, width = config.fft_samples // 2 + 1, config.width
        self.start = nn.Conv1d(bins, width, 1)
        self.encoder = nn.ModuleList(_FrameBlock(width, 2**layer) for layer in range(config.encoder_layers))
        self.decoder = nn.ModuleList(
            _FrameBlock(width, 2**layer, config.condition_width) for layer in range(config.decoder_layers)
        )
        self.end = nn.Conv1d(width, bins, 1)
        self.presence = nn.Conv1d(width, 1, 1)

    def forward(self, spectrum: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Make masks (B * Q, F, T) and presence (B * Q, T) from spectra of level 1 and conditions (B, Q, width)."""
        x = _convolved((spectrum.abs() + 1e-3).log().mT / 2 + 1, self.start)
        x = _frame_norm(_asked(self.encoder, self.decoder, x, conditions))
        return _convolved(x, self.end).float().sigmoid().mT, _convolved(x, self.presence)[..., 0]


def _asked(encoder: nn.ModuleList, decoder: nn.ModuleList, x: Tensor, conditions: Tensor) -> Tensor:
    """Run the encoder once for each mix (B, ...), and the decoder for each of its questions (B, Q, width): (B * Q, ...)."""
    for layer in encoder:
        x = layer(x)
    x, asked = x.repeat_interleave(conditions.shape[1], dim=0), conditions.flatten(0, 1)
    for layer in decoder:
        x = layer(x, asked)
    return x


class _FrameBlock(nn.Module):
    """A dilated convolution and a linear map of (B, T, C), with a condition that scales and shifts their input."""

    def __init__(self, width: int, dilation: int, condition_width: int = 0) -> None:
        super().__init__()
        self.wide = nn.Conv1d(width, width, 3, dilation=dilation)
        self.out = nn.Conv1d(width, width, 1)
        self.film = nn.Linear(condition_width, 2 * width) if condition_width else None

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        film = None if self.film is None or condition is None else self.film(condition)[:, None]
        normed = _conditioned(_frame_norm(x), film)
        return x + _convolved(functional.silu(_convolved(normed, self.wide)), self.out)


def _convolved(x: Tensor, layer: nn.Conv1d) -> Tensor:
    """Convolve (B, T, C) along the frames by a matrix product, which a CPU trains with twice as fast as with a convolution."""
    size, dilation, frames = layer.kernel_size[0], layer.dilation[0], x.shape[1]
    if size > 1:
        padded = functional.pad(x, (0, 0, *[dilation * (size // 2)] * 2))
        x = torch.cat([padded[:, step * dilation : step * dilation + frames] for step in range(size)], dim=-1)
    return functional.linear(x, layer.weight.mT.flatten(1), layer.bias)


def _frame_norm(x: Tensor) -> Tensor:
    """Scale each frame of (B, T, C) to a mean square of 1."""
    return x * (x.square().mean(dim=-1, keepdim=True) + _QUIET).rsqrt()


class _BandMask(nn.Module):
    """Tokens of a band and a few frames, attention along time and across bands, a complex mask out."""

    def __init__(self, config: SeparatorConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.split = _BandLinear(config, 3, width)
        self.place = nn.Parameter(torch.randn(sum(config.band_counts), width) * 0.02)
        self.encoder = nn.ModuleList(_Layer(width, config.head_channels) for _ in range(config.encoder_layers))
        self.decoder = nn.ModuleList(
            _Layer(width, config.head_channels, config.condition_width) for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, 2 * width)
        self.join = _BandLinear(config, 2, width, out=True)
        self.presence = nn.Linear(width, 1)

    def forward(self, spectrum: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Make masks (B * Q, F, T) and presence (B * Q, blocks) from spectra of level 1 and conditions (B, Q, width)."""
        tokens = self.split(_features(spectrum)) + self.place
        tokens = self.norm(_asked(self.encoder, self.decoder, tokens, conditions))
        presence = self.presence(tokens.mean(dim=2))[..., 0]
        value, gate = self.hidden(tokens).chunk(2, dim=-1)
        mask = torch.view_as_complex(self.join(value * functional.silu(gate)).float().contiguous())
        return mask[..., : spectrum.shape[-1]], presence


def _features(spectrum: Tensor) -> Tensor:
    """Compress a spectrum: real and imaginary part times magnitude ** -0.5, and the logarithm of the magnitude."""
    magnitude = spectrum.abs().clamp(min=1e-4)
    root = spectrum / magnitude.sqrt()
    return torch.stack([root.real, root.imag, magnitude.log() / 3 + 1], dim=-1)


class _BandLinear(nn.Module):
    """Map bins to tokens, a matrix for each band, or tokens to bins. The highest bin follows its neighbour."""

    def __init__(self, config: SeparatorConfig, values: int, width: int, *, out: bool = False) -> None:
        super().__init__()
        self.values, self.frames, self.out = values, config.block_frames, out
        self.counts, self.bins = config.band_counts, config.band_bins
        sizes = [bins * self.frames * values for bins in self.bins]
        shapes = [(count, *((width, size) if out else (size, width))) for count, size in zip(self.counts, sizes, strict=True)]
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(shape) * shape[1] ** -0.5) for shape in shapes)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(shape[0], shape[2])) for shape in shapes)

    def forward(self, x: Tensor) -> Tensor:
        return self._to_bins(x) if self.out else self._to_tokens(x)

    def _to_tokens(self, bins: Tensor) -> Tensor:
        """(B, F, T, values) -> (B, blocks, bands, width)."""
        missing = -bins.shape[2] % self.frames
        blocks = torch.unflatten(functional.pad(bins, (0, 0, 0, missing)), 2, (-1, self.frames)).permute(0, 2, 1, 3, 4)
        tokens, first = [], 0
        for count, size, weight, bias in zip(self.counts, self.bins, self.weights, self.biases, strict=True):
            group = torch.unflatten(blocks[:, :, first : first + count * size], 2, (count, size)).flatten(3)
            tokens.append(torch.einsum("btki,kio->btko", group, weight) + bias)
            first += count * size
        return torch.cat(tokens, dim=2)

    def _to_bins(self, tokens: Tensor) -> Tensor:
        """(B, blocks, bands, width) -> (B, F, T, values)."""
        bins, first = [], 0
        for count, size, weight, bias in zip(self.counts, self.bins, self.weights, self.biases, strict=True):
            group = torch.einsum("btki,kio->btko", tokens[:, :, first : first + count], weight) + bias
            bins.append(torch.unflatten(group, 3, (size, self.frames, self.values)).flatten(2, 3))
            first += count
        whole = torch.cat([*bins, bins[-1][:, :, -1:]], dim=2)
        return whole.permute(0, 2, 1, 3, 4).flatten(2, 3)


class _Layer(nn.Module):
    """Attention along time, then across bands, each with a gated network after it; a condition scales and shifts their inputs."""

    def __init__(self, width: int, head_channels: int, condition_width: int = 0) -> None:
        super().__init__()
        self.time, self.bands = _Attention(width, head_channels, rotate=True), _Attention(width, head_channels)
        self.after_time, self.after_bands = _Gated(width), _Gated(width)
        self.film = nn.Linear(condition_width, 8 * width) if condition_width else None
        if self.film is not None:
            nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, blocks, bands, width) -> the same."""
        film = [None] * 4 if self.film is None or condition is None else self.film(condition)[:, None, None].chunk(4, dim=-1)
        x = x + self.time(x.transpose(1, 2), film[0]).transpose(1, 2)
        x = x + self.after_time(x, film[1])
        x = x + self.bands(x, film[2])
        last: Tensor = self.after_bands(x, film[3])
        return x + last


def _conditioned(x: Tensor, film: Tensor | None) -> Tensor:
    if film is None:
        return x
    scale, shift = film.chunk(2, dim=-1)
    return x * (1 + scale) + shift


class _Attention(nn.Module):
    """Self-attention along the third axis of (B, M, N, width)."""

    def __init__(self, width: int, head_channels: int, *, rotate: bool = False) -> None:
        super().__init__()
        self.heads, self.rotate = width // head_channels, rotate
        self.norm = nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, film: Tensor | None = None) -> Tensor:
        batch, rows = x.shape[:2]
        qkv = torch.unflatten(self.qkv(_conditioned(self.norm(x), film)).flatten(0, 1), -1, (3, self.heads, -1))
        query, key, value = (each.transpose(1, 2) for each in qkv.unbind(2))
        if self.rotate:
            query, key = _rotated(query), _rotated(key)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        joined: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return joined.view(batch, rows, *joined.shape[1:])


def _rotated(x: Tensor) -> Tensor:
    """Rotate half of the channels of (..., N, channels) by rotary position embedding (Su et al., 2021)."""
    count, part = x.shape[-2], x.shape[-1] // 4
    speed = 1000.0 ** -(torch.arange(part, device=x.device) / part)
    angle = torch.arange(count, device=x.device)[:, None] * speed
    cosine, sine = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second, rest = x[..., :part], x[..., part : 2 * part], x[..., 2 * part :]
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine, rest], dim=-1)


class _Gated(nn.Module):
    """Feed-forward network with a gate (SwiGLU, Shazeer 2020)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, film: Tensor | None = None) -> Tensor:
        value, gate = self.up(_conditioned(self.norm(x), film)).chunk(2, dim=-1)
        out: Tensor = self.down(value * functional.silu(gate))
        return out
