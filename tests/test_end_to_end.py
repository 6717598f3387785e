"""The main job on real music: the built-in corpus, through every stage, against its own ground truth."""

import json
import shutil
from pathlib import Path

import mir_eval
import numpy as np
import pytest
from benchmarks import activity
from click.testing import CliRunner

from instructme.dataset_tools.tasks import task_modules
from instructme.manifests import tables
from instructme.manifests.rows import SPLITS, Part, Rhythm, Track, Triplet
from instructme.pipelines.cli import main

pytestmark = pytest.mark.skipif(
    not (shutil.which("mma") and shutil.which("fluidsynth")), reason="the programs of the built-in corpus are missing"
)
BUILD = ["--total", "100", "--eval-count", "6"]


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("end") / "corpus"
    invoke("corpus", folder, "--tier", "mini")
    return folder


@pytest.fixture(scope="module")
def work(corpus: Path) -> Path:
    invoke("build", corpus, corpus.with_name("work"), *BUILD)
    return corpus.with_name("work")


def rhythms(corpus: Path, work: Path) -> list[tuple[Path, Rhythm]]:
    folders = {track.track_id: corpus / track.path for track in tables.read_rows(work / "tracks.parquet", Track)}
    return [(folders[row.track_id], row) for row in tables.read_rows(work / "rhythm.parquet", Rhythm)]


def test_every_split_has_every_task_and_nothing_is_wrong(work: Path) -> None:
    counts = json.loads((work / "shards/index.json").read_text())["counts"]
    mix = {name for name, task in task_modules().items() if task.SHARE}
    assert {split: set(tasks) for split, tasks in counts.items()} == dict.fromkeys(SPLITS, mix)
    assert "no faults" in invoke("verify", work / "shards", "--work", work)


def test_built_again_everything_is_kept(corpus: Path, work: Path) -> None:
    before = {path: path.read_bytes() for path in [*work.glob("*.parquet"), work / "shards/index.json"]}
    assert "kept" in invoke("build", corpus, work, *BUILD)
    assert {path: path.read_bytes() for path in before} == before


def test_activity_is_that_of_the_notes(work: Path) -> None:
    pairs = [pair for group in activity.of_work(work).values() for pair in group]
    assert activity.pooled(pairs)[0] >= 0.95


def test_beats_are_those_of_the_song(corpus: Path, work: Path) -> None:
    for folder, row in rhythms(corpus, work):
        times_s, positions = np.loadtxt(folder / "beats.txt", unpack=True)
        found_s, counted = np.array(row.beats_samples) / 24000, np.array(row.beat_positions)
        music = found_s < times_s[-1] + 0.1  # the grid goes on while the last notes fade
        assert row.source == "midi" and row.meter
        assert mir_eval.beat.f_measure(times_s, found_s[music]) >= 0.99
        assert mir_eval.beat.f_measure(times_s[positions == 1], found_s[music & (counted == 1)]) >= 0.99


def test_the_lead_is_left_out_of_remixes_and_recorded(corpus: Path, work: Path) -> None:
    leads = {(part.track_id, part.instrument) for part in tables.read_rows(work / "parts.parquet", Part) if part.lead}
    assert len(leads) == len(list(corpus.glob("*/Track*")))
    for row in tables.read_rows(work / "triplets.parquet", Triplet):
        if row.task == "remix":
            assert all((row.source_track, name) in leads for name in row.left_out)
            assert not any((row.source_track, name) in leads for name in row.source_instruments)
            assert not any((row.target_track, name) in leads for name in row.target_instruments)
