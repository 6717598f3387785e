"""What a disk refuses ends a run in one line; once it is mended, the same command ends with the same bytes."""

import errno
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import toy_training
from click.testing import CliRunner, Result
from made_study import made_table
from made_work import make_songs

from instructme.manifests import files
from instructme.manifests.tables import sha256
from instructme.pipelines.cli import main
from instructme.pipelines.commands import errors
from instructme.pipelines.processes import engine

HERE = ["--workers", "0"]
PREPARE = ["--sample-rate", "8000", "--clip-seconds", "2", "--rhythm", "none", "--chords", "none", *HERE]
OPTIONS = [*PREPARE, "--total", "30", "--eval-count", "5", "--per-shard", "10"]
Resize = Callable[[str], None]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_songs(tmp_path_factory.mktemp("disk") / "music")


@pytest.fixture(scope="module")
def whole(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("whole") / "work"
    assert run("build", music, work, *OPTIONS).exit_code == 0
    return work


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Resize]]:
    """Mount a small disk; give its folder and what changes its options."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting isn't allowed here")
    try:
        yield folder, lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True) and None
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def contents(work: Path) -> dict[str, str]:
    return {path.relative_to(work).as_posix(): sha256(path) for path in work.rglob("*") if path.is_file()}


def refused(result: Result, why: str, where: Path) -> None:
    """Check that a run ended in one line that says what, where and what to do."""
    assert result.exit_code == 1, result.output
    lines = [line for line in result.output.splitlines() if "Error" in line or "Traceback" in line]
    assert len(lines) == 1 and lines[0] == result.output.splitlines()[-1]
    assert lines[0].startswith(f"Error: {why}: '") and str(where) in lines[0] and "the same command again" in lines[0], lines


def test_a_build_goes_on_when_a_full_disk_has_grown(music: Path, whole: Path, disk: tuple[Path, Resize]) -> None:
    """Whatever is written when the disk is full: every table, part, marker and shard gets its turn."""
    (folder, resize), stopped_in = disk, set()
    for size_kib in range(16, 8000, 64):
        resize(f"size={size_kib}k")
        result = run("build", music, folder / "work", *OPTIONS)
        if result.exit_code == 0:
            break
        refused(result, "No space left on device", folder)
        assert not list(folder.rglob("*.tmp"))
        stopped_in.add([line for line in result.output.splitlines() if line in ("scan", "prepare", "pair", "shard")][-1])
    assert {"scan", "prepare", "shard"} <= stopped_in
    assert contents(folder / "work") == contents(whole)


@pytest.mark.parametrize("stage", ["prepare", pytest.param("shard", marks=pytest.mark.slow)])
def test_a_full_disk_in_a_worker_is_told_like_any_other(stage: str, music: Path, whole: Path, disk: tuple[Path, Resize]) -> None:
    folder, resize = disk
    resize("size=64k")
    if stage == "shard":
        resize("size=8m")
        shutil.copytree(whole, folder / "work", ignore=shutil.ignore_patterns("shards"))
        used = shutil.disk_usage(folder).used
        resize(f"size={used + sum(path.stat().st_size for path in (whole / 'shards').rglob('*')) // 2}")
    command = ["build", music, folder / "work", *OPTIONS, "--workers", "2"]
    result = run(*command)
    refused(result, "No space left on device", folder)
    assert f"\n{stage}\n" in result.output
    resize("size=8m")
    assert run(*command).exit_code == 0
    assert contents(folder / "work") == contents(whole)


@pytest.mark.parametrize("stage", ["scan", "prepare", "pair", "shard", "corpus", "build"])
def test_a_disk_that_can_only_be_read_is_told(stage: str, music: Path, whole: Path, disk: tuple[Path, Resize]) -> None:
    folder, resize = disk
    resize("size=16m")
    work = shutil.copytree(whole, folder / "work")
    for name in {"prepare": ["parts"], "shard": ["shards"]}.get(stage, []):
        shutil.rmtree(work / name)
    resize("ro")
    arguments = {
        "scan": [music, "-o", work],
        "prepare": [work, *PREPARE],
        "shard": [work, *HERE],
        "corpus": [folder / "music"],
        "build": [music, work, *OPTIONS],
    }
    refused(run(stage, *arguments.get(stage, [work])), "Read-only file system", folder)
    resize("rw")
    if stage != "corpus":
        assert run("build", music, work, *OPTIONS).exit_code == 0
        assert contents(work) == contents(whole)


@pytest.mark.parametrize("asked", ["scan", "help"])
def test_an_output_that_is_full_is_told(asked: str, music: Path, tmp_path: Path) -> None:
    """Results go to standard output, which may be a file on a full disk."""
    program = [sys.executable, "-c", "from instructme.pipelines.cli import main; main()"]
    words = ["--help"] if asked == "help" else ["scan", music, "-o", tmp_path / "work"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*program, *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "Error: No space left on device: free some space" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_an_unfinished_file_names_the_one_it_was_to_be(tmp_path: Path) -> None:
    for atomic in (files.atomic, files.atomic_folder):
        with pytest.raises(OSError, match="No space") as caught, atomic(tmp_path / "song"):
            raise OSError(errno.ENOSPC, "No space left on device")
        assert caught.value.filename == str(tmp_path / "song")
        assert pickle.loads(pickle.dumps(caught.value)).filename == str(tmp_path / "song")
        with pytest.raises(OSError, match="No space") as caught, atomic(tmp_path / "song") as temporary:
            raise OSError(errno.ENOSPC, "No space left on device", f"{temporary}/bass.flac")
        assert caught.value.filename == str(tmp_path / "song/bass.flac")
    assert not list(tmp_path.iterdir())


def test_sweeping_leaves_what_is_not_ours(tmp_path: Path) -> None:
    for name in (".song.12.tmp", ".a.parquet.7.tmp"):
        (tmp_path / name).mkdir()
    for name in (".tables.parquet.99.tmp", ".hidden", ".x.tmp", "a.1.tmp", "tracks.parquet"):
        (tmp_path / name).touch()
    files.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", ".x.tmp", "a.1.tmp", "tracks.parquet"]
    files.sweep(tmp_path / "nowhere")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EXDEV])
def test_every_refusal_says_what_where_and_what_to_do(number: int) -> None:
    line = errors.explain(OSError(number, "some words", "/a\nb"))
    assert line.startswith(os.strerror(number)) and "'/a\\nb'" in line and "the same command again" in line
    assert "\n" not in errors.explain(OSError("two\nlines"))


def hoard(size: int) -> int:
    if size:
        raise MemoryError
    return size


def test_a_unit_without_memory_is_accounted_for() -> None:
    assert dict(engine.run(hoard, [0, 1], description="hoard", item="unit", workers=1, lost=lambda unit: -unit)) == {0: 0, 1: -1}
    with pytest.raises(Exception, match=r"hoard: workers died on 1: .*--workers"):
        list(engine.run(hoard, [1], description="hoard", item="unit", workers=1))


def test_a_listening_test_is_made_whole_or_not_at_all(tmp_path: Path, disk: tuple[Path, Resize]) -> None:
    folder, resize = disk
    create = ["listen", "create", folder / "study", "--pairs", made_table(tmp_path / "edits")]
    for size in ("100k", "1m"):
        resize(f"size={size}")
        result = run(*create)
        assert result.exit_code == 1 and "No space left on device" in result.output and not list(folder.iterdir())
    resize("size=100m")
    assert run(*create).exit_code == 0


def test_training_goes_on_from_the_last_checkpoint_that_fits(tmp_path: Path, disk: tuple[Path, Resize]) -> None:
    folder, resize = disk
    toy_training.run(tmp_path / "whole")
    resize("size=60k")
    with pytest.raises(OSError, match="No space left") as caught:
        toy_training.run(folder / "run")
    assert str(folder / "run") in caught.value.filename
    assert not list((folder / "run" / "checkpoints").glob(".*"))
    resize("size=8m")
    toy_training.run(folder / "run")
    for name in ("weights.safetensors", "checkpoints/step-00000020/net.safetensors"):
        assert sha256(folder / "run" / name) == sha256(tmp_path / "whole" / name)


def test_workers_that_do_not_answer_are_explained() -> None:
    assert "fewer --workers" in errors.explain(TimeoutError())
