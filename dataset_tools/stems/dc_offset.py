"""Remove constant and drifting offsets from a signal. They would count as sound."""

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.stored import Stored

FLOOR = 1e-3
"""Constant offset from which on it is taken off (-60 dBFS)."""
_SPREAD = 0.5
"""An offset is constant if the means of nearly all frames lie within so much of it; asymmetric waves end where their notes do."""
_DRIFT = 0.5
"""Share of a stem's power under 10 Hz that no music has."""


def remove(samples: Stored, rate_hz: int) -> str | None:
    """Remove the offset of each channel and describe it; None if there is none.

    A signal shorter than a second stays as it is: its mean may come from an incomplete wave.
    """
    if len(samples) < rate_hz:
        return None
    frame = rate_hz // 10
    means, power = _frames(samples, frame)
    drifting = [_drifts(*channel) for channel in zip(means, power, strict=True)]
    offsets = [_offset(channel) for channel in means]
    if not any(drifting) and not any(offsets):
        return None
    middles = (np.arange(means.shape[1]) + 0.5) * frame
    for start, block in samples.blocks():
        at = np.arange(start, start + len(block))
        slow = [
            np.interp(at, middles, channel) if drifts else np.full(len(at), offset)
            for channel, drifts, offset in zip(means, drifting, offsets, strict=True)
        ]
        samples.put(start, block - np.stack(slow, axis=1).astype(np.float32).reshape(block.shape))
    return "an offset that drifts" if any(drifting) else f"a constant offset of {max(offsets, key=abs):.3f}"


def _frames(samples: Stored, frame: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Measure the means of frames of so many samples, (channels, frames), and the power of each channel."""
    means, energy = [], np.zeros(samples.channels)
    for _, block in samples.blocks(100 * frame):
        channels = block.reshape(len(block), -1).T
        whole = len(block) // frame * frame
        means.append([channel[:whole].reshape(-1, frame).mean(axis=1, dtype=np.float64) for channel in channels])
        energy += [np.square(channel, dtype=np.float64).sum() for channel in channels]
    return np.concatenate(means, axis=1), energy / len(samples)


def _drifts(means: npt.NDArray[np.float64], power: float) -> bool:
    """Tell whether the means of a channel's frames are an offset that drifts and is more than what sounds."""
    low, offset, high = np.percentile(means, [5, 50, 95])
    return bool(np.mean(means**2) > max(_DRIFT * power, FLOOR**2) and high - low > _SPREAD * abs(offset))


def _offset(means: npt.NDArray[np.float64]) -> float:
    """Find the constant offset of a channel by the means of its frames; 0 where it is small or not constant."""
    low, offset, high = np.percentile(means, [5, 50, 95])
    return 0.0 if abs(offset) < FLOOR or high - low > _SPREAD * abs(offset) else float(offset)
