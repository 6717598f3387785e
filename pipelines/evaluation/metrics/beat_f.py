"""F-measure of the beats of the edit against those of the source (mir_eval, within 70 ms; beats by librosa).

On clips of 10 s, beats that are found half a beat off decide it: read it beside `lag_ok`.

Undefined: a source without beats.
"""

import numpy as np
import numpy.typing as npt

from instructme.pipelines.evaluation.metrics import Score

GROUP = "music"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (0.0, 1.0), None, True
ABOVE_SOURCE = False


def score(edit_beats_s: npt.NDArray[np.float64], source_beats_s: npt.NDArray[np.float64]) -> Score:
    """Compare times in seconds."""
    import mir_eval

    if not len(source_beats_s):
        return "no_beats_in_source"
    return float(mir_eval.beat.f_measure(source_beats_s, edit_beats_s)) if len(edit_beats_s) else 0.0
