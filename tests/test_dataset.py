"""Triplets mixed on the fly: sample for sample what plain webdataset reads from shards of the same recipes."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import webdataset
from made_work import RATE_HZ, make_work
from torch.utils.data import DataLoader

from instructme.manifests.rows import DataError
from instructme.pipelines.data.dataset import TripletDataset
from instructme.pipelines.stages.shard import shard


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("made") / "work")


@pytest.mark.parametrize("normalise", ["joint", "side"])
def test_samples_are_those_of_the_shards(work: Path, tmp_path: Path, normalise: str) -> None:
    shard(work, tmp_path, per_shard=7, workers=0, normalise=normalise)
    tars = sorted(str(path) for path in tmp_path.glob("train-?????.tar"))
    written = list(webdataset.WebDataset(tars, shardshuffle=False))
    mixed = TripletDataset(work, "train", normalise=normalise)
    assert len(tars) > 1 and len(mixed) == len(written) > 7
    for item, sample in zip(mixed, written, strict=True):
        assert item["key"] == sample["__key__"]
        assert item["json"].encode() == sample["json"]
        assert item["instruction"] == json.loads(sample["json"])["instruction"]
        for side in ("source", "target"):
            samples, rate_hz = soundfile.read(io.BytesIO(sample[f"{side}.flac"]), dtype="float32")
            assert rate_hz == mixed.sample_rate_hz == RATE_HZ
            np.testing.assert_array_equal(item[side], samples)


def test_any_row_in_any_process(work: Path) -> None:
    mixed = TripletDataset(str(work), "train")
    np.testing.assert_array_equal(mixed[-1]["source"], mixed[len(mixed) - 1]["source"])
    for beyond in (len(mixed), -len(mixed) - 1):
        with pytest.raises(IndexError):
            mixed[beyond]
    loaded = [key for batch in DataLoader(mixed, batch_size=4, num_workers=2) for key in batch["key"]]
    assert loaded == [mixed[row]["key"] for row in range(len(mixed))]


def test_what_cannot_be_mixed_is_one_line(work: Path, tmp_path: Path) -> None:
    for folder, split, normalise in ((tmp_path, "train", "joint"), (work, "dev", "joint"), (work, "train", "loud")):
        with pytest.raises(DataError) as caught:
            TripletDataset(folder, split, normalise=normalise)
        assert "\n" not in str(caught.value)
