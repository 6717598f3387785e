"""Compute the order of training samples from seed and epoch, so that training can start at any step."""

import functools
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from instructme.manifests.rows import DataError

Ints = npt.NDArray[np.int64]
GROUP = 16
"""Shards whose samples are mixed: they are read side by side, the others rest."""


def order(seed: int, epoch: int, shard_sizes: Sequence[int] | Ints, group: int = GROUP) -> Ints:
    """Order the rows of an epoch: shards permuted, then samples permuted within groups of `group` shards.

    Returns:
        (sum of shard_sizes,) int64: rows, counted through all shards. Equal arguments give equal orders.
    """
    random = np.random.default_rng([seed, epoch])
    sizes = np.asarray(shard_sizes, dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    shards = random.permutation(len(sizes))
    groups = [shards[first : first + group] for first in range(0, len(shards), group)]
    rows = [np.concatenate([starts[shard] + np.arange(sizes[shard]) for shard in chosen]) for chosen in groups]
    return np.concatenate([random.permutation(each) for each in rows])


class Numbering:
    """Say which row bears a global sample number: number = epoch * N + place in the order of that epoch.

    Epochs follow each other without a gap: the last batch of one is filled up from the next.
    """

    def __init__(self, seed: int, shard_sizes: Sequence[int] | Ints, group: int = GROUP) -> None:
        sizes = np.asarray(shard_sizes, dtype=np.int64)
        self._total = sizes.sum()
        # Numbers grow, so that only the last order is needed again.
        self._order = functools.lru_cache(maxsize=1)(lambda epoch: order(seed, epoch, sizes, group))

    def rows(self, numbers: Ints) -> Ints:
        """Find the rows of global sample numbers, both (n,) int64."""
        epochs, places = np.divmod(numbers, self._total)
        rows = np.empty_like(numbers)
        for epoch in np.unique(epochs).tolist():
            rows[epochs == epoch] = self._order(epoch)[places[epochs == epoch]]
        return rows


def picks(
    numbering: Numbering, batch_size: int, first_step: int = 0, rank: int = 0, ranks: int = 1
) -> Iterator[list[tuple[int, int]]]:
    """Yield (row, number) of this rank's share of global batches first_step, first_step + 1, ... without end.

    Global batch n holds the samples number n * batch_size to (n + 1) * batch_size - 1, whatever the number of ranks.

    Raises:
        DataError: ranks can't share a batch equally.
    """
    share = rank_share(batch_size, ranks)

    def batch(step: int) -> list[tuple[int, int]]:
        numbers = step * batch_size + rank * share + np.arange(share)
        return list(zip(numbering.rows(numbers).tolist(), numbers.tolist(), strict=True))

    return map(batch, itertools.count(first_step))


def rank_share(batch_size: int, ranks: int) -> int:
    """Divide a batch among ranks.

    Raises:
        DataError: they can't share it equally.
    """
    if batch_size % ranks:
        raise DataError(f"a batch of {batch_size} can't be shared by {ranks} devices: choose a batch_size that {ranks} divides")
    return batch_size // ranks
