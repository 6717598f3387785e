"""Overlap of the histograms of onset intervals (IOI of eq. 10).

Intervals between successive onsets fall into 32 logarithmic classes from 1/16 to 2 s. Shorter and longer ones count in the first
and the last class. Histograms are smoothed with (1/4, 1/2, 1/4), normalised, and compared by the sum of minima.

Undefined: neither edit nor target has an interval. Only one of both has one: 0.
"""

import numpy as np
import numpy.typing as npt

from instructme.pipelines.evaluation.metrics import Score

GROUP = "music"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (0.0, 1.0), 1.0, True
ABOVE_SOURCE = True
CLASSES, SHORTEST_S, LONGEST_S = 32, 1 / 16, 2.0


def score(edit_onsets_s: npt.NDArray[np.float64], target_onsets_s: npt.NDArray[np.float64]) -> Score:
    """Compare onset times in seconds."""
    if max(len(edit_onsets_s), len(target_onsets_s)) < 2:
        return "no_onset_intervals"
    if min(len(edit_onsets_s), len(target_onsets_s)) < 2:
        return 0.0
    return float(np.minimum(histogram(edit_onsets_s), histogram(target_onsets_s)).sum())


def histogram(onsets_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Count the intervals of two or more onsets: (32,), sum 1."""
    place = np.log(np.diff(onsets_s) / SHORTEST_S) / np.log(LONGEST_S / SHORTEST_S) * CLASSES
    counts = np.bincount(np.clip(place.astype(np.int64), 0, CLASSES - 1), minlength=CLASSES)
    smooth = np.convolve(counts, (0.25, 0.5, 0.25), mode="same")
    return np.asarray(smooth / smooth.sum())
