"""Markers: what counts as finished, what must be made again, and that old markers still count."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from instructme.pipelines.processes import resume


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stems").mkdir()
    (tmp_path / "stems" / "a.flac").write_bytes(b"12345")
    (tmp_path / "b.tar").write_bytes(b"123")
    return tmp_path


def test_keys_are_those_of_folders_made_before() -> None:
    expected = hashlib.sha256(b'["train-00000", {"count": 2, "first": 0}, ["a", null, 1.5]]').hexdigest()
    assert resume.key("train-00000", {"first": 0, "count": 2}, ("a", None, 1.5)) == expected


def test_a_marker_states_the_files_of_a_folder_or_those_beside_it(folder: Path) -> None:
    assert resume.sizes(folder) == {"b.tar": 3, "stems/a.flac": 5}
    assert resume.hashes([folder / "b.tar"]) == {"b.tar": {"bytes": 3, "sha256": hashlib.sha256(b"123").hexdigest()}}
    for values in ({"bytes": resume.sizes(folder)}, {"files": resume.hashes([folder / "b.tar"])}, {}):
        resume.write(folder / "marker.json", {"key": "k", **values})
        assert resume.finished(folder / "marker.json", {"key": "k"}) == {"key": "k", **values}
        assert resume.finished(folder / "marker.json", {"key": "other"}) is None
        assert resume.finished(folder / "marker.json", {"key": "k", "more": None}) is None


@pytest.mark.parametrize("name", ["b.tar", "stems/a.flac"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"1")])
def test_a_file_that_is_gone_or_cut_must_be_made_again(folder: Path, name: str, damage: Any) -> None:
    resume.write(folder / "marker.json", {"bytes": resume.sizes(folder)})
    assert resume.finished(folder / "marker.json", {})
    damage(folder / name)
    assert resume.finished(folder / "marker.json", {}) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", '{"key": 1}', '{"key": "k", "files": {"b.tar": 3}}', '{"key": "k", "bytes": 3}']
)
def test_a_marker_that_makes_no_sense_is_none(folder: Path, text: str) -> None:
    (folder / "marker.json").write_text(text)
    assert resume.finished(folder / "marker.json", {"key": "k"}) is None
    assert resume.finished(folder / "nothing.json", {"key": "k"}) is None


def test_says_in_one_line_what_is_made_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resume.tell("shard", [folder / "none.json"], "shard")
    assert capsys.readouterr() == ("", "")
    (folder / "some.json").write_text(json.dumps({}))
    resume.tell("shard", [folder / "none.json", folder / "some.json"], "shard")
    resume.tell("prepare", [folder / "some.json"] * 2, "track")
    assert capsys.readouterr().err.splitlines() == [
        "shard: makes 1 finished shard again, because options, inputs or files have changed",
        "prepare: makes 2 finished tracks again, because options, inputs or files have changed",
    ]
