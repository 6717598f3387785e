"""Share of slots of 0.1 s in which edit and target have the same chord label (the literal eq. 9).

Undefined: a target that has no chord in 90 % of its time or more.
"""

import numpy as np

from instructme.pipelines.evaluation.metrics import Score
from instructme.pipelines.evaluation.metrics.chord_accuracy import Chords, lacks_chords

GROUP = "music"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (0.0, 1.0), 1.0, False
ABOVE_SOURCE = True
SLOT_S = 0.1


def score(edit_chords: Chords, target_chords: Chords) -> Score:
    """Compare chords: spans in seconds (n, 2), and Harte labels."""
    if reason := lacks_chords(target_chords):
        return reason
    middles_s = np.arange(SLOT_S / 2, target_chords[0].max(), SLOT_S)
    slots = zip(_at(edit_chords, middles_s), _at(target_chords, middles_s), strict=True)
    return float(np.mean([one == other for one, other in slots]))


def _at(chords: Chords, times_s: np.ndarray) -> list[str]:
    places = np.searchsorted(chords[0][:, 0], times_s, side="right") - 1
    return [chords[1][place] if place >= 0 else "N" for place in places]
