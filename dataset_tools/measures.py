"""Measure a part block by block: levels, RMS, peak and loudness, whatever its length."""

from collections.abc import Iterable

import numpy as np

from instructme.dataset_tools import activity, audio
from instructme.dataset_tools.audio import Samples

ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU = -70.0, 10.0
"""Of ITU-R BS.1770-4."""
_OFFSET_LU = 0.691


class Loudness:
    """Measure the integrated loudness (ITU-R BS.1770-4) of blocks that follow each other.

    pyloudnorm measures each block. Of several, the gates are set over all of them; its filter starts anew in each.
    """

    def __init__(self, rate_hz: int) -> None:
        from pyloudnorm import Meter

        self._meter = Meter(rate_hz)
        self._blocks_lufs: list[float] = []
        self._stretches_lufs: list[float] = []

    def add(self, samples: Samples) -> None:
        """Hear a block; what is shorter than 0.4 s, or silent, has no loudness."""
        if len(samples) >= self._meter.block_size * self._meter.rate and samples.any():
            self._blocks_lufs.append(float(self._meter.integrated_loudness(samples)))
            self._stretches_lufs += self._meter.blockwise_loudness

    def lufs(self) -> float | None:
        """Give the loudness of all blocks; None where no stretch passes the gates."""
        loudness = self._blocks_lufs[0] if len(self._blocks_lufs) == 1 else _gated(np.array(self._stretches_lufs))
        return loudness if np.isfinite(loudness) else None


def integrated(blocks: Iterable[Samples], rate_hz: int) -> float | None:
    """Measure the loudness of blocks that follow each other; see `Loudness`."""
    loudness = Loudness(rate_hz)
    for block in blocks:
        loudness.add(block)
    return loudness.lufs()


def _gated(lufs: activity.Levels) -> float:
    """Average the power of the stretches that pass both gates."""
    lufs = lufs[lufs >= ABSOLUTE_GATE_LUFS]
    if not len(lufs):
        return -np.inf
    gate = _mean(lufs) - RELATIVE_GATE_LU
    return _mean(lufs[lufs > gate])


def _mean(lufs: activity.Levels) -> float:
    return float(10 * np.log10(np.mean(10 ** ((lufs + _OFFSET_LU) / 10))) - _OFFSET_LU)


class Measures:
    """What the row of a part says of its samples; blocks begin at whole seconds."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz, self.loudness = rate_hz, Loudness(rate_hz)
        self._levels_db: list[activity.Levels] = []
        self._energy, self._count, self._peak = 0.0, 0, 0.0

    def add(self, samples: Samples) -> None:
        """Hear a block."""
        self._levels_db.append(activity.levels(samples, self._rate_hz))
        self.loudness.add(samples)
        self._energy += float(np.sum(np.square(samples), dtype=np.float64))
        self._count += samples.size
        self._peak = max(self._peak, audio.peak(samples))

    @property
    def level_db(self) -> list[int]:
        """RMS of each frame of 0.1 s, rounded."""
        return [int(level) for levels in self._levels_db for level in np.rint(levels)]

    @property
    def rms_db(self) -> float:
        """RMS over all channels."""
        return audio.db(np.sqrt(self._energy / self._count)) if self._count else audio.FLOOR_DB

    @property
    def peak_db(self) -> float:
        """Highest sample."""
        return audio.db(self._peak)
