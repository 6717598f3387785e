"""The stage `shard`: same bytes for any number of workers, resumable, and nothing dropped in silence."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from made_work import RATE_HZ, WINDOW, beats, make_part, make_work, read_sample, recipes

from instructme.dataset_tools import audio
from instructme.dataset_tools.sharding import render
from instructme.manifests import tables
from instructme.manifests.rows import DataError, Part, Sample, Triplet
from instructme.pipelines.cli import main
from instructme.pipelines.stages.shard import shard

PER_SHARD = 13


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def made(work: Path) -> Path:
    """Make shards in this process; tests copy it before they change anything."""
    shard(work, work / "shards", per_shard=PER_SHARD, workers=0)
    return work / "shards"


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "shards"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(folder: Path) -> list[tuple[Path, Sample]]:
    return [(path, row) for path in sorted(folder.glob("*.parquet")) for row in tables.read_rows(path, Sample)]


def test_same_bytes_for_any_number_of_workers(work: Path, made: Path, tmp_path: Path) -> None:
    shard(work, tmp_path, per_shard=PER_SHARD, workers=3)
    assert contents(tmp_path) == contents(made)


def test_every_recipe_is_rendered_once_and_indexed(made: Path) -> None:
    found = rows(made)
    assert sorted(row.triplet_id for _, row in found) == sorted(recipe.triplet_id for recipe in recipes())
    assert {recipe.triplet_id: recipe for recipe in recipes()} == {
        row.triplet_id: Triplet(**json.loads(row.recipe)) for _, row in found
    }
    index = json.loads((made / "index.json").read_text())
    assert index["counts"]["train"] == dict(Counter(recipe.task for recipe in recipes() if recipe.split == "train"))
    assert index["samples"] == 80 and [shard["name"] for shard in index["shards"]] == sorted(
        path.stem for path in made.glob("*.tar")
    )
    for marker in index["shards"]:
        assert json.loads((made / f"{marker['name']}.json").read_text()) == {
            name: value for name, value in marker.items() if name != "name"
        }
        assert {name: tables.sha256(made / name) for name in marker["files"]} == {
            name: file["sha256"] for name, file in marker["files"].items()
        }


def test_shards_keep_the_order_of_the_table(made: Path) -> None:
    written = [row.triplet_id for path, row in rows(made) if path.name.startswith("train-")]
    assert written == [recipe.triplet_id for recipe in recipes() if recipe.split == "train"]


def test_samples_read_by_offset_are_what_render_makes(made: Path) -> None:
    for index, row in rows(made):
        source, target, description = read_sample(index.with_suffix(".tar"), row)
        recipe = Triplet(**json.loads(row.recipe))
        on_disk = {window: audio.to_int16(make_part(window.track_id, window.instrument)) for window in render.windows(recipe)}
        again = render.render(
            recipe,
            lambda track, name, start, length, parts=on_disk: parts[render.Window(track, name, start, length)][
                start : start + length
            ],
            rate_hz=RATE_HZ,
        )
        assert np.array_equal(source, again.source) and np.array_equal(target, again.target)
        assert (row.gain, row.target_gain) == (again.gain, again.target_gain) == (description["gain"], description["target_gain"])
        assert row.sample_rate_hz == RATE_HZ and row.length_samples == WINDOW == len(source) == len(target)


def test_describes_the_source_window_in_seconds(made: Path) -> None:
    index, row = next(found for found in rows(made) if found[1].triplet_id == "remix-set-b-001")
    _, _, description = read_sample(index.with_suffix(".tar"), row)
    start = RATE_HZ
    inside = [beat for beat in beats("set-b") if start <= beat < start + WINDOW]
    assert description["beat_times_s"] == pytest.approx([(beat - start) / RATE_HZ for beat in inside], abs=1e-6)
    assert description["beat_positions"] == [3, 4, 1, 2][: len(inside)]
    assert description["chord_starts_s"] == pytest.approx([0, 4 * 0.52 - 1]) and description["chord_labels"] == ["C:maj", "A:min"]
    assert description["provenance"]["target"]["track"] == "set-a" and description["licence"] == "CC-BY-4.0 AND CC0-1.0"
    assert (description["task"], description["dataset"], description["rhythm_source"]) == ("remix", "set", "midi")


def test_keeps_finished_shards_and_makes_the_others(work: Path, made: Path, copy: Path) -> None:
    (copy / "train-00001.json").unlink()
    (copy / "test-00000.tar").write_bytes((copy / "test-00000.tar").read_bytes()[:-1])
    before = {path.name: path.stat().st_mtime_ns for path in copy.glob("*.tar")}
    index = shard(work, copy, per_shard=PER_SHARD, workers=0)
    assert index["kept"] == len(index["shards"]) - 2
    after = {path.name: path.stat().st_mtime_ns for path in copy.glob("*.tar")}
    assert {name for name in after if after[name] != before[name]} == {"train-00001.tar", "test-00000.tar"}
    assert contents(copy) == contents(made)


def test_makes_all_again_when_arguments_or_tables_change(
    work: Path, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(work, tmp_path / "other", ignore=shutil.ignore_patterns("shards")))
    fewer = recipes()[:30]
    tables.write(other / "triplets.parquet", fewer, Triplet)
    index = shard(other, copy, per_shard=PER_SHARD, workers=0)
    assert index["kept"] == 0 and index["samples"] == 30
    assert "shard: makes 4 finished shards again, because" in capsys.readouterr().err
    assert shard(other, copy, per_shard=PER_SHARD, normalise="side", workers=0)["kept"] == 0


def test_removes_only_stale_files_of_its_own(work: Path, copy: Path) -> None:
    strangers = ["notes.txt", "train-1.tar", "train-00000.tar.bak", "weights.json"]
    for name in [*strangers, "train-00099.tar", "train-00099.json", ".train-00000.tar.123.tmp"]:
        (copy / name).write_text("x")
    index = shard(work, copy, per_shard=40, splits=["train"], workers=0)
    assert [marker["name"] for marker in index["shards"]] == ["train-00000"]
    assert sorted(path.name for path in copy.iterdir()) == sorted(
        [
            *(*strangers, "train-00000.tar", "train-00000.parquet", "train-00000.json"),
            *("README.md", "croissant.json", "index.json", ".instructme"),
        ]
    )


def test_finished_shards_of_other_splits_stay_and_what_is_removed_is_told(
    work: Path, made: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (made / "index.json").read_bytes()
    for name in ("test-00000.tar", "test-00000.json"):
        (copy / name).unlink()
    shard(work, copy, per_shard=PER_SHARD, splits=["test"], workers=0)
    assert (copy / "index.json").read_bytes() == whole and "removes" not in capsys.readouterr().err
    shard(work, copy, per_shard=PER_SHARD, limit=5, splits=["test"], workers=0)
    assert (copy / "train-00001.tar").exists()
    shard(work, copy, per_shard=PER_SHARD, limit=5, workers=0)
    assert "removes" in capsys.readouterr().err and not (copy / "train-00001.tar").exists()


def test_shards_of_somebody_else_are_never_replaced(work: Path, tmp_path: Path) -> None:
    (tmp_path / "train-00007.tar").write_text("precious")
    with pytest.raises(DataError, match=r"holds train-00007\.tar, which instructme did not write"):
        shard(work, tmp_path, per_shard=PER_SHARD, workers=0)
    assert [path.name for path in tmp_path.iterdir()] == ["train-00007.tar"]


def test_limit_takes_the_first_of_each_split_in_the_same_order(work: Path, made: Path, tmp_path: Path) -> None:
    index = shard(work, tmp_path, per_shard=PER_SHARD, limit=PER_SHARD, workers=0)
    assert {split: sum(tasks.values()) for split, tasks in index["counts"].items()} == dict.fromkeys(
        ("train", "validation", "test"), PER_SHARD
    )
    assert (tmp_path / "train-00000.tar").read_bytes() == (made / "train-00000.tar").read_bytes()


def test_cuts_shards_by_size(work: Path, tmp_path: Path) -> None:
    index = shard(work, tmp_path, shard_size_mb=0.32, splits=["train"], workers=0)
    sizes = [marker["files"][f"{marker['name']}.tar"]["bytes"] for marker in index["shards"]]
    assert len(sizes) == 5 and all(0.15e6 < size < 0.6e6 for size in sizes)


def test_levels_each_side_on_its_own_when_asked(work: Path, tmp_path: Path) -> None:
    shard(work, tmp_path, normalise="side", limit=5, splits=["train"], workers=0)
    for index, row in rows(tmp_path):
        source, target, _ = read_sample(index.with_suffix(".tar"), row)
        assert np.abs(source).max() == pytest.approx(render.CEILING, abs=1e-4) == np.abs(target).max()
        assert row.gain != row.target_gain


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:200])])
def test_a_missing_or_damaged_part_ends_the_run_and_is_named(work: Path, tmp_path: Path, damage) -> None:
    other = Path(shutil.copytree(work, tmp_path / "other", ignore=shutil.ignore_patterns("shards")))
    damage(other / "parts/set-c/piano.flac")
    with pytest.raises(DataError, match=r"parts/set-c/piano\.flac.*run prepare again"):
        shard(other, tmp_path / "out", per_shard=PER_SHARD, workers=0)
    assert not (tmp_path / "out/index.json").exists()


def test_without_recipes_it_says_what_to_do(work: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such table: .*tracks\.parquet: run"):
        shard(tmp_path, tmp_path / "out")
    other = Path(shutil.copytree(work, tmp_path / "other", ignore=shutil.ignore_patterns("shards", "parts")))
    tables.write(other / "triplets.parquet", [], Triplet)
    with pytest.raises(DataError, match=r"no triplets of train, validation, test in .*: run pair"):
        shard(other, tmp_path / "out")


def test_recipes_of_other_tables_are_refused(work: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(work, tmp_path / "other", ignore=shutil.ignore_patterns("shards", "parts")))
    parts = tables.read_rows(other / "parts.parquet", Part)
    tables.write(other / "parts.parquet", parts[1:], Part)
    with pytest.raises(DataError, match=r"parts\.parquet has changed since.*: run pair again"):
        shard(other, tmp_path / "out")


@pytest.mark.parametrize(
    ("what", "values"),
    [
        ("triplet_id holds '../../etc/x'", {"triplet_id": "../../etc/x"}),
        ("triplet_id holds 'xxx", {"triplet_id": "x" * 100}),
        ("two rows have the same triplet_id", {"triplet_id": recipes()[1].triplet_id}),
        ("split holds", {"split": "../x"}),
        ("task holds 'sing'", {"task": "sing"}),
        ("length_samples holds 0", {"length_samples": 0}),
        ("target_start_samples holds -1", {"target_start_samples": -1}),
        ("source_instruments holds a list of length 0", {"source_instruments": []}),
        ("target_stretch holds nan", {"target_stretch": float("nan")}),
        ("target_stretch holds 0.0", {"target_stretch": 0.0}),
    ],
)
def test_recipes_that_pair_never_writes_are_refused(work: Path, tmp_path: Path, what: str, values: dict[str, Any]) -> None:
    other = Path(shutil.copytree(work, tmp_path / "other", ignore=shutil.ignore_patterns("shards", "parts")))
    first, *others = recipes()
    tables.write(other / "triplets.parquet", [dataclasses.replace(first, **values), *others], Triplet)
    with pytest.raises(
        DataError, match=rf"triplets\.parquet was changed by hand: {what}.*: delete it and run 'instructme pair' again"
    ):
        shard(other, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [1.5, 2.0, 2.3, 2.6])
def test_killed_at_any_moment_and_run_again_it_ends_with_the_same_bytes(
    work: Path, made: Path, tmp_path: Path, after_s: float
) -> None:
    command = [
        sys.executable,
        "-m",
        "instructme.pipelines.cli",
        "shard",
        str(work),
        "-o",
        str(tmp_path),
        "--per-shard",
        str(PER_SHARD),
    ]
    command[1:3] = ["-c", "from instructme.pipelines.cli import main; main()"]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    time.sleep(after_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    shard(work, tmp_path, per_shard=PER_SHARD, workers=2)
    assert contents(tmp_path) == contents(made)


def test_command_prints_what_it_made_and_refuses_unknown_splits(work: Path, made: Path) -> None:
    result = CliRunner().invoke(main, ["shard", str(work), "--per-shard", str(PER_SHARD), "--workers", "0"])
    assert result.exit_code == 0 and "80 triplets" in result.output and "(8 kept)" in result.output
    assert "train: 8 add, 8 remove, 8 extract, 8 replace, 8 remix" in result.output
    assert CliRunner().invoke(main, ["shard", str(work), "--splits", "train,tset"]).exit_code == 2
