"""From edits to a table of scores on the command line, as the manual says."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from made_study import made_table
from made_work import RATE_HZ, make_part, make_work

from instructme.dataset_tools import audio
from instructme.manifests import tables
from instructme.manifests.rows import Triplet
from instructme.pipelines.cli import main
from instructme.pipelines.data.shard_reader import ShardReader
from instructme.pipelines.evaluation import scoring
from instructme.pipelines.evaluation.shard_cases import Choice, from_shards
from instructme.pipelines.listening.leads import with_leads
from instructme.pipelines.listening.study import read_stimuli
from instructme.pipelines.stages.shard import shard

pytest.importorskip("fastapi")


def run(*words: str) -> str:
    result = CliRunner().invoke(main, ["listen", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_from_edits_to_the_table_of_scores(tmp_path: Path) -> None:
    study, simulated = str(tmp_path / "study"), str(tmp_path / "simulated")
    assert "2 systems (orca, wren)" in run("create", study, "--pairs", str(made_table(tmp_path / "edits", 2)))
    output = run("simulate", study, "-o", simulated, "--raters", "4")
    assert "4 of 4 raters finished" in output and "0 lost, 0 doubled" in output
    output = run("results", simulated)
    assert re.search(r"\| reference \| 1 s \| 4\.\d\d \[\d", output) and "Krippendorff" in output
    page = (tmp_path / "simulated/results/results.html").read_text()
    assert "Quality: mean scores" in page and "default-src 'none'" in page
    assert (tmp_path / "simulated/results/clicks.csv").read_text().count("\n") > 100
    assert not (tmp_path / "study/answers.sqlite").exists()


def test_columns_of_unknown_names_are_told(tmp_path: Path) -> None:
    table = made_table(tmp_path / "edits", 2)
    lines = table.read_text().splitlines()
    table.write_text("\n".join([f"{lines[0]},rater", *(f"{line},me" for line in lines[1:])]))
    assert f"{table}: columns of unknown names are not read: rater" in run(
        "create", str(tmp_path / "study"), "--pairs", str(table)
    )


def test_a_folder_without_a_study_is_explained(tmp_path: Path) -> None:
    for verb in ("serve", "results"):
        result = CliRunner().invoke(main, ["listen", verb, str(tmp_path)])
        assert result.exit_code == 1 and "no study in" in result.output and "listen create" in result.output


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Make shards with a test split, and edits of them by two systems: their sources and their targets."""
    shard(make_work(tmp_path / "work"), tmp_path / "work/shards", limit=12, workers=0)
    for case in from_shards(tmp_path / "work/shards", Choice(), {}):
        for system, samples in zip(("source_again", "target_again"), case.triplet.read(), strict=True):
            (tmp_path / system).mkdir(exist_ok=True)
            soundfile.write(tmp_path / system / f"{case.key}.wav", samples, 24000)
    return tmp_path / "work/shards"


def test_a_study_is_made_of_what_was_evaluated(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "usable", lambda networks: (["clipped"], {}))
    words = ["evaluate", str(shards), "-o", str(tmp_path / "scores"), "--workers", "0", "--count", "2"]
    edits = [word for system in ("source_again", "target_again") for word in ("--edits", str(tmp_path / system))]
    assert CliRunner().invoke(main, [*words, *edits], catch_exceptions=False).exit_code == 0
    every = from_shards(shards, Choice(count=2), {})
    refused = tmp_path / "target_again" / f"{every[0].key}.refused"
    refused.with_suffix(".wav").unlink()
    refused.write_text("can't add")
    output = run("create", str(tmp_path / "study"), "--edits", str(tmp_path / "scores"), "--count", "1", "--length", "2")
    assert f"1 of {len(every)} triplets are left out" in output and "source_again, target_again" in output
    stimuli = [each for each in read_stimuli(tmp_path / "study") if each.task]
    assert {each.key for each in stimuli} < {case.key for case in every[1:]} and {each.length_s for each in stimuli} == {2.0}
    assert len({each.key for each in stimuli}) == len({each.task for each in stimuli})


def test_a_folder_that_is_not_of_an_evaluation_is_explained(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["listen", "create", str(tmp_path / "study"), "--edits", str(tmp_path)])
    assert result.exit_code == 1 and "output folder of 'instructme evaluate'" in result.output


def test_a_remix_of_shards_gets_the_lead_that_its_recipe_left_out(tmp_path: Path) -> None:
    work = make_work(tmp_path / "work")
    names = ("clips.parquet", "parts.parquet", "rhythm.parquet", "tracks.parquet")
    recipes = [
        dataclasses.replace(each, source_instruments=["drums", "piano"], left_out=["bass"]) if each.task == "remix" else each
        for each in tables.read_rows(work / "triplets.parquet", Triplet)
    ]
    tables.write(work / "triplets.parquet", recipes, Triplet, seed=0, parents=[work / name for name in names])
    shard(work, work / "shards", limit=12, splits=["test"], workers=0)
    led = {case.key: case.lead for case in with_leads(from_shards(work / "shards", Choice(), {}), work) if case.lead}
    reader = ShardReader(work / "shards", "test")
    for row in range(12):
        recipe, gain = reader.recipe(row), reader.values(row)["gain"]
        assert (recipe.triplet_id in led) == (recipe.task == "remix")
        if recipe.task == "remix":
            part = make_part(recipe.source_track, "bass")[recipe.source_start_samples :][: recipe.length_samples]
            heard = audio.resample(gain * part, RATE_HZ, 24000)
            assert np.allclose(led[recipe.triplet_id](), heard, atol=1e-3) and np.abs(part).max() > 0.1
