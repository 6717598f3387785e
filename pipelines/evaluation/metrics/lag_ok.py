"""Whether edit and source keep time: the cross-correlation of their onset envelopes peaks within 24 ms of 0.

Lags up to 0.5 s are searched, in steps of 256 samples at 22,050 Hz. The values are 1 and 0; the mean is a share of edits.

Undefined: an edit or source without onsets.
"""

import numpy as np
import numpy.typing as npt

from instructme.pipelines.evaluation.metrics import Score
from instructme.pipelines.evaluation.onsets import FRAME_RATE_HZ

GROUP = "music"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (0.0, 1.0), None, True
ABOVE_SOURCE = False
LONGEST_S, TOLERANCE_S = 0.5, 0.024


def score(edit_envelope: npt.NDArray[np.float32], source_envelope: npt.NDArray[np.float32]) -> Score:
    """Compare onset envelopes (frames,)."""
    for name, envelope in (("edit", edit_envelope), ("source", source_envelope)):
        if not np.ptp(envelope):
            return f"no_onsets_in_{name}"
    return float(abs(lag_s(edit_envelope, source_envelope)) <= TOLERANCE_S)


def lag_s(edit: npt.NDArray[np.float32], source: npt.NDArray[np.float32]) -> float:
    """Find by how many seconds the edit is later than the source."""
    one, other = (each.astype(np.float64) - each.mean() for each in (edit, source))
    longest = int(LONGEST_S * FRAME_RATE_HZ)
    lags = np.arange(-longest, longest + 1)
    products = np.correlate(one, other, "full")[len(other) - 1 + np.clip(lags, 1 - len(other), len(one) - 1)]
    return float(lags[products.argmax()] / FRAME_RATE_HZ)
