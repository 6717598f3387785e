"""From edits to a table of scores on the command line, as the manual says."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_study import made_table

from instructme.pipelines.cli import main

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


def test_a_folder_without_a_study_is_explained(tmp_path: Path) -> None:
    for verb in ("serve", "results"):
        result = CliRunner().invoke(main, ["listen", verb, str(tmp_path)])
        assert result.exit_code == 1 and "no study in" in result.output and "listen create" in result.output
