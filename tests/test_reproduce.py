"""The script of `make reproduce`: its commands exist with their options, and all systems are trained on equal terms."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
import reproduce_seeds
from reproduce_seeds import LAST

from instructme.model.config import override
from instructme.model.presets import PRESETS
from instructme.pipelines.cli import main

SCRIPT = Path(__file__).with_name("reproduce.sh")


def commands(folder: Path, scale: str, **more: str) -> list[list[str]]:
    """List what the script would run."""
    environment = {**os.environ, "INSTRUCTME": "echo instructme", "OTHER": "stems", **more}
    done = subprocess.run(["sh", str(SCRIPT), str(folder), scale], env=environment, capture_output=True, text=True)
    return [shlex.split(line)[1:] for line in done.stdout.splitlines() if line.startswith("instructme ")]


@pytest.mark.parametrize("scale", ["toy", "cpu", "gpu"])
def test_every_command_has_the_options_that_are_given(tmp_path: Path, scale: str) -> None:
    found = commands(tmp_path, scale)
    assert [words[0] for words in found[:5]] == ["corpus", "scan", "prepare", "pair", "shard"]
    for verb, *words in found:
        command = main.get_command(click.Context(main), verb)
        if isinstance(command, click.Group):
            command = command.get_command(click.Context(command), words.pop(0))
        assert command
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known, (verb, words)


def test_systems_share_everything_but_what_they_are_named_for(tmp_path: Path) -> None:
    trained = [words for words in commands(tmp_path, "cpu") if words[:2] == ["train", "editor"]]
    assert len(trained) == 4 * 3
    runs = {Path(words[words.index("-o") + 1]).name: words for words in trained}
    for seed in ("0", "1", "2"):
        common = {system: " ".join(runs[f"{system}-{seed}"]).replace(system, "X") for system in ("instructme", "audit", "no_msa")}
        assert len({re.sub(r" --set \S+", "", words) for words in common.values()}) == 1
    for words in trained:
        changes = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
        override(PRESETS["tiny"], changes)  # every field exists


def test_systems_may_be_trained_at_once(tmp_path: Path) -> None:
    one, several = commands(tmp_path, "cpu"), commands(tmp_path, "cpu", JOBS="5")
    assert sorted(one) == sorted(several) and one[-2:] == several[-2:]


def test_a_training_that_fails_stops_the_script(tmp_path: Path) -> None:
    program = tmp_path / "instructme"
    program.write_text('#!/bin/sh\n[ "$2" != editor ] || exit 3\necho "$1"\n')
    program.chmod(0o755)
    for jobs in ("1", "3"):
        environment = {**os.environ, "INSTRUCTME": str(program), "JOBS": jobs}
        done = subprocess.run(["sh", str(SCRIPT), str(tmp_path / "out"), "toy"], env=environment, capture_output=True, text=True)
        assert done.returncode == 3 and "evaluate" not in done.stdout


def test_another_scale_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(["sh", str(SCRIPT), str(tmp_path), "huge"], capture_output=True, text=True)
    assert done.returncode == 2 and "choose toy, cpu or gpu" in done.stderr


def test_means_over_seeds_and_their_largest_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "tables.md"
    page.write_text(
        "### Table 1\n\n| dataset | model | task | FAD | IA |\n|---|---|---|---:|---:|\n"
        "| set | **audit-0** | add | 1.20 [-0.1, 0.3] ▼ | – |\n| set | **audit-1** | add | -1.30 | 0.40 |\n"
        "| set | identity | add | 0.30 | 0.40 |\n| *Slakh* | *AUDIT* | *add* | *0.30* | *0.40* |\n\n"
        "### Without seeds\n\n| model | FAD |\n|---|---:|\n| identity | 1 |\n"
    )
    monkeypatch.setattr("sys.argv", ["reproduce_seeds.py", str(page)])
    reproduce_seeds.main()
    lines = ["| set | audit | add | -0.05 | 0.40 |", "| set | identity | add | 0.30 | 0.40 |", f"| {LAST} |  |  | 2.50 | 0.00 |"]
    head = ["### Table 1", "", "| dataset | model | task | FAD | IA |", "|---|---|---|---|---|"]
    assert capsys.readouterr().out.splitlines() == [*head, *lines, ""]
