"""Compute Krippendorff's alpha for ordinal scores: how much raters agree on the same clips."""

import numpy as np
import numpy.typing as npt
import pandas as pd

Matrix = npt.NDArray[np.float64]


def alpha(rows: pd.DataFrame) -> float:
    """Compute alpha over clips: 1 for full agreement, 0 for chance, NaN if no clip has two raters or all scores are equal.

    Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011, with the ordinal difference.

    rows: columns item, system, value; values are the points 1 to 5.
    """
    counts = pd.crosstab([rows["item"], rows["system"]], rows["value"]).to_numpy(float)
    return alpha_of_counts(counts)


def alpha_of_counts(counts: Matrix) -> float:
    """Compute ordinal alpha from how many raters gave each clip each point: (clips, points), points in ascending order."""
    counts = counts[counts.sum(axis=1) >= 2]
    if not len(counts):
        return float("nan")
    raters = counts.sum(axis=1)
    # Ordered pairs of points within a clip, without a rater's pair with themselves.
    together = np.einsum("ua,ub->uab", counts, counts) - np.einsum("ua,ab->uab", counts, np.eye(counts.shape[1]))
    seen = (together / (raters - 1)[:, None, None]).sum(axis=0)
    totals = seen.sum(axis=1)
    by_chance = (np.outer(totals, totals) - np.diag(totals)) / (totals.sum() - 1)
    distance = _ordinal(totals)
    expected = float((by_chance * distance).sum())
    return 1 - float((seen * distance).sum()) / expected if expected > 0 else float("nan")


def _ordinal(totals: Matrix) -> Matrix:
    """Square the number of scores between two points, each end counted by half."""
    below = np.cumsum(totals) - totals / 2
    return np.square(below[:, None] - below[None, :])
