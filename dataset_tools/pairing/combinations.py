"""Draw subsets without repeats from a universe far too large to write down.

A unit means "choose `size` of the parts in this mask". The subsets of all units are numbered 0, 1, 2 ... without gaps, so
a drawn subset is one integer: how many exist is a sum of binomials, a repeat is an equal integer, and turning numbers into
subsets is arithmetic on whole arrays. Masks are int64 with one bit per part of a track.
"""

import math

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_PARTS = 62
"""Parts of a track that fit a mask."""
LARGEST = 5
"""Largest subset that is ever drawn."""
_BINOMIAL = np.array([[math.comb(n, k) for k in range(LARGEST + 1)] for n in range(MOST_PARTS + 1)], dtype=np.int64)
_BITS_OF_BYTE = np.array([byte.bit_count() for byte in range(256)], dtype=np.uint8)


def popcount(masks: Ints) -> Ints:
    """Count the parts in each mask."""
    octets = np.ascontiguousarray(masks).view(np.uint8).reshape(-1, 8)
    return np.asarray(_BITS_OF_BYTE[octets].sum(axis=1), dtype=np.int64)


def bits(masks: Ints, width: int) -> npt.NDArray[np.bool_]:
    """Spread masks `(N,)` into booleans `(N, width)`, the lowest bit first."""
    return ((masks[:, None] >> np.arange(width)) & 1).astype(bool)


def numbered(counts: Ints) -> tuple[Ints, Ints]:
    """List the members of groups of so many, one group after the other: the group of each, and its place in the group from 0."""
    group = np.repeat(np.arange(len(counts)), counts)
    return group, np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)


def subsets(masks: Ints, sizes: Ints) -> Ints:
    """Count the subsets of each unit: binomial coefficients, `(N,)`."""
    return np.asarray(_BINOMIAL[popcount(masks), sizes])


def draw(masks: Ints, sizes: Ints, weights: Floats, count: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw different subsets from weighted units; each unit's weight is shared evenly by its subsets.

    Units are visited at stratified positions of the cumulated weights, so that coverage is more even than independent
    draws would give. A unit whose subsets are used up leaves the draw. If `count` or fewer subsets exist, all are taken.

    Args:
        masks: (N,) what each unit chooses from.
        sizes: (N,) how many parts it chooses, 0 to 5.
        weights: (N,) positive.
        count: subsets wanted.
        rng: source of randomness.

    Returns:
        unit of each drawn subset, and its mask; sorted by unit.
    """
    existing = subsets(masks, sizes)
    ends = np.cumsum(existing)
    total = int(ends[-1]) if len(ends) else 0
    few = 2 * count >= total
    numbers = _from_all(existing, weights, count, rng) if few else _in_rounds(existing, ends, weights, count, rng)
    unit = np.searchsorted(ends, numbers, side="right")
    return unit, _subset(masks[unit], sizes[unit], numbers - ends[unit] + existing[unit])


def _from_all(existing: Ints, weights: Floats, count: int, rng: np.random.Generator) -> Ints:
    """Write the whole universe down and keep the `count` largest of log weight + Gumbel noise (weighted, no repeats)."""
    total = int(existing.sum())
    if count >= total:
        return np.arange(total)
    weight = np.repeat(weights / np.maximum(existing, 1), existing)
    noisy = np.log(weight) + rng.gumbel(size=total)
    return np.sort(np.argpartition(noisy, total - count)[total - count :])


def _in_rounds(existing: Ints, ends: Ints, weights: Floats, count: int, rng: np.random.Generator) -> Ints:
    numbers = np.empty(0, dtype=np.int64)
    open_weights = np.where(existing > 0, weights, 0.0)
    while missing := count - len(numbers):
        edges = np.cumsum(open_weights)
        spots = (np.arange(missing) + rng.random(missing)) * (edges[-1] / missing)
        last = int(np.flatnonzero(open_weights)[-1])
        unit = np.minimum(np.searchsorted(edges, spots, side="right"), last)
        fresh = ends[unit] - existing[unit] + rng.integers(0, existing[unit])
        numbers = np.sort(np.concatenate([numbers, fresh]))
        numbers = numbers[np.diff(numbers, prepend=-1) > 0]
        used = np.bincount(np.searchsorted(ends, numbers, side="right"), minlength=len(existing))
        open_weights[used >= existing] = 0.0
    return numbers


def _subset(masks: Ints, sizes: Ints, ranks: Ints) -> Ints:
    """Unrank combinations (combinatorial number system), then move them onto the set bits of the masks."""
    compact = np.zeros_like(masks)
    rest = ranks.copy()
    for size in range(LARGEST, 0, -1):
        column = _BINOMIAL[:, size]
        chosen = np.searchsorted(column, rest, side="right") - 1
        active = sizes >= size
        compact |= np.where(active, np.int64(1) << chosen, 0)
        rest -= np.where(active, column[chosen], 0)
    return _deposit(compact, masks)


def _deposit(compact: Ints, masks: Ints) -> Ints:
    """Move bit i of `compact` to the i-th set bit of the mask."""
    spread = np.zeros_like(masks)
    seen = np.zeros_like(masks)
    for bit in range(int(masks.max(initial=0)).bit_length()):
        present = (masks >> bit) & 1
        spread |= (present & (compact >> seen)) << bit
        seen += present
    return spread


def pick(masks: Ints, weights: Floats, rng: np.random.Generator) -> Ints:
    """Pick one part of each mask.

    Args:
        masks: (N,) each with at least one part.
        weights: (N, width) of every part, positive.
        rng: source of randomness.

    Returns:
        (N,) masks of one bit.
    """
    noisy = np.log(weights) + rng.gumbel(size=weights.shape)
    noisy[~bits(masks, weights.shape[1])] = -np.inf
    return np.asarray(np.int64(1) << noisy.argmax(axis=1))
