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


class FirstBeat(NamedTuple):
    """The position in the bar on which harmony changes most, and how many standard errors it is ahead of position 1."""

    position: int
    lead: float


def at_beats(mix: Samples, beats_s: Floats, rate_hz: int) -> Floats:
    """Measure how the pitch classes of audio `(T,)` change at beats in seconds: 0 for not at all, 1 for no likeness."""
    if not len(beats_s):
        return np.zeros(0)
    octaves = semitone_levels(mix, rate_hz)[:, :48].reshape(-1, 4, 12)
    sums = np.concatenate([np.zeros((1, 12)), np.cumsum(octaves.sum(axis=1), axis=0)])
    reach_s = min(REACH_BEATS * float(np.median(np.diff(beats_s))), LONGEST_S) if len(beats_s) > 1 else LONGEST_S

    def heard(from_s: Floats, to_s: Floats) -> Floats:
        start, stop = (np.clip(np.rint(each * FRAMES_HZ).astype(np.int64), 0, len(sums) - 1) for each in (from_s, to_s))
        mean = (sums[stop] - sums[start]) / np.maximum(stop - start, 1)[:, None]
        return np.asarray(mean - mean.mean(axis=1, keepdims=True))

    before, after = heard(beats_s - reach_s, beats_s - GAP_S), heard(beats_s + GAP_S, beats_s + reach_s)
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
