"""The command line: fast help with an example for every verb, one line for bad input, exit codes."""

import re
import subprocess
import sys
from importlib.metadata import version

import click
import pytest
from click.testing import CliRunner

from instructme.manifests.rows import DataError
from instructme.pipelines.cli import main

VERBS = main.list_commands(click.Context(main))
HEAVY = {
    "torch",
    "librosa",
    "numba",
    "scipy",
    "numpy",
    "pandas",
    "pyarrow",
    "soundfile",
    "dask",
    "distributed",
    "transformers",
    "PIL",
}


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_gives_an_example_on_lines_of_its_own(verb: str) -> None:
    result = CliRunner().invoke(main, [*verb.split(), "--help"])
    assert result.exit_code == 0
    assert re.search(rf"^  Example:\n(    instructme .*\n)*    instructme {verb}", result.output, re.MULTILINE), result.output
    assert "\\b" not in result.output


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_loads_nothing_heavy(verb: str) -> None:
    """Its time is measured by benchmarks/help.py; here it is what takes the time that counts."""
    program = f"import sys; from instructme.pipelines.cli import main; main({[*verb.split(), '--help']}, standalone_mode=False)"
    program += f"; print('loaded:', sorted(set(sys.modules) & {HEAVY}))"
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "loaded: []"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_describes_itself_and_all_its_options(verb: str) -> None:
    command = main.get_command(click.Context(main), verb)
    assert command and command.name == verb and command.short_help and command.short_help.endswith(".")
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help, parameter.name


def test_lists_verbs_in_the_order_of_the_data() -> None:
    known = ["corpus", "models", "scan", "prepare", "pair", "shard", "verify", "build"]
    assert [verb for verb in VERBS if verb in known] == [verb for verb in known if verb in VERBS]


def test_states_its_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0 and version("instructme") in result.output


def test_bad_input_is_one_line_and_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def failing() -> None:
        raise DataError("no such table: a.parquet: run scan first")

    monkeypatch.setattr(type(main), "get_command", lambda *_: failing)
    result = CliRunner().invoke(main, ["anything"])
    assert (result.exit_code, result.output) == (1, "Error: no such table: a.parquet: run scan first\n")


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("DataLoader worker (pid 7) is killed by signal: Killed. ", "fewer --workers"),
        ("CUDA out of memory. Tried to allocate 2.00 GiB.", "smaller --batch-size"),
        ("[enforce fail at alloc_cpu.cpp:1] . DefaultCPUAllocator: can't allocate memory: you tried", "smaller --batch-size"),
    ],
)
def test_want_of_memory_is_one_line_and_a_bug_is_not(words: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def failing() -> None:
        raise RuntimeError(words)

    monkeypatch.setattr(type(main), "get_command", lambda *_: failing)
    result = CliRunner().invoke(main, ["anything"])
    assert result.exit_code == 1 and advice in result.output and result.output.count("\n") == 1
    words = "mat1 and mat2 shapes cannot be multiplied"
    assert isinstance(CliRunner().invoke(main, ["anything"]).exception, RuntimeError)


@pytest.mark.parametrize("arguments", [["sing"], ["shard"], ["shard", ".", "--per-shard", "0"], ["verify", "/no/such/folder"]])
def test_usage_errors_exit_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2 and "Usage:" in result.output


def test_what_the_disk_refuses_is_one_line_and_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def failing() -> None:
        raise OSError(28, "No space left on device", "out/train-00000.tar")

    monkeypatch.setattr(type(main), "get_command", lambda *_: failing)
    result = CliRunner().invoke(main, ["anything"])
    assert result.exit_code == 1 and len(result.output.splitlines()) == 1
    assert "No space left on device: 'out/train-00000.tar'" in result.output


@pytest.mark.parametrize("number", ["nan", "inf"])
@pytest.mark.parametrize(
    "arguments", [["prepare", ".", "--clip-seconds"], ["shard", ".", "--shard-size-mb"], ["corpus", "x", "--hours"]]
)
def test_numbers_must_be_finite(arguments: list[str], number: str) -> None:
    result = CliRunner().invoke(main, [*arguments, number])
    assert result.exit_code == 2 and f"{number} is not a finite number" in result.output
