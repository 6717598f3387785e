"""Whatever stops a run, the same command goes on, and ends with the bytes of a run that nothing stopped."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from made_work import make_part

from dataset_tools import audio
from manifests.tables import sha256

OPTIONS = "--sample-rate 8000 --clip-seconds 2 --rhythm none --chords none --total 30 --eval-count 5 --per-shard 4 --workers 2"
PATIENCE_S = 60.0
PROGRAM = [sys.executable, "-c", "from pipelines.cli import main; main()"]


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faults") / "music"
    for number in range(10):
        for instrument in ("bass", "drums", "piano"):
            samples = np.roll(make_part("set-a", instrument)[:48000], 100 * number)
            audio.write_flac(root / f"song {number}" / f"{instrument}.flac", samples, 8000)
    return root


@pytest.fixture(scope="module")
def whole(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the music without a fault."""
    work = tmp_path_factory.mktemp("whole") / "work"
    with started(work.with_name("errors"), *build(music, work)) as process:
        assert process.wait(PATIENCE_S) == 0
    return work


def build(music: Path, work: Path) -> list[str]:
    return ["build", str(music), str(work), *OPTIONS.split()]


@contextmanager
def started(errors: Path, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a verb in a session of its own; nothing of the session outlives the block."""
    with errors.open("w") as file:
        command = [*PROGRAM, *(str(argument) for argument in arguments)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file, start_new_session=True)
    try:
        yield process
    finally:
        for each in session(process.pid):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        process.wait()


def session(leader: int) -> list[int]:
    """List the processes of a session that still run."""
    listing = subprocess.run(["ps", "-e", "-o", "sid=,stat=,pid="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return [int(pid) for sid, state, pid in rows if int(sid) == leader and not state.startswith("Z")]


def until(condition: Callable[[], object]) -> float:
    """Wait until something is so; return how long it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() < start + PATIENCE_S
        time.sleep(0.02)
    return time.monotonic() - start


def workers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return [child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())]
    return []


def contents(work: Path) -> dict[str, str]:
    return {path.relative_to(work).as_posix(): sha256(path) for path in work.rglob("*") if path.is_file()}


def check_equal(work: Path, whole: Path) -> None:
    hashes = [json.loads((folder / "shards/index.json").read_text())["hash"] for folder in (work, whole)]
    assert hashes[0] == hashes[1]
    assert contents(work) == contents(whole)
    assert not [path for path in work.rglob(".*") if path.name != ".instructme"]


def kill(process: subprocess.Popen[bytes], whom: str) -> None:
    """Kill -9 a worker, and let the run go on; or the program alone or with all its processes, which all must end then."""
    if whom == "worker":
        for worker in workers(process)[:1]:
            worker.kill()
        process.wait(PATIENCE_S)
    else:
        (os.killpg if whom == "group" else os.kill)(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_S)
        assert until(lambda: not session(process.pid)) < 5


def moment(work: Path) -> dict[str, Callable[[subprocess.Popen[bytes]], object]]:
    """Name moments of a build."""
    return {
        "first track": lambda _: list(work.glob("parts/.*.tmp/*")) or list(work.glob("parts/*/done.json")),
        "tables": lambda _: (work / "parts.parquet").exists(),
        "first shard": lambda _: list(work.glob("shards/.*.tar.*")) or list(work.glob("shards/*.json")),
        "workers start": workers,
        "imports": lambda process: "libarrow" in Path(f"/proc/{process.pid}/maps").read_text(),
    }


def test_killed_at_three_moments_it_ends_with_the_same_bytes(music: Path, whole: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for when, whom in (("first track", "program"), ("tables", "group"), ("first shard", "worker")):
        with started(tmp_path / "errors", *build(music, work)) as process:
            until(lambda when=when: moment(work)[when](process))
            assert process.poll() is None
            kill(process, whom)
    assert process.returncode == 0
    check_equal(work, whole)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_twenty_random_moments_it_ends_with_the_same_bytes(music: Path, whole: Path, tmp_path: Path) -> None:
    """Kill 20 runs that are alive, at any time of what a whole run takes; what is finished is compared and begun anew."""
    with started(tmp_path / "errors", *build(music, tmp_path / "timed")) as process:
        length_s = until(lambda: process.poll() is not None)
    chance, kills, finished = random.Random(0), 0, 0
    while kills < 20 or finished == 0 or (tmp_path / f"work{finished}").exists():
        work = tmp_path / f"work{finished}"
        with started(tmp_path / "errors", *build(music, work)) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, length_s) if kills < 20 else PATIENCE_S)
            if process.poll() is None:
                kill(process, ("group", "program", "worker")[kills % 3])
                kills += 1
        if process.returncode == 0:
            check_equal(work, whole)
            finished += 1
        assert process.returncode in (0, -signal.SIGKILL), (tmp_path / "errors").read_text()
    print(f"\n{kills} kills, {finished} datasets finished")
