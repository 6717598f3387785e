"""The README tells the truth: its commands have the options that it names, its code runs, its links lead somewhere."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from made_work import make_work

from pipelines.cli import main
from pipelines.shard import shard

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = sorted(set(re.findall(r"(?:^|[ `/])instructme ([a-z]+ [^`\n#;]*)", README, re.MULTILINE)))


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_have_the_verbs_and_options_that_are_named(line: str) -> None:
    verb, *words = shlex.split(line)
    command = main.get_command(click.Context(main), verb)
    assert command is not None, verb
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if re.match("--?[a-z]", word)} <= known


def test_shards_are_read_in_five_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = make_work(tmp_path / "work")
    shard(work, work / "shards", limit=4, splits=["train"], workers=1)
    code, hugging_face = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert sum(bool(line) for line in code.splitlines()) == 5
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    exec(code, {})
    assert len(capsys.readouterr().out.splitlines()) == 4
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    read: dict[str, Any] = {}
    exec(hugging_face, read)
    assert len(read["shards"]) == 4 and read["shards"][0]["source.flac"].startswith(b"fLaC")


def test_nothing_is_left_to_be_filled_in():
    assert not re.findall(r"@[A-Z]+@|TODO|TBD", README)


def test_links_to_files_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_option_that_is_named_exists() -> None:
    known = {
        option
        for verb in main.list_commands(click.Context(main))
        for parameter in main.get_command(click.Context(main), verb).params  # type: ignore[union-attr]
        for option in parameter.opts
    }
    assert set(re.findall(r"`(--[a-z-]+)", README)) <= known
