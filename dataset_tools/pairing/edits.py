"""Draw edits of one window: the part or parts that an instruction names, and a bed of 1 to 4 other parts that sound."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from instructme.dataset_tools.pairing import combinations
from instructme.dataset_tools.pairing.combinations import Floats, Ints, bits, numbered, subsets
from instructme.dataset_tools.pairing.pool import Pool
from instructme.dataset_tools.pairing.recipes import Drawn, Sides, of_sides
from instructme.manifests import limits

BED_SIZES = np.arange(1, 5)
"""The paper's i in [1, 2, 3, 4] source tracks (appendix, Triplet Data Generation)."""


@dataclass(frozen=True)
class PairOptions:
    """Settings of all draws of `pair`.

    Args:
        balance: an instrument is drawn in proportion to its clips ** (1 - balance): with 0 as often as it occurs, with 1 all
            instruments equally often.
        tempo_tolerance: largest relative difference of the two tempi of a remix.
        remix_harmony: least share of time with equal chords in a remix.
        weights: (dataset, how much more often its windows are drawn); 1 for others.

    Raises:
        DataError: a value out of its range.
    """

    balance: float = 0.5
    tempo_tolerance: float = 0.06
    remix_harmony: float = 0.6
    weights: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        limits.check(balance=self.balance, tempo_tolerance=self.tempo_tolerance, remix_harmony=self.remix_harmony)
        for dataset, weight in self.weights:
            limits.number(f"the weight of {dataset}", weight, 0)


def track_weights(pool: Pool, options: PairOptions) -> Floats:
    """Weigh tracks by their dataset, `(tracks,)`."""
    weights = dict(options.weights)
    return np.array([weights.get(dataset, 1.0) for dataset in pool.datasets], dtype=np.float64)


def rarity(pool: Pool, balance: float) -> Floats:
    """Weigh the parts of every track, `(tracks, bits)`, by how few windows their instrument may be edited in."""
    row, bit = np.nonzero(bits(pool.windows["usable"], pool.parts.shape[1]))
    counts = np.bincount(pool.parts[pool.windows["track"][row], bit], minlength=len(pool.instruments))
    weights = np.maximum(counts, 1.0) ** -balance
    return np.asarray(weights[np.maximum(pool.parts, 0)])


def draw(
    sides: Callable[[Ints, Ints, Ints], Sides],
    edited_parts: int,
    pool: Pool,
    count: int,
    rng: np.random.Generator,
    options: PairOptions,
) -> Drawn:
    """Draw different edits.

    Args:
        sides: masks of the first edited part, the second (0 for one) and the bed -> both sides.
        edited_parts: 1, or 2 where the instruction exchanges parts.
        pool: windows to edit.
        count: edits wanted.
        rng: source of randomness.
        options: `balance` matters.

    Returns:
        `count` edits, or all that exist.
    """
    window, edited, other, weight = _named(
        pool, edited_parts, rarity(pool, options.balance) * track_weights(pool, options)[:, None]
    )
    window, edited, other = (np.repeat(values, len(BED_SIZES)) for values in (window, edited, other))
    size = np.tile(BED_SIZES, len(weight))
    others = pool.windows["bed"][window] & ~edited & ~other
    existing = subsets(others, size)
    sizes_left = np.repeat(np.maximum((existing.reshape(-1, len(BED_SIZES)) > 0).sum(axis=1), 1), len(BED_SIZES))
    unit, bed = combinations.draw(others, size, np.repeat(weight, len(BED_SIZES)) / sizes_left, count, rng)
    poor = np.setdiff1d(np.arange(len(pool.windows)), window[existing > 0])
    drawn = of_sides(pool.windows[window[unit]], sides(edited[unit], other[unit], bed))
    return Drawn(drawn, int(existing.sum()), True, {"too_few_parts": pool.windows["track"][poor]})


def _named(pool: Pool, edited_parts: int, rare: Floats) -> tuple[Ints, Ints, Ints, Floats]:
    """List every part, or ordered pair of parts, that may be edited: its window, its masks, its weight.

    The last part of a pair (the one that is brought) is drawn like a single one, its partner among the parts beside it.
    """
    window, bit = np.nonzero(bits(pool.windows["usable"], pool.parts.shape[1]))
    weight = rare[pool.windows["track"][window], bit]
    mask = np.int64(1) << bit
    if edited_parts == 1:
        return window, mask, np.zeros_like(mask), weight
    beside = np.bincount(window, minlength=len(pool.windows))
    first = np.cumsum(beside) - beside
    brought, nth = numbered(beside[window])
    partner = first[window[brought]] + nth
    brought, partner = brought[brought != partner], partner[brought != partner]
    sums = np.bincount(brought, weights=weight[partner], minlength=len(window))
    return window[brought], mask[partner], mask[brought], weight[brought] * weight[partner] / sums[brought]
