"""Compute mean opinion scores by system, length, task and scale, with intervals by bootstrap over raters and items."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from instructme.pipelines.evaluation.intervals import draws

RESAMPLES = 2000
ALL = "all"
"""In place of a task or length: over all of them."""


@dataclass(frozen=True)
class Opinion:
    """A mean of scores from 1 to 5 with the ends of its 95 % interval; they are NaN if there is one rater or one item."""

    system: str
    task: str
    length_s: str
    scale: str
    mean: float
    low: float
    high: float
    ratings: int
    raters: int
    items: int


def opinions(rows: pd.DataFrame, seed: int = 0) -> list[Opinion]:
    """Compute the scores of each system: over everything, by length, by task, and by both."""
    found = []
    for by in ([], ["length_s"], ["task"], ["task", "length_s"]):
        for keys, group in rows.groupby(["system", "scale", *by], sort=True):
            names = dict(zip(["system", "scale", *by], map(str, keys), strict=True))
            length_s = f"{float(names['length_s']):g}" if "length_s" in names else ALL
            counts = len(group), group["session"].nunique(), group["item"].nunique()
            of_group = names["system"], names.get("task", ALL), length_s, names["scale"]
            found.append(Opinion(*of_group, group["value"].mean(), *interval(group, seed), *counts))
    return found


def interval(rows: pd.DataFrame, seed: int = 0) -> tuple[float, float]:
    """Draw raters and items with replacement, both at once, and give the 2.5 and 97.5 percent points of the mean.

    Source: Owen, "The pigeonhole bootstrap", 2007. It errs on the wide side.
    """
    sums, counts = _matrices(rows)
    if min(sums.shape) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    raters, items = (draws(rng, size, RESAMPLES) for size in sums.shape)
    totals = np.einsum("br,ri,bi->b", raters, sums, items, optimize=True)
    weights = np.einsum("br,ri,bi->b", raters, counts, items, optimize=True)
    means = totals[weights > 0] / weights[weights > 0]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _matrices(rows: pd.DataFrame) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sum and count the values of each rater and item: (raters, items) each."""
    rater, item = pd.factorize(rows["session"])[0], pd.factorize(rows["item"])[0]
    sums = np.zeros((rater.max(initial=-1) + 1, item.max(initial=-1) + 1))
    counts = np.zeros_like(sums)
    np.add.at(sums, (rater, item), rows["value"].to_numpy(float))
    np.add.at(counts, (rater, item), 1)
    return sums, counts
