"""Ratio masks: carry an edit over to sound that is taken from the source instead of from the model."""

from collections.abc import Callable

import torch
import torch.nn.functional as functional
from torch import Tensor

WINDOW_SAMPLES, HOP_SAMPLES = 2048, 512
KEPT = 0.5
"""Share of the source's magnitude from which on a bin counts as kept."""
_WINDOW_S = WINDOW_SAMPLES / 24000
_SMOOTHED = (5, 3)
"""Bins and frames over which magnitudes are averaged."""
_TINY = 1e-7


def preserve(source: Tensor, kept: Tensor) -> Tensor:
    """Take each time-frequency bin from the source where the edit keeps over half of its magnitude, else from the edit.

    Bins from the source are scaled by the smoothed ratio of magnitudes, 1 at most. Both are (B, T) at the model's rate.
    """
    return _by_bins(lambda old, new: torch.where(ratio(new, old) > KEPT, ratio(new, old) * old, new), source, kept)


def beyond(source: Tensor, edit: Tensor) -> Tensor:
    """Find what an edit has beyond its source, both (B, T): each bin less the share that the source's magnitude explains."""
    return _by_bins(lambda old, new: (1 - ratio(old, new)) * new, source, edit)


def wiener(source: Tensor, kept: Tensor, removed: Tensor) -> Tensor:
    """Share the source (B, T) between estimates of its two parts by their powers, bin by bin; give the kept one's share."""
    return _by_bins(lambda old, ours, theirs: _share(ours, theirs) * old, source, kept, removed)


def consistent(source: Tensor, kept: Tensor, removed: Tensor) -> Tensor:
    """Correct the kept part (B, T) by its share of what both parts together lack of the source (B, T).

    Mixture consistency, bin by bin by powers: S. Wisdom et al., Differentiable Consistency Constraints for Improved Deep Speech
    Enhancement, 2019.
    """
    return _by_bins(lambda old, ours, theirs: ours + _share(ours, theirs) * (old - ours - theirs), source, kept, removed)


def _share(ours: Tensor, theirs: Tensor) -> Tensor:
    """Compute whose power a bin is, 0 to 1."""
    power = ours.abs() ** 2 + _TINY**2
    return power / (power + theirs.abs() ** 2 + _TINY**2)


def follow(unheard: Tensor, heard: Tensor, kept: Tensor, rate_hz: int, heard_hz: float) -> Tensor:
    """Scale what the model didn't hear of a source by what it kept of what it heard, bin by bin.

    Above `heard_hz` there is nothing to compare: what was kept of the octave below it counts.

    Args:
        unheard: (channels, T) each channel less `heard`.
        heard: (1, T) what the model heard.
        kept: (1, T) what it kept of that, without anything new.
        rate_hz: rate of all three; windows last as long as those of 2048 samples at 24 kHz.
        heard_hz: the model's Nyquist frequency.
    """
    size = 4 * max(16, round(_WINDOW_S * rate_hz / 4))
    old, new = _stft(heard, size), _stft(kept, size)
    share = ratio(new, old)
    top = round(0.95 * heard_hz / rate_hz * size)
    if top < share.shape[-2]:
        octave = slice(top // 2, top)
        share[:, top:] = ratio(new[:, octave].abs().mean(1, True), old[:, octave].abs().mean(1, True))
    return _inverse(share * _stft(unheard, size), size, unheard.shape[-1])


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Smooth the magnitudes of two spectrograms (B, bins, frames) and divide them: 1 at most, and where both are silent."""
    return ((_smooth(part.abs()) + _TINY) / (_smooth(whole.abs()) + _TINY)).clamp(max=1)


def _smooth(magnitudes: Tensor) -> Tensor:
    padding = (_SMOOTHED[0] // 2, _SMOOTHED[1] // 2)
    return functional.avg_pool2d(magnitudes, _SMOOTHED, 1, padding, count_include_pad=False)


def _by_bins(change: Callable[..., Tensor], *sounds: Tensor) -> Tensor:
    return _inverse(change(*(_stft(sound, WINDOW_SAMPLES) for sound in sounds)), WINDOW_SAMPLES, sounds[0].shape[-1])


def _stft(sound: Tensor, size: int) -> Tensor:
    hop = size * HOP_SAMPLES // WINDOW_SAMPLES
    window = torch.hann_window(size, device=sound.device)
    return torch.stft(sound, size, hop, window=window, pad_mode="constant", return_complex=True)


def _inverse(spectrogram: Tensor, size: int, length: int) -> Tensor:
    hop = size * HOP_SAMPLES // WINDOW_SAMPLES
    return torch.istft(spectrogram, size, hop, window=torch.hann_window(size, device=spectrogram.device), length=length)
