"""Find the first beat of bars from the harmony of audio: chords change more on the first beat than on others.

In single windows of 10 s, the first beat wins in 93 % of the built-in corpora. In POP909 it wins in 64 %,
and any other beat in 24 % at most. A whole song, or a shard of remixes, is more reliable.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.midi.offset_check import FRAMES_HZ, semitone_levels

Floats = npt.NDArray[np.float64]
REACH_BEATS, LONGEST_S, GAP_S = 2, 2.0, 0.05
"""What sounds so long before a beat is compared with what sounds as long after it, less what is struck early or late."""
LEAST_CHANGE = 0.3
"""Mean change on the beat where most changes; songs with chords reach 0.33 or more."""
LEAST_PEAK = 0.35
"""Change at a moment that is a change of chord."""


class FirstBeat(NamedTuple):
    """The position in the bar on which harmony changes most, and how many standard errors it is ahead of position 1."""

    position: int
    lead: float


def at_beats(mix: Samples, beats_s: Floats, rate_hz: int) -> Floats:
    """Measure how the pitch classes of audio `(T,)` change at beats in seconds: 0 for not at all, 1 for no likeness."""
    return changes(pitch_sums(mix, rate_hz), beats_s) if len(beats_s) else np.zeros(0)


def pitch_sums(mix: Samples, rate_hz: int) -> Floats:
    """Sum the levels of the pitch classes of audio `(T,)` up to each of `FRAMES_HZ` frames: (frames + 1, 12)."""
    octaves = semitone_levels(mix, rate_hz)[:, :48].reshape(-1, 4, 12)
    return np.concatenate([np.zeros((1, 12)), np.cumsum(octaves.sum(axis=1), axis=0)])


def changes(sums: Floats, beats_s: Floats) -> Floats:
    """Measure the change at each beat in seconds, from the `pitch_sums` of a recording."""
    reach_s = REACH_BEATS * float(np.median(np.diff(beats_s))) if len(beats_s) > 1 else LONGEST_S
    return _changes(sums, beats_s, min(reach_s, LONGEST_S))


def times_s(sums: Floats, beat_s: float) -> Floats:
    """Find when chords change, in seconds, whatever beats are said to be: no two within 0.75 of a beat of so many seconds."""
    from scipy.signal import find_peaks

    curve = _changes(sums, np.arange(len(sums)) / FRAMES_HZ, min(beat_s, LONGEST_S / 2))
    return np.asarray(find_peaks(curve, LEAST_PEAK, distance=max(1, round(0.75 * beat_s * FRAMES_HZ)))[0] / FRAMES_HZ)


def _changes(sums: Floats, times_s: Floats, reach_s: float) -> Floats:
    def heard(from_s: Floats, to_s: Floats) -> Floats:
        start, stop = (np.clip(np.rint(each * FRAMES_HZ).astype(np.int64), 0, len(sums) - 1) for each in (from_s, to_s))
        mean = (sums[stop] - sums[start]) / np.maximum(stop - start, 1)[:, None]
        return np.asarray(mean - mean.mean(axis=1, keepdims=True))

    before, after = heard(times_s - reach_s, times_s - GAP_S), heard(times_s + GAP_S, times_s + reach_s)
    size = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return np.where(size > 1e-9, 1 - (before * after).sum(axis=1) / np.maximum(size, 1e-9), 0.0)


def first_beat(changes: Floats, positions: npt.NDArray[np.int64]) -> FirstBeat | None:
    """Find where bars begin by the changes at beats of known positions in the bar; None if that tells nothing."""
    bar = int(positions.max(initial=0))
    if bar < 2 or not all((positions == position).any() for position in range(1, bar + 1)):
        return None
    groups = [changes[positions == position] for position in range(1, bar + 1)]
    best = max(groups, key=lambda group: float(group.mean()))
    if best.mean() < LEAST_CHANGE:
        return None
    error = float(np.sqrt(best.var() / len(best) + groups[0].var() / len(groups[0])))
    position = next(number for number, group in enumerate(groups, 1) if group is best)
    return FirstBeat(position, float(best.mean() - groups[0].mean()) / max(error, 1e-9))
