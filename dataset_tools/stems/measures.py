"""Measure signals of any length: peak, RMS, levels and loudness."""

import numpy as np

from instructme.dataset_tools import activity, audio
from instructme.dataset_tools.stored import Stored

LONGEST_FRAMES = 18_000_000
"""So much is measured at once: 12 minutes at 24 kHz."""
ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU = -70.0, 10.0
"""Of ITU-R BS.1770-4."""
_OFFSET_LU = 0.691


def peak(sound: Stored) -> float:
    """Find the largest absolute sample, 0 for no samples."""
    return max(audio.peak(block) for _, block in sound.blocks())


def full_scale(sound: Stored) -> float:
    """Find the largest sample as a share of what 16 bit can hold on that side."""
    extremes = [(block.max(initial=0), block.min(initial=0)) for _, block in sound.blocks()]
    return max(max(float(high) * 32768 / 32767, -float(low)) for high, low in extremes)


def rms_db(sound: Stored) -> float:
    """Measure the RMS over all channels in dBFS, -120 at least."""
    energy = sum(float(np.square(block).sum(dtype=np.float64)) for _, block in sound.blocks(LONGEST_FRAMES))
    return audio.db(np.sqrt(energy / max(1, len(sound) * sound.channels)))


def levels_db(sound: Stored, rate_hz: int) -> list[int]:
    """Measure the RMS of each frame of 0.1 s in dBFS, rounded."""
    blocks = sound.blocks(LONGEST_FRAMES // rate_hz * rate_hz)
    return [int(level) for _, block in blocks for level in np.rint(activity.levels(block, rate_hz))]


def lufs(sound: Stored, rate_hz: int) -> float | None:
    """Measure the integrated loudness (ITU-R BS.1770-4); None under 0.4 s, and where no stretch passes the gates.

    pyloudnorm measures what is long at `LONGEST_FRAMES` at a time, where its filter starts anew. The gates are set over all.
    """
    from pyloudnorm import Meter

    meter, wholes, stretches = Meter(rate_hz), list[float](), list[float]()
    for _, block in sound.blocks(LONGEST_FRAMES // rate_hz * rate_hz):
        if len(block) >= meter.block_size * rate_hz and block.any():
            wholes.append(float(meter.integrated_loudness(block)))
            stretches += meter.blockwise_loudness
    loudness = wholes[0] if len(wholes) == 1 else _gated(np.array(stretches))
    return loudness if np.isfinite(loudness) else None


def _gated(lufs: activity.Levels) -> float:
    """Average the power of the stretches that pass both gates."""
    lufs = lufs[lufs >= ABSOLUTE_GATE_LUFS]
    return _mean(lufs[lufs > _mean(lufs) - RELATIVE_GATE_LU]) if len(lufs) else -np.inf


def _mean(lufs: activity.Levels) -> float:
    return float(10 * np.log10(np.mean(10 ** ((lufs + _OFFSET_LU) / 10))) - _OFFSET_LU)
