"""Ask chords and BeatNet whether annotated bars begin on their first beats, and annotated beats are not half a beat off.

Neither is certain alone: basses may play between the beats all through a song, and so may chords. Where both say the same, none
of 149 right grids of whole songs is contradicted. Of 39 grids of POP909 two are. In parts of both, the annotated chords begin on
beat 2.
"""

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.beats import chord_changes, pulse_check
from instructme.dataset_tools.recognisers import beat_network

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
LEAST_ALONE = 4.0
"""Standard errors by which chords alone may tell that bars begin on another beat. None of 179 right songs reaches it."""
LEAST_BOTH = 1.5
"""Standard errors from which chords and BeatNet together tell it; right songs of known bars stay below 0.5."""
LEAST_OTHER_BAR = 3.0
"""Standard errors by which chords alone may tell bars of another length; right songs reach 1.8."""
CERTAIN_BAR = 1.0
"""Bars whose first beat leads by so much are right, whatever other bars do."""
FEWEST = 3
BARS = (3, 4)
FEWEST_IN_HALF = 32
"""Beats of half a recording, whose bars are asked alone: a missing beat moves all bars behind it. None of 88 right songs is
contradicted so."""
HALF_RATIO = 1.5
"""Of what lies on half-beats, against what lies on beats: changes of chords, and BeatNet's probability of a beat."""
FEWEST_CHANGES = 8
NEAR = 0.2
"""In beats: changes of chords so near a beat or half-beat are on it."""


def bars_against(changes: Floats, downbeats: Floats, positions: Integers) -> str | None:
    """Say where bars begin, if not at position 1 throughout.

    `changes` are `chord_changes.changes` at the beats, and `downbeats` is `beat_network.downbeat_share` there.
    """
    middle = len(positions) // 2
    halves = [slice(middle), slice(middle, None)] if middle >= FEWEST_IN_HALF else []
    told = (_bars_against(changes[rows], downbeats[rows], positions[rows]) for rows in (slice(None), *halves))
    return next((each for each in told if each), None)


def _bars_against(changes: Floats, downbeats: Floats, positions: Integers) -> str | None:
    bar = int(np.median(np.diff(np.flatnonzero(positions == 1)))) if (positions == 1).sum() > 1 else 0
    if bar < 2:
        return None
    means = [changes[here].mean() if (here := positions == place).sum() >= FEWEST else 0.0 for place in range(1, bar + 1)]
    best = int(np.argmax(means)) + 1
    chords, network = (_lead(curve, positions == best, positions == 1) for curve in (changes, downbeats))
    clear = chords >= LEAST_ALONE or min(chords, network) >= LEAST_BOTH
    if best > 1 and clear and max(means) >= chord_changes.LEAST_CHANGE:
        return f"chords change on beat {best} of these bars, not on their first beat: the bars may begin elsewhere"
    if _first_lead(changes, positions) >= CERTAIN_BAR:
        return None
    for other in (length for length in BARS if bar % length and length % bar):
        for start in range(other):
            counted = (np.arange(len(positions)) + start) % other + 1
            chords, network = (_first_lead(curve, counted) for curve in (changes, downbeats))
            if chords >= LEAST_OTHER_BAR or min(chords, network) >= LEAST_BOTH:
                return f"chords change every {other} beats, and these bars have {bar}: the bars may be wrong"
    return None


def _first_lead(curve: Floats, positions: Integers) -> float:
    """Measure by how many standard errors the first beat of bars leads over each other beat, at least."""
    return min(-_lead(curve, positions == other, positions == 1) for other in range(2, int(positions.max()) + 1))


def _lead(curve: Floats, those: npt.NDArray[np.bool_], these: npt.NDArray[np.bool_]) -> float:
    """Measure by how many standard errors a curve is higher at some beats than at others; 0 where there are few."""
    if min(those.sum(), these.sum()) < FEWEST:
        return 0.0
    error = np.sqrt(curve[those].var() / those.sum() + curve[these].var() / these.sum())
    # BeatNet's answers may hardly vary
    return float((curve[those].mean() - curve[these].mean()) / (error + 0.02 * np.abs(curve).mean() + 1e-9))


def half_beat_against(changes_s: Floats, activation: beat_network.Floats, beats_s: Floats) -> str | None:
    """Say that beats lie between the beats, by the times at which chords change (`chord_changes.times_s`) and by BeatNet."""
    if len(beats_s) < pulse_check.FEWEST_BEATS:
        return None
    inside = changes_s[(changes_s > beats_s[0]) & (changes_s < beats_s[-1])]
    phase = np.interp(inside, beats_s, np.arange(len(beats_s))) % 1
    between, on = (np.abs(phase - 0.5) < NEAR).sum(), (np.minimum(phase, 1 - phase) < NEAR).sum()
    if len(inside) < FEWEST_CHANGES or between < HALF_RATIO * max(on, 1):
        return None
    middles = (beats_s[1:] + beats_s[:-1]) / 2
    beat, half = (beat_network.onset_envelope(activation, each + pulse_check.BIAS_S).mean() for each in (beats_s, middles))
    if half <= HALF_RATIO * beat:
        return None
    return "chords change and beats are heard between these beats: they may be half a beat off"
