"""`open_shards`: whole tars through webdataset, each sample once over nodes and workers, the same as `TripletDataset`."""

import itertools
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from made_work import RATE_HZ, make_work
from torch.utils.data import DataLoader

from instructme import DataError, TripletDataset, open_shards
from instructme.pipelines.stages.shard import shard


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = make_work(tmp_path_factory.mktemp("made") / "work")
    shard(work, work / "shards", per_shard=7, workers=0)
    return work / "shards"


def keys(stream: Any) -> list[str]:
    return [sample["key"] for sample in stream]


def test_samples_are_those_of_the_dataset_in_its_order(made: Path) -> None:
    dataset, stream = TripletDataset(made, "train"), list(open_shards(made))
    assert len(stream) == len(dataset) == 40
    for item, sample in zip(dataset, stream, strict=False):
        assert sample["sample_rate_hz"] == RATE_HZ and sample["json"] == json.loads(item["json"])
        assert [sample[name] for name in ("key", "task", "instruction")] == [item[n] for n in ("key", "task", "instruction")]
        for side in ("source", "target"):
            assert sample[side].dtype == np.float32 and np.array_equal(sample[side], item[side])


def test_shards_are_named_in_four_ways(made: Path) -> None:
    expected = keys(open_shards(made))
    assert keys(open_shards(str(made))) == expected
    assert keys(open_shards(sorted(made.glob("train-*.tar")))) == expected
    assert keys(open_shards(f"{made}/train-{{00000..00005}}.tar")) == expected
    assert keys(open_shards(made / "train-00001.tar")) == expected[7:14]
    assert keys(open_shards(made, split="test")) == keys(open_shards(sorted(made.glob("test-*.tar"))))


def test_a_tar_that_is_listed_twice_is_read_twice(made: Path) -> None:
    tar = made / "train-00001.tar"
    assert keys(open_shards([tar, tar])) == 2 * keys(open_shards(tar))


def test_a_shard_of_another_run_with_as_many_samples_is_refused(made: Path, tmp_path: Path) -> None:
    shards = Path(shutil.copytree(made, tmp_path / "shards"))
    shard(made.parent, tmp_path / "other", per_shard=7, normalise="side", workers=0)
    shutil.copy(tmp_path / "other/train-00001.tar", shards)
    with pytest.raises(DataError, match=r"train-00001\.tar isn't the shard that index\.json lists"):
        keys(open_shards(shards))


def test_two_nodes_of_two_workers_read_every_sample_once(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        own = keys(webdataset.WebLoader(open_shards(made, shuffle=5), batch_size=None, num_workers=2))
        assert own
        read += own
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    assert sorted(read) == sorted(keys(open_shards(made)))


def test_a_node_that_would_read_nothing_is_refused(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tars = sorted(made.glob("*.tar"))[:2]
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        with pytest.raises(DataError, match="2 shards can't be shared by 3 nodes"):
            next(iter(open_shards(tars)))
        assert next(iter(open_shards(tars, epochs=None)))
        assert next(iter(open_shards(tars, epochs=2)))


def test_a_seed_shuffles_shards_and_samples_and_gives_the_same_order_again(made: Path) -> None:
    plain, mixed = keys(open_shards(made)), open_shards(made, shuffle=5, seed=1)
    first = keys(mixed)
    assert first != plain and sorted(first) == sorted(plain)
    assert keys(mixed) == first == keys(pickle.loads(pickle.dumps(mixed)))
    assert keys(open_shards(made, shuffle=5, seed=2)) != first


def test_epochs_follow_each_other_in_orders_of_their_own(made: Path) -> None:
    one = keys(open_shards(made, epochs=2))
    assert one[:40] == one[40:]
    endless = list(itertools.islice(keys_of(open_shards(made, shuffle=1, epochs=None)), 120))
    epochs = [endless[first : first + 40] for first in (0, 40, 80)]
    assert epochs[0] != epochs[1] != epochs[2] and all(len(set(each)) > 30 for each in epochs)


def keys_of(stream: Any) -> Any:
    return (sample["key"] for sample in stream)


def test_what_cannot_be_read_is_one_line(made: Path, tmp_path: Path) -> None:
    def fails(match: str, urls: Any, workers: int = 0) -> None:
        with pytest.raises(DataError, match=match) as caught:
            list(open_shards(urls))
        assert "\n" not in str(caught.value)

    fails("no index.json in", tmp_path)
    fails("the list of shards is empty", [])
    fails("no such shard: .*none.tar", tmp_path / "none.tar")
    whole = (made / "train-00000.tar").read_bytes()
    for part in (0.3, 0.6, 0.9):
        (tmp_path / "cut.tar").write_bytes(whole[: int(len(whole) * part)])
        fails("damaged shard: .*cut.tar: run 'instructme shard' again", tmp_path / "cut.tar")
    with webdataset.TarWriter(str(tmp_path / "other.tar")) as tar:
        tar.write({"__key__": "one", "json": {"task": "add", "instruction": "x"}})
    fails("one in .*other.tar: no source.flac", tmp_path / "other.tar")


def test_tensors_and_arrays_load_in_batches_and_crops_follow_seed_and_row(made: Path) -> None:
    whole = TripletDataset(made, "train")
    for tensors, shape in ((False, (8, RATE_HZ // 2)), (True, (8, 1, RATE_HZ // 2))):
        cut = TripletDataset(made, "train", crop_s=0.5, tensors=tensors, seed=3)
        batch = next(iter(DataLoader(cut, batch_size=8, num_workers=1)))
        assert tuple(batch["source"].shape) == tuple(batch["target"].shape) == shape
        assert np.array_equal(np.asarray(batch["source"][2]).ravel(), np.asarray(cut[2]["source"]).ravel())
    starts = []
    for row in range(len(whole)):
        one, other = (TripletDataset(made.parent if work else made, "train", crop_s=0.5, seed=3)[row] for work in (False, True))
        windows = np.lib.stride_tricks.sliding_window_view(whole[row]["source"], RATE_HZ // 2)
        at = int(np.flatnonzero((windows == one["source"]).all(axis=1))[0])
        assert np.array_equal(one["target"], whole[row]["target"][at : at + RATE_HZ // 2])
        assert np.array_equal(one["source"], other["source"]) and one["json"] == other["json"]
        starts.append(at)
    assert len(set(starts)) > 20
    for crop_s in (0.0, -1.0, 2.5):
        with pytest.raises(DataError, match="can't be cut from clips of 2 s"):
            TripletDataset(made, "train", crop_s=crop_s)
    with pytest.raises(DataError, match="holds shards, which are normalised already"):
        TripletDataset(made, "train", normalise="side")
