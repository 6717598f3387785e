"""Make dry parts sound produced, as on a record: speed, saturation, compression, equaliser and room. Sounds are (N, T)."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

_ENVELOPE_SAMPLES = 1024
_RESPONSES = 48


def produce(parts: Tensor, rate_hz: int, generator: torch.Generator) -> Tensor:
    """Draw a chain for each part and apply it. Each part keeps its RMS.

    Args:
        parts: (N, T) at `rate_hz`.
        rate_hz: rate of the samples.
        generator: on the device of the parts.
    """
    sounding = parts.abs().amax(dim=1) > 0
    if not bool(sounding.all()):
        produced = torch.zeros_like(parts)
        if bool(sounding.any()):
            produced[sounding] = produce(parts[sounding], rate_hz, generator)
        return produced
    before = parts.square().mean(dim=1, keepdim=True)
    some = _draw(parts, generator, 1.0, 1.0, share=0.3)
    # Up to 28 dB over the RMS: from a warm preamplifier to a metal guitar.
    parts = saturate(parts, 10 ** _draw(parts, generator, 0.0, 1.4, share=1.0) * some)
    parts = compress(parts, _draw(parts, generator, 0.2, 0.7, share=0.35))
    parts = filtered(parts, rate_hz, generator)
    after = parts.square().mean(dim=1, keepdim=True)
    return parts * (before / after.clamp(min=1e-12)).sqrt().clamp(max=4.0)


def _draw(parts: Tensor, generator: torch.Generator, low: float, high: float, *, share: float) -> Tensor:
    """Draw a number of low to high for a share of the parts, and 0 for the others: (N, 1)."""
    drawn = torch.rand(2, len(parts), 1, generator=generator, device=parts.device)
    return (low + (high - low) * drawn[0]) * (drawn[1] < share)


def saturate(parts: Tensor, drive: Tensor) -> Tensor:
    """Bend peaks as an overdriven amplifier does; `drive` (N, 1) multiplies the RMS, 0 leaves a part alone."""
    level = parts.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-6)
    driven = torch.tanh(parts / level * drive) / drive.clamp(min=1e-6) * level
    return torch.where(drive > 0, driven, parts)


def compress(parts: Tensor, amount: Tensor) -> Tensor:
    """Turn loud moments down; `amount` (N, 1) is 1 - 1 / ratio, 0 leaves a part alone. The threshold is the RMS."""
    if parts.shape[1] < _ENVELOPE_SAMPLES:
        return parts
    power = functional.avg_pool1d(parts.square()[:, None], _ENVELOPE_SAMPLES, _ENVELOPE_SAMPLES // 4, _ENVELOPE_SAMPLES // 2)
    threshold = parts.square().mean(dim=1, keepdim=True).clamp(min=1e-12)
    gain = (power[:, 0] / threshold).clamp(min=1.0) ** (-amount / 2)
    smooth = functional.interpolate(gain[:, None], size=parts.shape[1], mode="linear", align_corners=False)
    return parts * smooth[:, 0]


def filtered(parts: Tensor, rate_hz: int, generator: torch.Generator) -> Tensor:
    """Apply a random equaliser to most parts, and a random room to some."""
    rooms = room_responses(rate_hz, parts.device)
    count, length = parts.shape
    size = _fast_size(length + rooms.shape[1])
    curve = _equaliser(count, size // 2 + 1, generator, parts.device)
    which = torch.randint(len(rooms), (count,), generator=generator, device=parts.device)
    wet = 10 ** (_draw(parts, generator, -1.4, -0.3, share=1.0)) * (_draw(parts, generator, 1.0, 1.0, share=0.45))
    response = wet * rooms[which]
    response[:, 0] += 1.0
    spectrum = torch.fft.rfft(parts, size) * torch.fft.rfft(response, size) * curve
    sound: Tensor = torch.fft.irfft(spectrum, size)
    return sound[:, :length]


def _fast_size(least: int) -> int:
    """Find the smallest size 2 ** n * (4, 5 or 6) / 4 that is not below: fast to transform."""
    power = 1 << (least - 1).bit_length()
    return next(size for size in (power * 5 // 8, power * 3 // 4, power) if size >= least)


def _equaliser(count: int, bins: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Draw gains (count, bins) that are smooth over the logarithm of the frequency, up to 9 dB."""
    points = 9
    gains_db = 4.5 * torch.randn(count, points, generator=generator, device=device).clamp(-2, 2)
    gains_db *= _draw(gains_db, generator, 0.3, 1.0, share=0.75)
    place = torch.arange(1, bins + 1, device=device).log2() / torch.tensor(float(bins), device=device).log2()
    place = ((place - 0.4) / 0.6).clamp(0, 1) * (points - 1)
    low = place.floor().long().clamp(max=points - 2)
    share = place - low
    return 10 ** ((gains_db[:, low] * (1 - share) + gains_db[:, low + 1] * share) / 20)


@cache
def room_responses(rate_hz: int, device: torch.device | str = "cpu") -> Tensor:
    """Make 48 impulse responses of rooms, always the same: noise that decays in 0.1 to 0.5 s after a gap. RMS sum is 1."""
    noise = torch.randn(_RESPONSES, rate_hz // 2, generator=torch.Generator().manual_seed(7))
    seconds = torch.arange(rate_hz // 2) / rate_hz
    decay_s = torch.linspace(0.1, 0.5, _RESPONSES)[:, None]
    gap_s = torch.linspace(0.0, 0.03, 7).repeat(7)[:_RESPONSES, None]
    response = noise * 10 ** (-3 * seconds / decay_s) * (seconds >= gap_s)
    smooth = functional.avg_pool1d(response[:, None], 3, 1, 1)[:, 0]
    return (smooth / smooth.square().sum(dim=1, keepdim=True).sqrt()).to(device)
