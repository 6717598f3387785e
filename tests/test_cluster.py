"""A cluster of separate processes: the same bytes with a worker killed, and one line for what makes it of no use."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_work import make_work
from trees import band, slakh_track

from instructme.manifests.rows import DataError
from instructme.pipelines.processes import cluster, engine
from instructme.pipelines.stages.prepare import prepare
from instructme.pipelines.stages.scan import scan
from instructme.pipelines.stages.shard import shard

QUICK = {"sample_rate_hz": 8000, "chords": "none", "rhythm": "midi", "clip_seconds": 1.0}
OPTIONS = ("--sample-rate", "8000", "--chords", "none", "--rhythm", "midi", "--clip-seconds", "1")
PATIENCE_S = 60
OTHER_PACKAGES = """
import importlib.metadata as metadata, sys
known = metadata.version
def version(name):
    if name == {package!r}:
        if {found!r} is None:
            raise metadata.PackageNotFoundError(name)
        return {found!r}
    return known(name)
metadata.version = version
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "instructme":
            raise ModuleNotFoundError("No module named 'instructme'", name="instructme")
if {found!r} is None:
    sys.meta_path.insert(0, Lacking())
"""
"""A sitecustomize.py by which a process finds another version of a package, or none."""


class Cluster:
    """A scheduler and workers, each a process group of its own on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.processes: list[subprocess.Popen] = []
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", self.file)
        until(lambda: self.file.exists() and self.file.stat().st_size > 0)
        self.address: str = json.loads(self.file.read_text())["address"]

    def worker(self, *options: object, before: Sequence[str] = ()) -> subprocess.Popen:
        """Start a worker of one thread; `before` is a command that runs it."""
        options = ("--nthreads", 1, "--local-directory", self.folder, *options)
        return self._start("worker", self.address, *options, before=before)

    def _start(self, *arguments: object, before: Sequence[str] = ()) -> subprocess.Popen:
        command = [*before, sys.executable, "-m", "distributed.cli.dask_" + str(arguments[0])]
        common = ["--host", "127.0.0.1", "--no-dashboard"]
        with (self.folder / "log").open("a") as log:
            started = subprocess.Popen(
                [*command, *map(str, arguments[1:]), *common],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": f"{self.folder}:{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"},
            )
        self.processes.append(started)
        return started


def kill(process: subprocess.Popen) -> None:
    """Kill a process and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def until(done: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Cluster]:
    (tmp_path / "dask").mkdir()
    made = Cluster(tmp_path / "dask")
    yield made
    for process in made.processes:
        kill(process)


def run(*arguments: object, at: Cluster, log: Path) -> subprocess.Popen:
    script = "from instructme.pipelines.cli import main; main()"
    command = [sys.executable, "-c", script, *map(str, arguments), "--scheduler", at.address]
    return subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT)


def contents(folder: Path) -> dict[str, bytes]:
    """Read what has to be the same: all files but the marks of single tracks, which state when inputs were written."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("done.json", "datasets.json"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def made_dataset(root: Path, songs: int = 8) -> Path:
    for song in range(songs):
        folder = slakh_track(root / "train" / f"Track{song:05d}", band(), rate_hz=22050)
        for number, path in enumerate(sorted(folder.glob("stems/*.flac"))):
            noise = np.random.default_rng([song, number]).uniform(-0.3, 0.3, 10 * 22050).astype(np.float32)
            soundfile.write(path, noise, 22050)
    return root


def test_prepare_and_shard_lose_a_worker_and_no_byte(root: Path, tmp_path: Path, started: Cluster) -> None:
    workers = [started.worker() for _ in range(2)]
    here, there = tmp_path / "here", tmp_path / "there"
    for work in (here, there):
        scan([made_dataset(root)], work)
    running = run("prepare", there, *OPTIONS, at=started, log=tmp_path / "log")
    until(lambda: list(there.glob("parts/*/done.json")))
    kill(workers[0])
    assert running.poll() is None, "it ended before the worker was killed"
    assert running.wait(PATIENCE_S) == 0, (tmp_path / "log").read_text()

    workers.append(started.worker())
    made = make_work(tmp_path / "made")
    running = run("shard", made, "-o", there / "shards", "--per-shard", 6, at=started, log=tmp_path / "log")
    until(lambda: list(there.glob("shards/*-*.json")))
    kill(workers[1])
    assert running.poll() is None, "it ended before the worker was killed"
    assert running.wait(PATIENCE_S) == 0, (tmp_path / "log").read_text()

    prepare(here, workers=0, **QUICK)
    shard(made, here / "shards", per_shard=6, workers=0)
    assert contents(there) == contents(here)
    assert len(list(here.glob("parts/*/*.flac"))) == 24 and len(list(here.glob("shards/*.tar"))) == 15


def slow(number: int) -> int:
    time.sleep(0.3)
    return number


def test_a_scheduler_that_ends_in_mid_run_is_one_line(started: Cluster) -> None:
    started.worker()
    done = engine.run(slow, range(40), description="slow", item="unit", scheduler=started.address)
    next(done)
    kill(started.scheduler)
    with pytest.raises(DataError, match=f"the Dask scheduler at {started.address} ended: .* what is finished is kept"):
        list(done)


@pytest.mark.parametrize("early", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_worker_without_our_code_is_told_of(started: Cluster, early: bool) -> None:
    (started.folder / "sitecustomize.py").write_text(OTHER_PACKAGES.format(package="instructme", found=None))
    started.worker()
    if early:
        until(lambda: "Registered to" in (started.folder / "log").read_text())
    with pytest.raises(DataError, match=r"worker tcp://.* lacks instructme, here it is .*: install instructme with the same"):
        list(engine.run(slow, [1], description="slow", item="unit", scheduler=started.address))


@pytest.mark.slow
def test_a_worker_that_is_not_like_the_others_is_told_of(started: Cluster) -> None:
    (started.folder / "sitecustomize.py").write_text(OTHER_PACKAGES.format(package="numpy", found="0.1"))
    worker = started.worker()
    with pytest.raises(DataError, match=r"worker tcp://.* has numpy 0\.1, here it is .*: install instructme with the same"):
        list(engine.run(slow, [1], description="slow", item="unit", scheduler=started.address))
    kill(worker)
    (started.folder / "sitecustomize.py").unlink()
    started.worker("--nthreads", 2)
    with pytest.raises(DataError, match=r"has 2 threads: start workers with one \(dask worker ADDRESS .* --nthreads 1\)"):
        list(engine.run(slow, [1], description="slow", item="unit", scheduler=started.address))


def test_a_worker_that_does_not_see_the_disk_is_told_of(started: Cluster, tmp_path: Path) -> None:
    (shared := tmp_path / "work" / "tracks.parquet").parent.mkdir()
    shared.write_text("seen")
    elsewhere = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none "{shared.parent}" && exec "$@"', "sh")
    if subprocess.run([*elsewhere, "true"], capture_output=True).returncode:
        pytest.skip("no right to mount")
    started.worker(before=elsewhere)
    with pytest.raises(
        DataError, match=f"finds no file {shared}, or another one than this machine: put it on a disk that all machines share"
    ):
        list(engine.run(slow, [1], description="slow", item="unit", scheduler=started.address, shared=[shared]))


def test_workers_may_join_later(started: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    done = engine.run(slow, [1, 2], description="slow", item="unit", scheduler=started.address)
    started.worker()
    assert sorted(done) == [(1, 1), (2, 2)]
    assert "no worker has joined" in capfd.readouterr().err


def test_what_a_worker_wrote_must_be_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, False, True])
    cluster.await_written(tmp_path / "track", lambda: next(answers))
    monkeypatch.setattr(cluster, "_DISK_PATIENCE_S", 0)
    with pytest.raises(
        DataError, match=f"a worker wrote {tmp_path}/track, but this machine does not find it: use a disk that all machines share"
    ):
        cluster.await_written(tmp_path / "track", lambda: False)
