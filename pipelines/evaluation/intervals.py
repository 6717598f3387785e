"""Compute 95 % intervals of means and of paired differences, by bootstrap over songs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
COVERAGE = 0.95


class Interval(NamedTuple):
    """A mean with the ends of its interval, and the numbers of edits and songs. The ends are NaN where there is one song."""

    mean: float
    low: float
    high: float
    edits: int
    songs: int

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies above or below 0, else 0."""
        return 1 if self.low > 0 else -1 if self.high < 0 else 0


def interval(values: Sequence[float], songs: Sequence[str]) -> Interval:
    """Compute the mean of values and its interval, drawing whole songs with replacement."""
    numbers = np.asarray(values, dtype=np.float64)
    _, place = np.unique(np.asarray(songs, dtype=np.str_), return_inverse=True)
    counts = np.bincount(place)
    sums = np.bincount(place, weights=numbers)
    mean = float(numbers.mean())
    if len(counts) < 2:
        return Interval(mean, np.nan, np.nan, len(numbers), len(counts))
    drawn = draws(np.random.default_rng(0), len(counts), RESAMPLES)
    means = drawn @ sums / (drawn @ counts)
    low, high = np.quantile(means, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Interval(mean, float(low), float(high), len(numbers), len(counts))


def draws(rng: np.random.Generator, count: int, resamples: int) -> npt.NDArray[np.float64]:
    """Draw `count` of as many things with replacement, and count how often each is drawn: (resamples, count)."""
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)


def paired(one: Mapping[str, float], other: Mapping[str, float], songs: Mapping[str, str]) -> Interval | None:
    """Compute the interval of the mean of one - other over the keys that both have; None if there is none."""
    keys = sorted(set(one) & set(other))
    return interval([one[key] - other[key] for key in keys], [songs[key] for key in keys]) if keys else None
