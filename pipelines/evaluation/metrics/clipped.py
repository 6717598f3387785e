"""Share of the samples of the edit that are at full scale of 16 bit.

Undefined: an edit without samples.
"""

import numpy as np

from instructme.dataset_tools.audio import STEP, Samples
from instructme.pipelines.evaluation.metrics import Score

GROUP = "signal"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "down", (0.0, 1.0), None, False
ABOVE_SOURCE = False


def score(edit: Samples) -> Score:
    """Count in (T,)."""
    return float(np.mean(np.abs(edit) >= 1 - 1.5 * STEP)) if len(edit) else "empty_edit"
