"""Scale-invariant signal-to-distortion ratio of the edit against the target (Le Roux et al., ICASSP 2019).

10 log10(|aT|^2 / |aT - E|^2) with a = <E, T> / |T|^2. It is a headline for remove and extract alone: the target of other tasks is
one of many good ones. Values are kept within -100 and 100 dB, so that an edit that equals the target has 100.

Undefined: a silent target, or a silent edit.
"""

import numpy as np

from instructme.dataset_tools.audio import Samples
from instructme.pipelines.evaluation.metrics import Score

GROUP = "signal"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "dB", "up", (-100.0, 100.0), 100.0, True
ABOVE_SOURCE = True


def score(edit_waveform: Samples, target_waveform: Samples) -> Score:
    """Compare (T,) with (T,) in dB."""
    one, other = edit_waveform.astype(np.float64), target_waveform.astype(np.float64)
    power = float(other @ other)
    if not power:
        return "silent_target"
    if not one.any():
        return "silent_edit"
    wanted = (one @ other) / power * other
    ratio = float(wanted @ wanted) / max(float(np.sum(np.square(one - wanted))), 1e-300)
    return float(np.clip(10 * np.log10(max(ratio, 1e-300)), *RANGE))
