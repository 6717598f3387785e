"""Compare systems: paired differences of scores, and strengths from pairs."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from instructme.pipelines.evaluation.intervals import draws
from instructme.pipelines.listening.opinion_scores import interval
from instructme.pipelines.listening.rated_edits import ANCHOR

_RESAMPLES = 500
_STEPS = 200
"""Of Hunter's iteration."""


@dataclass(frozen=True)
class Difference:
    """one - other in points, with its 95 % interval. p: Wilcoxon's test over triplets, after Holm's correction."""

    scale: str
    one: str
    other: str
    mean: float
    low: float
    high: float
    p: float
    items: int


def differences(rows: pd.DataFrame, seed: int = 0) -> list[Difference]:
    """Compare each two systems on each scale, and with the reference, on the same triplets by the same raters.

    The interval draws raters and triplets. The test uses the mean difference of each triplet. Holm's correction counts all tests.
    The low anchor is not compared: nobody asks whether it is worse, and more tests would hide real differences.
    """
    found = []
    for scale, of_scale in rows.groupby("scale", sort=False):
        compared = of_scale[of_scale["system"] != ANCHOR]
        wide = compared.pivot_table(index=["session", "item"], columns="system", values="value")
        for one, other in itertools.combinations(sorted(wide.columns), 2):
            pairs = (wide[one] - wide[other]).dropna().rename("value").reset_index()
            if len(pairs):
                by_item = pairs.groupby("item")["value"].mean().to_numpy()
                measured = float(pairs["value"].mean()), *interval(pairs, seed), _wilcoxon(by_item)
                found.append(Difference(str(scale), one, other, *measured, len(by_item)))
    return [replace(each, p=p) for each, p in zip(found, holm([each.p for each in found]), strict=True)]


def _wilcoxon(values: npt.NDArray[np.float64]) -> float:
    """Test whether differences lie around 0; 1 if all are 0."""
    from scipy import stats

    return float(stats.wilcoxon(values).pvalue) if np.any(values != 0) else 1.0


def holm(values: Sequence[float]) -> list[float]:
    """Correct p values for their number (Holm 1979)."""
    order = np.argsort(values, kind="stable")
    corrected = np.sort(values) * np.arange(len(values), 0, -1)
    places = np.argsort(order)
    return [float(each) for each in np.maximum.accumulate(np.minimum(corrected, 1))[places]]


@dataclass(frozen=True)
class Strength:
    """The strength of a system from pairs, as a natural logarithm around 0, with its 95 % interval by bootstrap of raters."""

    scale: str
    system: str
    strength: float
    low: float
    high: float
    won: int
    pairs: int


def strengths(rows: pd.DataFrame, seed: int = 0) -> list[Strength]:
    """Fit Bradley and Terry's model to the answers of pages with pairs.

    rows: columns scale, session, system, value. `system` holds the two names, tab between, and `value` is 1 or 2: which won.
    """
    found = []
    for scale, of_scale in rows.groupby("scale", sort=False):
        pairs = of_scale["system"].str.split("\t", expand=True)
        names = sorted(set(pairs[0]) | set(pairs[1]))
        sides = np.column_stack([pd.Index(names).get_indexer(pairs[column]) for column in (0, 1)])
        first = of_scale["value"].to_numpy() == 1
        winner, loser = np.where(first, sides[:, 0], sides[:, 1]), np.where(first, sides[:, 1], sides[:, 0])
        rater = pd.factorize(of_scale["session"])[0]
        wins = np.zeros((rater.max() + 1, len(names), len(names)))
        np.add.at(wins, (rater, winner, loser), 1)
        total = wins.sum(axis=0)
        fits = bradley_terry(np.tensordot(draws(np.random.default_rng(seed), len(wins), _RESAMPLES), wins, 1))
        ends = np.quantile(fits, [0.025, 0.975], axis=0) if len(wins) > 1 else np.full((2, len(names)), np.nan)
        for place, (name, value) in enumerate(zip(names, bradley_terry(total), strict=True)):
            counts = int(total[place].sum()), int(total[place].sum() + total[:, place].sum())
            found.append(Strength(str(scale), name, float(value), float(ends[0, place]), float(ends[1, place]), *counts))
    return found


def bradley_terry(wins: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Fit strengths to wins[..., one, other] by Hunter's iteration (2004).

    Half a win is added each way, so that all strengths are finite.

    Returns:
        (..., systems), natural logarithms with mean 0.
    """
    wins = wins + 0.5 * (1 - np.eye(wins.shape[-1]))
    games = wins + np.swapaxes(wins, -1, -2)
    strength = np.ones(wins.shape[:-1])
    for _ in range(_STEPS):
        strength = wins.sum(axis=-1) / (games / (strength[..., :, None] + strength[..., None, :])).sum(axis=-1)
        strength /= np.exp(np.log(strength).mean(axis=-1, keepdims=True))
    return np.asarray(np.log(strength))
