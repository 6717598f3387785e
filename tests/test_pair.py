"""The stage and the verb: shares, files, provenance, reasons, repeatability."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from synthetic import write_tables

from instructme.dataset_tools.beats.rhythm import REMEDY
from instructme.manifests import tables
from instructme.manifests.rows import Clip, DataError, Reject, Rhythm, Triplet
from instructme.pipelines.cli import main
from instructme.pipelines.sentences import sentence_reader
from instructme.pipelines.stages.pair import pair, share


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    write_tables(folder, 20, 3)
    return folder


def run(*arguments):
    return CliRunner().invoke(main, ["pair", *map(str, arguments)])


def test_total_is_shared_as_in_the_paper():
    assert share(2_000_000) == {"remix": 1_000_000, "add": 300_000, "replace": 300_000, "extract": 200_000, "remove": 200_000}
    assert sum(share(1237).values()) == 1237


def test_writes_the_same_bytes_again_with_its_parents(work):
    first = pair(work, total=300, eval_count=20)
    written = (work / "triplets.parquet").read_bytes()
    again = pair(work, total=300, eval_count=20)
    assert (work / "triplets.parquet").read_bytes() == written
    assert first == again
    stated = tables.provenance(work / "triplets.parquet")
    assert set(stated["parents"]) == {"tracks.parquet", "parts.parquet", "rhythm.parquet", "clips.parquet"}
    assert stated["seed"] == 0
    assert str(work) not in str(stated)
    assert tables.broken_chain(work / "triplets.parquet") == []
    assert sum(sum(tasks.values()) for tasks in first.counts.values()) == len(tables.read(work / "triplets.parquet", Triplet))


def test_rejects_are_counted_per_track_and_keep_those_of_other_stages(work):
    earlier = Reject("prepare", "made", "made-00001", "clip", "silent_clip", "too quiet", 3)
    tables.write_rejects(work / "rejects.parquet", "prepare", [earlier])
    pair(work, counts={"remix": 20, "add": 5}, eval_count=0)
    rows = tables.read_rows(work / "rejects.parquet", Reject)
    assert earlier in rows
    assert all(row.track_id for row in rows if row.stage == "pair")
    assert {"rhythm_untrusted", "no_genre"} <= {row.reason for row in rows}


def test_plan_writes_nothing_and_says_how_much(tmp_path):
    write_tables(tmp_path, 10, 2)
    before = sorted(tmp_path.iterdir())
    result = run(tmp_path, "--total", 100, "--plan")
    assert result.exit_code == 0, result.output
    assert sorted(tmp_path.iterdir()) == before
    assert "would be" in result.output
    assert "nothing was written" in result.output


def test_says_how_many_exist_where_more_are_asked_for(work):
    result = run(work, "--count", "add=10000000", "--eval-count", 0)
    assert result.exit_code == 0, result.output
    assert "train: add: 10000000 asked for, " in result.output
    existing = int(result.output.split("asked for, ")[1].split()[0])
    assert pair(work, counts={"add": 1}, eval_count=0, plan=True).counts == {"train": {"add": 1}}
    assert len(tables.read(work / "triplets.parquet", Triplet)) == existing


def test_says_what_would_help_where_no_beats_are_certain(work, tmp_path):
    told = f"remix needs certain beats and bars, and 16 tracks can't give them: {REMEDY}"
    assert told not in run(work, "--total", 50, "--eval-count", 0, "--plan").output
    folder = shutil.copytree(work, tmp_path / "work")
    for name, row_type, change in (("rhythm", Rhythm, {"trusted": False}), ("clips", Clip, {})):
        path = folder / f"{name}.parquet"
        stated = tables.provenance(path)
        rows = [replace(row, **change) for row in tables.read_rows(path, row_type)]
        parents = [folder / parent for parent in stated["parents"]]
        tables.write(path, rows, row_type, arguments=stated["arguments"], parents=parents)
    result = run(folder, "--total", 50, "--eval-count", 0, "--plan")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines().count(told) == 1, result.output


def test_evaluation_gets_chains_and_longer_windows(work):
    result = run(work, "--count", "add=10", "--eval-count", 5, "--rounds", 2, "--seconds", 15, "--seconds", 20)
    assert result.exit_code == 0, result.output
    rows = tables.read_rows(work / "triplets.parquet", Triplet)
    assert {row.split for row in rows if row.round == 2 or row.length_samples != 240000} == {"test"}
    assert {row.length_samples for row in rows} == {240000, 360000, 480000}
    assert sum(row.round == 2 for row in rows) == 5


def test_windows_as_long_as_clips_are_not_drawn_a_second_time(work):
    once, twice = (pair(work, counts={"add": 10}, eval_count=40, seconds=seconds) for seconds in ([], [10]))
    assert twice.counts == once.counts
    assert twice.shortfalls == ["test of 10 s: clips have this length, so these are the recipes of test", *once.shortfalls]


def test_user_templates_reach_the_instructions(work, tmp_path):
    (tmp_path / "mine.yaml").write_text("add: ['bring in the {instrument}']")
    pair(work, counts={"add": 5}, eval_count=0, templates=tmp_path / "mine.yaml")
    for row in tables.read_rows(work / "triplets.parquet", Triplet):
        assert row.instruction == f"bring in the {row.added[0]}"


def test_a_share_of_the_training_is_said_in_other_words_and_nothing_else_changes(work, tmp_path):
    def rows(*arguments):
        folder = shutil.copytree(work, tmp_path / "-".join(["w", *arguments]))
        assert run(folder, "--total", 200, "--eval-count", 20, *arguments).exit_code == 0
        return tables.read(folder / "triplets.parquet", Triplet)

    plain, some, again = rows(), rows("--paraphrase", "0.3"), rows("--paraphrase", "0.3", "--seed", "0")
    assert some.equals(again) and some.drop_columns("instruction").equals(plain.drop_columns("instruction"))
    changed = np.array(some["instruction"].to_pylist()) != np.array(plain["instruction"].to_pylist())
    training = np.array(plain["split"].to_pylist()) == "train"
    assert 0.2 < changed[training].mean() < 0.4 and not changed[~training].any()
    for row in some.to_pylist():
        (step,) = sentence_reader.read(row["instruction"]).steps
        assert (step.task, sorted(step.added), step.genre) == (row["task"], sorted(row["added"]), row["genre"])


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("--count", "add"), 2, "as in add=300000"),
        (("--count", "add=1", "--count", "add=2"), 2, "each task once"),
        (("--count", "mix=1"), 1, "unknown task 'mix'"),
        (("--count", "add=1", "--total", "5"), 2, "not both"),
    ],
)
def test_wrong_arguments_are_explained(work, arguments, code, complaint):
    result = run(work, *arguments)
    assert result.exit_code == code
    assert complaint in result.output


def test_a_folder_without_tables_is_explained(tmp_path):
    with pytest.raises(DataError, match=r"clips\.parquet: run 'instructme prepare'"):
        pair(tmp_path)
