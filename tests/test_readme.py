"""The README tells the truth: its commands have the options that it names, its code runs, its links lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile
from made_work import make_work

from instructme.model import checkpoint, config
from instructme.model.presets import TINY
from instructme.model.unet import Unet
from instructme.model.vae import Vae
from instructme.pipelines.cli import main
from instructme.pipelines.stages.shard import shard

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = sorted(set(re.findall(r"(?:^|[ `/])instructme ([a-z]+ [^`\n#;]*)", README, re.MULTILINE)))


def python(word: str) -> str:
    """Find the one block of code that holds a word."""
    (code,) = [block for block in PYTHON if word in block]
    return code


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_have_the_verbs_and_options_that_are_named(line: str) -> None:
    verb, *words = shlex.split(line)
    command = main.get_command(click.Context(main), verb)
    if isinstance(command, click.Group) and words:
        command = command.get_command(click.Context(command), words[0])
    assert command is not None, line
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if re.match("--?[a-z]", word)} <= known


def test_shards_are_read_in_five_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = make_work(tmp_path / "work")
    shard(work, work / "shards", limit=4, splits=["train"], workers=0)
    code, hugging_face = python("io.BytesIO(sample"), python("load_dataset")
    assert sum(bool(line) for line in code.splitlines()) == 5
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    exec(code, {})
    assert len(capsys.readouterr().out.splitlines()) == 4
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    read: dict[str, Any] = {}
    exec(hugging_face, read)
    assert len(read["shards"]) == 4 and read["shards"][0]["source.flac"].startswith(b"fLaC")


def test_triplets_are_mixed_on_the_fly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_work(tmp_path / "work")
    monkeypatch.chdir(tmp_path)
    made: dict[str, Any] = {}
    exec(python("TripletDataset"), made)
    assert len(made["loader"].dataset) == len(made["triplets"]) > 1
    assert set(made["triplets"][0]) == {"key", "task", "instruction", "source", "target", "json"}


def test_a_song_is_edited_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = config.override(TINY, ["unet.channels=[64]", "unet.chords=false", "text.width=384"])
    run = tmp_path / "runs/editor"
    checkpoint.write_config(run, "editor", preset)
    checkpoint.save_weights(run, "weights", Unet(preset).state_dict())
    checkpoint.save_weights(run, "vae", Vae(preset.vae).state_dict())
    song = np.random.default_rng(0).uniform(-0.2, 0.2, (44100, 2)).astype(np.float32)
    soundfile.write(tmp_path / "song.wav", song, 44100)
    monkeypatch.chdir(tmp_path)
    exec(python("Editor.load"), {})
    assert soundfile.info(tmp_path / "out.wav").frames == 44100


def test_nothing_is_left_to_be_filled_in():
    assert not re.findall(r"@[A-Z]+@|TODO|TBD", README)


def test_links_to_files_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_option_that_is_named_exists() -> None:
    known = set(options(main))
    assert set(re.findall(r"`(--[a-z-]+)", README)) <= known


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`(?:python )?(tests/benchmarks/[^`]+)`", README))))
def test_every_benchmark_that_is_named_exists_with_its_options(command: str) -> None:
    script, *arguments = command.split()
    told = (ROOT / script).read_text()
    assert all(f'"{argument}"' in told for argument in arguments if argument.startswith("--"))


def options(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from options(below)
