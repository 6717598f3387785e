"""The sequential order: every sample of every epoch once, the same for any workers, and from any step at once."""

import dataclasses
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_work import RATE_HZ, WINDOW, make_work

from instructme.manifests.rows import DataError
from instructme.model.presets import TINY
from instructme.pipelines.data import sequential
from instructme.pipelines.data.sequential import lane, sequential_batches
from instructme.pipelines.data.stream import Triplets
from instructme.pipelines.stages.shard import shard

PRESET = dataclasses.replace(TINY, sample_rate_hz=RATE_HZ, clip_seconds=WINDOW / RATE_HZ)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = make_work(tmp_path_factory.mktemp("made") / "work")
    shard(work, work / "shards", per_shard=7, workers=0)
    return work


def triplets(made: Path, **options: Any) -> Triplets:
    return Triplets(made / "shards", "train", PRESET, segment_seconds=0.5, **options)


def take(read: Triplets, steps: int, first: int = 0, rank: int = 0, ranks: int = 1, workers: int = 0) -> list[dict[str, Any]]:
    stream = sequential_batches(read, first, rank, ranks, batch_size=4, seed=1, workers=workers)
    return list(itertools.islice(stream, steps))


def same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    def equal(a: Any, b: Any) -> bool:
        return torch.equal(a, b) if torch.is_tensor(a) else a == b

    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(equal(a[name], b[name]) for name in a) for a, b in zip(one, other, strict=True)
    )


@given(st.lists(st.integers(1, 9), min_size=1, max_size=7), st.integers(1, 3), st.integers(0, 5), st.integers(0, 60))
def test_lanes_share_the_shards_of_each_epoch_and_go_on_where_they_were(
    sizes: list[int], numbers: int, seed: int, taken: int
) -> None:
    counts = np.array(sizes)
    dealt = 3 * len(sizes)
    each = [list(itertools.islice(lane(counts, seed, number, numbers, 0), dealt)) for number in range(numbers)]
    turns = [each[place % numbers][place // numbers][:2] for place in range(dealt)]
    assert Counter(turns) == {(epoch, shard): 1 for epoch in range(3) for shard in range(len(sizes))}
    # A sample of a lane is (epoch, shard, place in the shard).
    samples = [(epoch, shard, place) for epoch, shard, _ in each[0] for place in range(sizes[shard])]
    again = itertools.islice(lane(counts, seed, 0, numbers, taken), dealt)
    rest = [(epoch, shard, place) for epoch, shard, skipped in again for place in range(skipped, sizes[shard])]
    assert samples[taken:] == rest[: max(len(samples) - taken, 0)]


def test_a_sample_is_that_of_the_exact_order_with_the_same_number(work: Path) -> None:
    read = triplets(work, changes=True, work=work)
    rows = {read.read.values(row)["triplet_id"]: row for row in range(len(read))}
    for batch in take(read, 3):
        for place, key in enumerate(batch["key"]):
            item = read[rows[key], int(batch["number"][place])]
            assert batch["instruction"][place] == item["instruction"]
            assert all(torch.equal(batch[name][place], item[name]) for name in ("source", "target", "removed", "added"))


def test_batches_are_the_same_for_any_workers_and_from_any_step(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = take(triplets(work), 24)
    assert [number for batch in whole for number in batch["number"].tolist()] == list(range(96))
    assert same(take(triplets(work), 6, workers=3), whole[:6])
    opened: list[str] = []
    read = sequential.tar_samples
    monkeypatch.setattr(sequential, "tar_samples", lambda path, *told: opened.append(path.name) or read(path, *told))
    for first in (1, 7, 13):
        opened.clear()
        assert same(take(triplets(work), 3, first=first), whole[first : first + 3])
        assert len(opened) <= 2 * 3, "shards that are finished are not opened"


def test_two_ranks_train_on_every_sample(work: Path) -> None:
    shares = [take(triplets(work), 40, rank=rank, ranks=2) for rank in range(2)]
    seen = Counter(key for share in shares for batch in share for key in batch["key"])
    assert len(seen) == 40 and sum(seen.values()) == 160
    numbers = sorted(number for share in shares for batch in share for number in batch["number"].tolist())
    assert numbers == list(range(160))


def test_seeds_and_epochs_have_orders_of_their_own(work: Path) -> None:
    one = [batch["key"] for batch in itertools.islice(sequential_batches(triplets(work), batch_size=4, seed=1), 8)]
    two = [batch["key"] for batch in itertools.islice(sequential_batches(triplets(work), batch_size=4, seed=2), 8)]
    assert one != two
    turns = [[shard for _, shard, _ in itertools.islice(lane(np.full(9, 2), 0, 0, 1, 18 * epoch), 9)] for epoch in range(2)]
    assert turns[0] != turns[1]


def test_what_cannot_be_read_so_is_one_line(work: Path) -> None:
    with pytest.raises(DataError, match="the data are recipes: run 'instructme shard', or use --order exact"):
        take(Triplets(work, "train", PRESET), 1)
    with pytest.raises(DataError, match="a batch of 4 can't be shared by 3 devices"):
        take(triplets(work), 1, ranks=3)
    tar = work / "shards" / "train-00003.tar"
    whole = tar.read_bytes()
    try:
        tar.write_bytes(whole[: len(whole) // 2])
        for workers in (0, 1):
            with pytest.raises(DataError, match=r"^damaged shard: .*train-00003\.tar.*run 'instructme shard' again") as caught:
                take(triplets(work), 20, workers=workers)
            assert "\n" not in str(caught.value)
    finally:
        tar.write_bytes(whole)
