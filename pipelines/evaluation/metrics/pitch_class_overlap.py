"""Overlap of the pitch class histograms of edit and target (PCH of eq. 10), over the whole clip.

Activations of basic-pitch of 0.3 and more are summed over time, folded to 12 classes and normalised. The overlap is the sum of
minima. Both sounds are heard at -14 LUFS.

Undefined: neither edit nor target has a pitch. Only one of both has one: 0.
"""

import numpy as np
import numpy.typing as npt

from instructme.pipelines.evaluation.metrics import Score

GROUP = "music"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (0.0, 1.0), 1.0, True
ABOVE_SOURCE = True


def score(edit_pitch_sums: npt.NDArray[np.float64], target_pitch_sums: npt.NDArray[np.float64]) -> Score:
    """Compare sums of activations (88,)."""
    one, other = folded(edit_pitch_sums), folded(target_pitch_sums)
    if not one.any() and not other.any():
        return "no_pitches"
    return float(np.minimum(one, other).sum())


def folded(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Fold (88,) from A0 to the 12 classes from A: sum 1, or all 0."""
    classes = np.bincount(np.arange(len(sums)) % 12, weights=sums, minlength=12).astype(np.float64)
    return np.asarray(classes / max(float(classes.sum()), 1e-12), dtype=np.float64)
