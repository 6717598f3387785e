"""Arguments of Python calls that would give wrong data without a message, as no command line has checked them."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from made_work import make_work

import instructme
from instructme.dataset_tools.pairing.edits import PairOptions
from instructme.dataset_tools.prepare_track import PrepareSettings
from instructme.manifests import limits
from instructme.manifests.rows import DataError
from instructme.pipelines.commands import pair, prepare

Call = Callable[[Path], Any]
WRONG: list[tuple[str, Call]] = [
    ("rhythm can't be 'Midi'", lambda work: PrepareSettings(rhythm="Midi")),
    ("chords can't be 'chart'", lambda work: PrepareSettings(chords="chart")),
    ("min_active can't be 30", lambda work: PrepareSettings(min_active=30)),
    ("clip_seconds can't be 0", lambda work: PrepareSettings(clip_seconds=0)),
    ("sample_rate_hz can't be 24000.5", lambda work: PrepareSettings(sample_rate_hz=24000.5)),  # type: ignore[arg-type]
    ("max_under_mix_db can't be nan", lambda work: PrepareSettings(max_under_mix_db=float("nan"))),
    ("channels can't be 6", lambda work: instructme.prepare(work, channels=6)),
    ("tempo_tolerance can't be 6", lambda work: PairOptions(tempo_tolerance=6)),
    ("balance can't be '0.5'", lambda work: PairOptions(balance="0.5")),  # type: ignore[arg-type]
    ("paraphrase can't be 30", lambda work: instructme.pair(work, paraphrase=30)),
    ("the count of add can't be -1", lambda work: instructme.pair(work, counts={"add": -1})),
    ("total can't be 0", lambda work: instructme.pair(work, total=0)),
    ("seconds can't be 0", lambda work: instructme.pair(work, seconds=[30, 0])),
    ("rounds can't be 9", lambda work: instructme.pair(work, rounds=9)),
    ("limit can't be -1", lambda work: instructme.shard(work, work / "s", limit=-1)),
    ("per_shard can't be 0", lambda work: instructme.shard(work, work / "s", per_shard=0)),
    ("splits can't be 'val'", lambda work: instructme.shard(work, work / "s", splits=["train", "val"])),
    ("sample can't be -1", lambda work: instructme.verify(work, sample=-1)),
    ("a crop of 1e-06 s", lambda work: instructme.TripletDataset(work, "train", crop_s=1e-6)),
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("work"))


@pytest.mark.parametrize(("told", "call"), WRONG, ids=[told for told, _ in WRONG])
def test_a_value_that_can_not_be_is_refused(told: str, call: Call, work: Path) -> None:
    with pytest.raises(DataError, match=f"^{told}.*: (give|choose) "):
        call(work)


@pytest.mark.parametrize(("command", "settings"), [(prepare.command, PrepareSettings), (pair.command, PairOptions)])
def test_whatever_an_option_takes_a_call_takes(command: click.Command, settings: type) -> None:
    checked = 0
    for option in command.params:
        name, kind = str(option.name), option.type
        if name in {field.name for field in dataclasses.fields(settings)}:
            ends = kind.choices if isinstance(kind, click.Choice) else (getattr(kind, "min", None), getattr(kind, "max", None))
            for value in (each for each in ends if each is not None):
                settings(**{name: value})
                checked += 1
    assert checked >= 6


def test_numbers_of_numpy_are_numbers() -> None:
    limits.whole("count", np.int64(3), 3, 3)
    limits.number("share", np.float32(0.5), 0.5, 0.5)
    with pytest.raises(DataError, match="give a whole number of 1 or more"):
        limits.whole("count", np.float64(3), 1)
    with pytest.raises(DataError, match="give a number from 0 to 1"):
        limits.number("share", 1.5, 0, 1)


def test_a_split_may_be_given_alone(work: Path, tmp_path: Path) -> None:
    assert set(instructme.shard(work, tmp_path, splits="test", workers=0)["counts"]) == {"test"}


def test_shards_of_two_rates_are_no_dataset(work: Path, tmp_path: Path) -> None:
    """A dataset states one rate for all its samples."""
    instructme.shard(work, tmp_path, splits="train", per_shard=20, workers=0)
    index = json.loads((tmp_path / "index.json").read_text())
    index["shards"][0]["sample_rate_hz"] = 16000
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match="shards of several sample rates"):
        instructme.TripletDataset(tmp_path, "train")


def test_tables_state_later_settings_of_prepare_only_where_they_are_not_the_default() -> None:
    """So that the parts of older working folders stay valid."""
    stated = {"min_lufs": -50.0, "balance_stems": True, "channels": 2}
    assert PrepareSettings().arguments().keys() & stated.keys() == set()
    for name, value in stated.items():
        assert PrepareSettings(**{name: value}).arguments() == PrepareSettings().arguments() | {name: value}
