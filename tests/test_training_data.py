"""What a run knows of its data: identity, tasks, instruments, levels, and the words of its instructions."""

import dataclasses
from pathlib import Path

import pytest
from made_work import make_work

from instructme.manifests import tables
from instructme.manifests.rows import Triplet
from instructme.pipelines.stages.shard import shard
from instructme.pipelines.training.data_card import describe


def written(work: Path, texts: dict[str, str]) -> Path:
    """Make a working folder whose recipes say these texts."""
    make_work(work)
    path = work / "triplets.parquet"
    rows = [dataclasses.replace(row, instruction=texts[row.task]) for row in tables.read_rows(path, Triplet) if row.task in texts]
    parents = [work / name for name in ("clips.parquet", "parts.parquet", "rhythm.parquet", "tracks.parquet")]
    tables.write(path, rows, Triplet, seed=0, parents=parents)
    return work


def test_shards_and_recipes_are_described_alike(tmp_path: Path) -> None:
    work = make_work(tmp_path / "work")
    shard(work, work / "shards", workers=0)
    recipes, shards = describe(work), describe(work / "shards")
    for name in ("split", "tasks", "instruments", "genres"):
        assert recipes[name] == shards[name]
    assert recipes.get("templates") == shards.get("templates")
    assert recipes["hash"] != shards["hash"]
    assert recipes["rms_db"] == pytest.approx(shards["rms_db"], abs=1.5)
    low, high = shards["rms_range_db"]
    assert low <= shards["rms_db"] <= high


def test_what_other_splits_hold_was_not_trained(tmp_path: Path) -> None:
    work = make_work(tmp_path / "work")
    path = work / "triplets.parquet"
    rows = [dataclasses.replace(row, split="test") if row.task == "replace" else row for row in tables.read_rows(path, Triplet)]
    parents = [work / name for name in ("clips.parquet", "parts.parquet", "rhythm.parquet", "tracks.parquet")]
    tables.write(path, rows, Triplet, seed=0, parents=parents)
    assert "replace" not in describe(work)["tasks"] and "add" in describe(work)["tasks"]


def test_the_papers_words_need_no_templates(tmp_path: Path) -> None:
    work = written(tmp_path / "work", {"add": "Add piano", "remix": "remix with piano, drums"})
    assert "templates" not in describe(work)


def test_own_words_are_found_again_as_templates(tmp_path: Path) -> None:
    texts = {"add": "bring in the Piano", "replace": "swap bass for piano", "remix": "play it with piano, drums"}
    assert describe(written(tmp_path / "work", texts))["templates"] == {
        "add": ["bring in the {instrument}"],
        "replace": ["swap {instrument_a} for {instrument_b}"],
        "remix": ["play it with {instruments}"],
    }
