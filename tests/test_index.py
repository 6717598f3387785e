"""The index of a folder of shards: sums over all of them, and a hash that any changed byte changes."""

import copy

from instructme.dataset_tools.sharding.index import PER_SHARD, index_of

MARKERS = {
    "train-0001": {
        "tasks": {"add": 3, "remix": 2},
        "samples": 5,
        "seconds": 50.0004,
        "sample_rate_hz": 24000,
        "files": {"train-0001.tar": {"sha256": "b", "bytes": 10}, "train-0001.parquet": {"sha256": "c", "bytes": 5}},
    },
    "train-0000": {
        "tasks": {"add": 1},
        "samples": 1,
        "seconds": 10.0003,
        "sample_rate_hz": 24000,
        "files": {"train-0000.tar": {"sha256": "a", "bytes": 7}},
    },
    "test-0000": {
        "tasks": {"remix": 4},
        "samples": 4,
        "seconds": 40.0,
        "sample_rate_hz": 24000,
        "files": {"test-0000.tar": {"sha256": "d", "bytes": 1}},
    },
}


def test_counts_are_summed_by_split_and_task() -> None:
    index = index_of(MARKERS)
    assert index["counts"] == {"train": {"add": 4, "remix": 2}, "test": {"remix": 4}}
    assert (index["samples"], index["bytes"], index["sample_rate_hz"]) == (10, 23, 24000)
    assert index["seconds"] == 100.001, "to a millisecond"
    assert [shard["name"] for shard in index["shards"]] == ["test-0000", "train-0000", "train-0001"]
    assert index["shards"][1]["samples"] == 1


def test_channels_are_said_only_where_a_shard_has_two() -> None:
    assert "channels" not in index_of(MARKERS)
    mono = {name: {**marker, "channels": 1} for name, marker in MARKERS.items()}
    assert "channels" not in index_of(mono)
    assert index_of({**mono, "test-0000": {**MARKERS["test-0000"], "channels": 2}})["channels"] == 2
    assert index_of({**MARKERS, "test-0000": {**MARKERS["test-0000"], "channels": 2}})["channels"] == 2


def test_the_hash_is_that_of_every_file_whatever_their_order() -> None:
    changed = copy.deepcopy(MARKERS)
    changed["train-0001"]["files"]["train-0001.parquet"]["sha256"] = "e"
    turned = dict(reversed(MARKERS.items()))
    assert index_of(turned)["hash"] == index_of(MARKERS)["hash"] != index_of(changed)["hash"]


def test_a_shard_of_10_s_triplets_is_a_file_of_a_few_hundred_megabytes() -> None:
    pcm_bytes = PER_SHARD * 2 * 10 * 24000 * 2
    assert 200e6 < 0.6 * pcm_bytes < 400e6
