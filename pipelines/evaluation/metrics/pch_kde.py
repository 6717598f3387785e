"""PCH of eq. 10, read literally: overlap of the densities of pitch class shares, a bar of 2 s at a time.

Notes of basic-pitch count by their seconds in the bar. Only for comparison with the paper: see `kde_overlap`. The target itself
has about 0.6, and a transposition costs nothing. Use `pitch_class_overlap` to compare systems.

Undefined: neither edit nor target has notes. A bar in which only one of both has notes: 0.
"""

import numpy as np

from instructme.dataset_tools.recognisers.note_network import RecognisedNotes
from instructme.pipelines.evaluation.kde_overlap import BAR_S, Histogram, mean_overlap
from instructme.pipelines.evaluation.metrics import Score

GROUP = "music"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (0.0, 1.0), None, True
ABOVE_SOURCE = False


def score(edit_notes: RecognisedNotes, target_notes: RecognisedNotes) -> Score:
    """Compare notes."""
    found = mean_overlap(edit_notes, target_notes, shares)
    return "no_notes" if found is None else found


def shares(notes: RecognisedNotes, start_s: float) -> Histogram | None:
    """Share of each pitch class in the seconds of notes in a bar: (12,); None without notes."""
    seconds = np.diff(np.clip(notes.spans_s, start_s, start_s + BAR_S), axis=1)[:, 0]
    held = np.bincount(notes.pitches % 12, weights=seconds, minlength=12)
    return held / held.sum() if held.any() else None
