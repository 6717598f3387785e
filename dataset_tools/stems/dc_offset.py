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
    slow = [_slow(*channel) for channel in zip(means, power, strict=True)]
    if not np.any(slow):
        return None
    middles = (np.arange(means.shape[1]) + 0.5) * frame
    for start, block in samples.blocks():
        at = np.arange(start, start + len(block))
        offsets = np.stack([np.interp(at, middles, channel) for channel in slow], axis=1)
        samples.put(start, block - offsets.astype(np.float32).reshape(block.shape))
    drifts = bool(np.ptp(slow, axis=1).any())
    return "an offset that drifts" if drifts else f"a constant offset of {max((each[0] for each in slow), key=abs):.3f}"


def _frames(samples: Stored, frame: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Measure the means of frames of so many samples, (channels, frames), and the power of each channel."""
    means, energy = [], np.zeros(samples.channels)
    for _, block in samples.blocks(100 * frame):
        channels = block.reshape(len(block), -1).T
        whole = len(block) // frame * frame
        means.append([channel[:whole].reshape(-1, frame).mean(axis=1, dtype=np.float64) for channel in channels])
        energy += [np.square(channel, dtype=np.float64).sum() for channel in channels]
    return np.concatenate(means, axis=1), energy / len(samples)


def _slow(means: npt.NDArray[np.float64], power: float) -> npt.NDArray[np.float64]:
    """Find the offset of a channel at each of its frames: constant, or their means where these drift over what sounds, or 0."""
    low, offset, high = np.percentile(means, [5, 50, 95])
    if high - low <= _SPREAD * abs(offset):
        return np.full_like(means, offset if abs(offset) >= FLOOR else 0)
    return means if np.mean(means**2) > max(_DRIFT * power, FLOOR**2) else np.zeros_like(means)
