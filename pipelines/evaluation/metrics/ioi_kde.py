"""IOI of eq. 10, read literally: overlap of the densities of the shares of 32 classes of onset intervals, a bar of 2 s at a time.

Onsets are those of the notes of basic-pitch. Only for comparison with the paper: see `kde_overlap`. The target itself has about
0.6. Use `onset_interval_overlap` to compare systems.

Undefined: neither edit nor target has a bar with an interval. A bar in which only one of both has one: 0.
"""

import numpy as np

from instructme.dataset_tools.recognisers.note_network import RecognisedNotes
from instructme.pipelines.evaluation.kde_overlap import BAR_S, Histogram, mean_overlap
from instructme.pipelines.evaluation.metrics import Score
from instructme.pipelines.evaluation.metrics.onset_interval_overlap import histogram

GROUP = "music"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (0.0, 1.0), None, True
ABOVE_SOURCE = False


def score(edit_notes: RecognisedNotes, target_notes: RecognisedNotes) -> Score:
    """Compare notes."""
    found = mean_overlap(edit_notes, target_notes, shares)
    return "no_onset_intervals" if found is None else found


def shares(notes: RecognisedNotes, start_s: float) -> Histogram | None:
    """Share of each class of intervals between the onsets in a bar: (32,); None with less than two onsets."""
    onsets_s = np.unique(notes.spans_s[:, 0])
    onsets_s = onsets_s[(onsets_s >= start_s) & (onsets_s < start_s + BAR_S)]
    return histogram(onsets_s) if len(onsets_s) > 1 else None
