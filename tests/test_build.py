"""From a folder of songs to verified shards with one command."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from made_work import make_songs

from instructme.pipelines.cli import main

OPTIONS = "--sample-rate 8000 --clip-seconds 2 --rhythm none --chords none --total 30 --eval-count 5 --per-shard 10 --workers 0"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    root = tmp_path_factory.mktemp("songs")
    make_songs(root / "music")
    return root, run("build", root / "music", root / "work", *OPTIONS.split())


def test_builds_shards_that_verify(built: tuple[Path, Result]) -> None:
    root, result = built
    assert result.exit_code == 0, result.output
    index = json.loads((root / "work" / "shards" / "index.json").read_text())
    assert sum(index["counts"]["train"].values()) >= 10 and set(index["counts"]) == {"train", "validation", "test"}
    verified = run("verify", root / "work" / "shards", "--work", root / "work", "--workers", 0)
    assert verified.exit_code == 0, verified.output


def test_keeps_every_table_and_says_what_to_try_next(built: tuple[Path, Result]) -> None:
    root, result = built
    for name in ("tracks", "stems", "parts", "rhythm", "clips", "triplets"):
        assert (root / "work" / f"{name}.parquet").exists() and f"{name}.parquet" in result.output
    assert f"instructme verify {root / 'work' / 'shards'} --work {root / 'work'}" in result.output


def test_built_again_it_keeps_everything(built: tuple[Path, Result]) -> None:
    root, _ = built
    before = (root / "work" / "shards" / "index.json").read_bytes()
    result = run("build", root / "music", root / "work", *OPTIONS.split())
    assert result.exit_code == 0 and "kept)" in result.output
    assert (root / "work" / "shards" / "index.json").read_bytes() == before


def test_passes_options_to_their_verbs(built: tuple[Path, Result]) -> None:
    root, _ = built
    limited = run("build", root / "music", root / "work", *OPTIONS.split(), "--limit", 2, "--seed", 7)
    assert limited.exit_code == 0, limited.output
    assert json.loads((root / "work" / "shards" / "index.json").read_text())["counts"]["train"]
    assert sum(json.loads((root / "work" / "shards" / "index.json").read_text())["counts"]["train"].values()) == 2
    assert run("build", root / "music", root / "work", "--count", "add=x").exit_code == 2


def test_a_root_that_is_not_there_ends_in_one_line(tmp_path: Path) -> None:
    result = run("build", tmp_path / "nowhere", tmp_path / "work")
    assert result.exit_code == 1 and "nowhere" in result.output and "Traceback" not in result.output
