"""Level of the change where an instruction names an instrument that isn't there: dB of E - S under the source. Goal: -40 dB.

Such an edit should change nothing. Values are -100 dB at least.

Undefined: the instrument is there, or the source is silent.
"""

import numpy as np

from instructme.dataset_tools.audio import Samples
from instructme.pipelines.evaluation.metrics import Score

GROUP = "instruction"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "dB", "down", (-100.0, None), -100.0, False
ABOVE_SOURCE = False


def score(edit: Samples, source: Samples, absent: bool) -> Score:
    """Compare (T,) with (T,)."""
    if not absent:
        return "instrument_is_there"
    changed, whole = (float(np.mean(np.square(each), dtype=np.float64)) for each in (edit - source, source))
    return max(10 * float(np.log10(max(changed / whole, 1e-30))), -100.0) if whole else "silent_source"
