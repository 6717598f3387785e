"""Markers: what counts as finished, what must be made again, and that old markers still count; folders that are in use."""

import errno
import fcntl
import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import made_songs
import pytest
from hostile import error_of, invoke
from other_run import used_elsewhere

from instructme.manifests.rows import DataError
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


def test_a_folder_in_use_is_refused_until_the_other_run_ends_or_is_killed(folder: Path) -> None:
    with used_elsewhere(folder) as other:
        for shared in (False, True):
            with (
                pytest.raises(DataError, match=f"in use by another command: {folder}: wait"),
                resume.held(folder, shared=shared),
            ):
                pass
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        with resume.held(folder):
            pass
    with used_elsewhere(folder, "SH"):
        with pytest.raises(DataError), resume.held(folder):
            pass
        with resume.held(folder, shared=True):
            pass


def test_a_worker_that_outlives_its_killed_run_does_not_keep_the_folder(folder: Path) -> None:
    reading, writing = os.pipe()
    if not (run := os.fork()):
        with resume.held(folder):
            worker = os.fork()
            os.write(writing, f"{worker} ".encode() if worker else b"")
            time.sleep(60)
    worker = int(os.read(reading, 20))
    try:
        with pytest.raises(DataError), resume.held(folder):
            pass
        os.kill(run, signal.SIGKILL)
        os.waitpid(run, 0)
        with resume.held(folder):
            os.kill(worker, 0)  # it lives
    finally:
        os.kill(worker, signal.SIGKILL)


def test_disks_without_locks_or_rights_keep_nobody_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with used_elsewhere(folder):
        monkeypatch.setattr(fcntl, "lockf", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "no locks")))
        with resume.held(folder):
            pass
        monkeypatch.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(PermissionError(errno.EACCES, "read-only")))
        with resume.held(folder, shared=True):
            pass


def test_the_last_of_several_readers_removes_the_lock(folder: Path) -> None:
    with used_elsewhere(folder, "SH"):
        with resume.held(folder, shared=True):
            pass
        assert (folder / resume.LOCK).exists()
    with resume.held(folder):
        assert (folder / resume.LOCK).exists()
    assert not (folder / resume.LOCK).exists()


def test_a_lock_that_was_removed_meanwhile_is_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = fcntl.lockf

    def late(file: Any, kind: int) -> None:
        if not removed:
            removed.append((folder / resume.LOCK).unlink())
        lock(file, kind)

    removed: list[None] = []
    monkeypatch.setattr(fcntl, "lockf", late)
    with resume.held(folder):
        assert (folder / resume.LOCK).exists()


def test_a_new_folder_stays_only_if_something_was_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="bad"), resume.held(tmp_path / "a" / "new"):
        raise DataError("bad")
    assert not (tmp_path / "a" / "new").exists()
    with resume.held(tmp_path / "new"):
        (tmp_path / "new" / "x").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x"]


@pytest.mark.parametrize(
    "command",
    [
        "scan {work}/data -o {work}",
        "prepare {work}",
        "pair {work}",
        "shard {work} -o {work}/shards",
        "corpus {work}",
        "train tagger {work} -o {work}",
    ],
)
def test_commands_refuse_a_folder_that_another_one_writes(tmp_path: Path, command: str) -> None:
    made_songs.write(tmp_path, [made_songs.Song("a", "train", made_songs.parts(1))])
    before = sorted(tmp_path.rglob("*"))
    with used_elsewhere(tmp_path):
        assert "in use by another command" in error_of(invoke(*command.format(work=tmp_path).split()))
        assert "in use" not in invoke("pair", tmp_path, "--plan").output
    assert sorted(path for path in tmp_path.rglob("*") if path.name != resume.LOCK) == before


def test_shards_may_be_made_of_one_working_folder_by_several_commands_but_not_into_one_folder(tmp_path: Path) -> None:
    work = made_songs.write(tmp_path / "work", [made_songs.Song("a", "train", made_songs.parts(1))])
    (tmp_path / "out").mkdir()
    with used_elsewhere(work, "SH"), used_elsewhere(tmp_path / "out"):
        assert invoke("shard", work, "-o", tmp_path / "other", "--workers", "0").exit_code == 0
        assert f"in use by another command: {tmp_path / 'out'}" in error_of(
            invoke("shard", work, "-o", tmp_path / "out", "--workers", "0")
        )
