"""Overlap of two histograms as the evaluation code of music generators computes it (mgeval; eq. 10 of the paper, read literally).

A kernel density is drawn over the *values* of each histogram of a bar. The smaller density is integrated from the least to the
largest value. The order of the classes counts for nothing, so a transposition costs nothing. The tails beyond the values are cut
off, so a histogram against itself gives about 0.6.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.recognisers.note_network import RecognisedNotes

BAR_S = 2.0
"""mgeval takes 120 beats a minute and four beats a bar for all music."""
_POINTS = 256
Histogram = npt.NDArray[np.float64]


def overlap(one: Histogram, other: Histogram) -> float:
    """Integrate the smaller of both densities of values; 1 or 0 where the values of one are all equal, which has no density."""
    from scipy.integrate import trapezoid
    from scipy.stats import gaussian_kde

    if not np.ptp(one) or not np.ptp(other):
        return float(np.array_equal(np.sort(one), np.sort(other)))
    both = np.concatenate([one, other])
    places = np.linspace(both.min(), both.max(), _POINTS)
    return float(trapezoid(np.minimum(gaussian_kde(one)(places), gaussian_kde(other)(places)), places))


def mean_overlap(
    edit: RecognisedNotes, target: RecognisedNotes, histogram: Callable[[RecognisedNotes, float], Histogram | None]
) -> float | None:
    """Average over the bars in which one of both has a histogram, 0 where only one has; None if there is no such bar."""
    end_s = max((float(notes.spans_s.max()) for notes in (edit, target) if len(notes.pitches)), default=0.0)
    pairs = [[histogram(notes, start_s) for notes in (edit, target)] for start_s in np.arange(0, end_s, BAR_S)]
    values = [_both(pair) for pair in pairs if any(each is not None for each in pair)]
    return float(np.mean(values)) if values else None


def _both(pair: Sequence[Histogram | None]) -> float:
    one, other = pair
    return overlap(one, other) if one is not None and other is not None else 0.0
