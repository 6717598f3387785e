"""The order of training samples: permutations within groups of shards, and batches that don't depend on ranks."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructme.manifests.rows import DataError
from instructme.pipelines.data.order import Numbering, order, picks

SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=12)


@given(SIZES, st.integers(0, 2**31), st.integers(0, 50), st.integers(1, 5))
def test_an_epoch_holds_every_row_once_and_mixes_only_within_groups_of_shards(
    sizes: list[int], seed: int, epoch: int, group: int
) -> None:
    rows = order(seed, epoch, sizes, group)
    assert np.array_equal(np.sort(rows), np.arange(sum(sizes)))
    assert np.array_equal(rows, order(seed, epoch, np.array(sizes), group)), "pure"
    shard = np.repeat(np.arange(len(sizes)), sizes)[rows]
    places = [np.flatnonzero(shard == each) for each in range(len(sizes))]
    begun, ended = np.array([place[0] for place in places]), np.array([place[-1] for place in places])
    unfinished = [int(((begun <= at) & (ended > at)).sum()) for at in range(len(rows))]
    assert max(unfinished) <= group


def test_seeds_and_epochs_differ_and_shards_are_permuted_too() -> None:
    sizes = [10] * 20
    orders = {tuple(order(seed, epoch, sizes, 4)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16
    firsts = {int(order(0, epoch, sizes, 1)[0]) // 10 for epoch in range(40)}
    assert len(firsts) > 10


@given(SIZES, st.integers(0, 9), st.integers(1, 4), st.integers(1, 6), st.integers(0, 60))
def test_global_batches_are_the_same_for_any_number_of_ranks_and_from_any_step(
    sizes: list[int], seed: int, ranks: int, share: int, step: int
) -> None:
    size = ranks * share
    numbering = Numbering(seed, sizes, 3)
    alone = list(itertools.islice(picks(Numbering(seed, sizes, 3), size), step, step + 3))
    shared = [list(itertools.islice(picks(numbering, size, step, rank, ranks), 3)) for rank in range(ranks)]
    assert [list(itertools.chain(*each)) for each in zip(*shared, strict=True)] == alone
    numbers = [number for batch in alone for _, number in batch]
    assert numbers == list(range(step * size, (step + 3) * size))


@given(SIZES, st.integers(1, 40))
def test_epochs_follow_each_other_without_a_gap(sizes: list[int], size: int) -> None:
    total = sum(sizes)
    stream = itertools.chain.from_iterable(picks(Numbering(5, sizes), size))
    rows = np.array([row for row, _ in itertools.islice(stream, 3 * total)]).reshape(3, total)
    for epoch in range(3):
        assert np.array_equal(rows[epoch], order(5, epoch, sizes))


def test_millions_of_rows_are_ordered_from_their_sizes_alone() -> None:
    batch = next(picks(Numbering(0, [500] * 4000), 64, 10**6))
    assert len(batch) == 64 and batch[0][1] == 64 * 10**6 and max(row for row, _ in batch) < 2 * 10**6


def test_says_when_ranks_cannot_share_a_batch() -> None:
    with pytest.raises(DataError, match="a batch of 10 can't be shared by 4 devices: choose a batch_size that 4 divides"):
        picks(Numbering(0, [5]), 10, ranks=4)


def test_a_batch_mixes_the_shards_of_a_group() -> None:
    """Samples of one shard are alike: its triplets come from the same hundred clips."""
    rows = order(0, 0, [100] * 4, group=4)
    batches = rows.reshape(-1, 40) // 100
    assert min(len(set(batch.tolist())) for batch in batches) == 4
    assert max(np.bincount(batch).max() for batch in batches) < 20


def test_samples_of_one_shard_are_shuffled_too() -> None:
    rows = order(0, 0, [200], group=1)
    assert abs(np.corrcoef(rows, np.arange(200))[0, 1]) < 0.3


def test_sixteen_shards_are_read_side_by_side() -> None:
    rows = order(0, 0, [50] * 64) // 50
    assert [len(set(rows[at : at + 800].tolist())) for at in range(0, 3200, 800)] == [16] * 4
