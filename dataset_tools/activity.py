"""Energy VAD: tell from the level of a part, frame by frame, when it plays."""

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import FLOOR_DB, Samples, mono
from instructme.manifests.rows import ACTIVITY_RATE_HZ

Levels = npt.NDArray[np.float64]
Frames = npt.NDArray[np.bool_]
ONSET_UNDER_DB = 25.0
"""A part starts where it comes this near to its loud level ..."""
RELEASE_UNDER_DB = 28.0
"""... and ends where it falls this far under it."""
QUIETEST_DB = -65.0
"""No frame under it is active, however quiet the part."""
LONGEST_GAP_FRAMES = 3
"""Shorter silences belong to the playing: with the release of a note they make rests of half a second."""


def levels(samples: Samples, rate_hz: int) -> Levels:
    """Measure the RMS of each frame of 0.1 s in dBFS, over all channels, -120 at least; the last frame may be shorter."""
    count = -(-len(samples) * ACTIVITY_RATE_HZ // rate_hz)
    starts = np.arange(count) * rate_hz // ACTIVITY_RATE_HZ
    energy = np.add.reduceat(mono(np.square(samples)), starts, dtype=np.float64) if count else np.zeros(0)
    power = energy / np.diff(starts, append=len(samples))
    return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (FLOOR_DB / 10))))


def detect(level_db: npt.ArrayLike) -> Frames:
    """Find the active frames from levels in dBFS: hysteresis under the part's own loud level, short rests filled.

    The loud level is the 95th percentile of the frames that sound at all, so it doesn't matter how sparsely or how softly
    a part plays.
    """
    level = np.asarray(level_db, dtype=np.float64)
    sounding = level[level > QUIETEST_DB]
    if not len(sounding):
        return np.zeros(len(level), dtype=bool)
    loud = np.percentile(sounding, 95)
    held = level >= max(loud - RELEASE_UNDER_DB, QUIETEST_DB)
    run = np.cumsum(np.diff(held, prepend=False))
    struck = np.bincount(run, weights=level >= max(loud - ONSET_UNDER_DB, QUIETEST_DB)) > 0
    return _fill(held & struck[run])


def _fill(active: Frames) -> Frames:
    """Fill rests between active frames that are no longer than the longest gap."""
    on = np.flatnonzero(active)
    filled = active.copy()
    for gap in np.flatnonzero((np.diff(on) > 1) & (np.diff(on) <= LONGEST_GAP_FRAMES + 1)):
        filled[on[gap] : on[gap + 1]] = True
    return filled


def weighting_db(lufs: float | None, level_db: npt.ArrayLike, active: npt.ArrayLike) -> float:
    """Measure how much louder a part is by its loudness (LUFS) than by the RMS of the frames in which it is active.

    Added to the RMS of a window's active frames this gives nearly the loudness there; 0 where loudness is not defined.
    """
    frames = int(np.count_nonzero(active))
    if lufs is None or not frames:
        return 0.0
    power = float((10.0 ** (np.asarray(level_db, dtype=np.float64) / 10)).sum()) / frames
    return lufs - 10.0 * float(np.log10(power)) if power else 0.0
