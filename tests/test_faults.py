"""Whatever stops a run, the same command goes on, and ends with the bytes of a run that nothing stopped."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from made_work import make_songs
from sessions import running

from instructme.manifests.tables import sha256
from instructme.pipelines.stages.corpus import FLUIDR3

OPTIONS = "--sample-rate 8000 --clip-seconds 2 --rhythm none --chords none --total 30 --eval-count 5 --per-shard 4 --workers 2"
PATIENCE_S = 240.0
"""Much more than a run takes, also on a busy machine."""
PROGRAM = [sys.executable, "-c", "from instructme.pipelines.cli import main; main()"]


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_songs(tmp_path_factory.mktemp("faults") / "music")


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
        for each in running(process.pid):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        process.wait()


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


def synthesisers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return [each for each in psutil.Process(process.pid).children(recursive=True) if each.name() == "fluidsynth"]
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
        assert until(lambda: not running(process.pid)) < 5


def moments(work: Path) -> dict[str, Callable[[subprocess.Popen[bytes]], object]]:
    """Name moments of a run; each is there when its function says so."""
    return {
        "imports": lambda process: "libarrow" in Path(f"/proc/{process.pid}/maps").read_text(),
        "workers": workers,
        "track": lambda _: list(work.glob("parts/.*.tmp/*")) or list(work.glob("parts/*/done.json")),
        "tables": lambda _: (work / "parts.parquet").exists(),
        "shard": lambda _: list(work.glob("shards/.*.tar.*")) or list(work.glob("shards/*.json")),
        "synthesis": synthesisers,
    }


def test_killed_at_three_moments_it_ends_with_the_same_bytes(music: Path, whole: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for when, whom in (("track", "program"), ("tables", "group"), ("shard", "worker")):
        with started(tmp_path / "errors", *build(music, work)) as process:
            until(lambda when=when: moments(work)[when](process))
            assert process.poll() is None
            kill(process, whom)
    assert process.returncode == 0
    check_equal(work, whole)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_twenty_random_moments_it_ends_with_the_same_bytes(music: Path, whole: Path, tmp_path: Path) -> None:
    """Kill 20 runs that are alive, at any time; what is finished is compared and begun anew."""
    with started(tmp_path / "errors", *build(music, tmp_path / "timed")) as process:
        length_s = until(lambda: process.poll() is not None)
    chance, kills, finished = random.Random(0), 0, 0
    while kills < 20 or finished == 0 or (tmp_path / f"work{finished}").exists():
        work = tmp_path / f"work{finished}"
        with started(tmp_path / "errors", *build(music, work)) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 0.7 * length_s) if kills < 20 else PATIENCE_S)
            if process.poll() is None:
                kill(process, ("group", "program", "worker")[kills % 3])
                kills += 1
        if process.returncode == 0:
            check_equal(work, whole)
            finished += 1
        assert process.returncode in (0, -signal.SIGKILL), (tmp_path / "errors").read_text()
    print(f"\n{kills} kills, {finished} datasets finished")


VERBS = {
    "scan": ("{music} -o {work}", ["tracks.parquet", "stems.parquet", "datasets.json"]),
    "prepare": (
        "{work} --sample-rate 8000 --clip-seconds 2 --rhythm none --chords none --workers 2",
        ["parts", "parts.parquet", "rhythm.parquet", "clips.parquet"],
    ),
    "pair": ("{work} --total 30 --eval-count 5", ["triplets.parquet"]),
    "shard": ("{work} --per-shard 4 --workers 2", ["shards"]),
    "build": ("{music} {work} " + OPTIONS, ["parts/music-song-1", "shards"]),
    "verify": ("{work}/shards --work {work} --workers 2", []),
}
"""Arguments of a verb, and what is taken away for it to be made."""


def said(errors: Path) -> list[str]:
    """List what was said beside progress bars."""
    lines = errors.read_text().replace("\r", "\n").splitlines()
    return [line for line in lines if line.strip() and not re.search(r"\d+%\|.*\|| \[[\d:]+<", line)]


def stop(process: subprocess.Popen[bytes], whom: str, number: signal.Signals, errors: Path, late: bool = False) -> None:
    """Ask a run to end as a terminal does (the group) or a scheduler (the program), and check how it does.

    It may be too `late`, where all is done and Python itself is ending.
    """
    (os.killpg if whom == "group" else os.kill)(process.pid, number)
    code = process.wait(5)
    assert until(lambda: running(process.pid) == []) < 2  # multiprocessing's tracker ends once it finds Python gone
    if late and code in (0, -number) and not said(errors):
        return
    assert code == 128 + number
    (line,) = said(errors)
    assert "same command again" in line


def check_stop(
    verb: str, music: Path, whole: Path, work: Path, wait: Callable, whom: str, number: signal.Signals, late: bool = False
) -> bool:
    """Stop a verb after `wait`; what is in view must be whole, and the same command must end with the same bytes."""
    arguments, made = VERBS[verb]
    command = [verb, *arguments.format(music=music, work=work).split()]
    errors = work.with_name("errors")
    shutil.copytree(whole, work)
    for name in made:
        shutil.rmtree(work / name) if (work / name).is_dir() else (work / name).unlink()
    with started(errors, *command) as process:
        wait(process)
        if alive := process.poll() is None:
            stop(process, whom, number, errors, late)
    in_view = {name: digest for name, digest in contents(work).items() if not re.search(r"(^|/)\.", name)}
    assert in_view.items() <= contents(whole).items()
    with started(errors, *command) as process:
        assert process.wait(PATIENCE_S) == 0
    assert contents(work) == contents(whole)
    return alive


@pytest.mark.parametrize(
    ("verb", "when", "whom", "number"),
    [
        ("scan", "imports", "group", signal.SIGINT),
        ("prepare", "workers", "group", signal.SIGINT),
        ("pair", "imports", "program", signal.SIGTERM),
        ("shard", "shard", "group", signal.SIGINT),
        pytest.param("prepare", "track", "program", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("build", "workers", "group", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("verify", "workers", "group", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_asked_to_end_it_does_so_in_one_line(
    verb: str, when: str, whom: str, number: signal.Signals, music: Path, whole: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    assert check_stop(verb, music, whole, work, lambda process: until(lambda: moments(work)[when](process)), whom, number)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("verb", VERBS)
def test_asked_to_end_at_random_moments(verb: str, music: Path, whole: Path, tmp_path: Path) -> None:
    chance, hits = random.Random(verb), 0
    for attempt in range(10):

        def wait(process: subprocess.Popen[bytes]) -> None:
            until(lambda: moments(tmp_path)["imports"](process))
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, {"scan": 1, "pair": 1.5, "build": 8}.get(verb, 4)))

        whom, number = chance.choice(["group", "program"]), chance.choice([signal.SIGINT, signal.SIGTERM])
        hits += check_stop(verb, music, whole, tmp_path / f"{attempt}" / "work", wait, whom, number, late=True)
    assert hits


@pytest.mark.skipif(not (shutil.which("mma") and FLUIDR3.exists()), reason="mma or FluidR3 isn't installed")
@pytest.mark.parametrize("whom", ["group", "program"])
def test_a_corpus_asked_to_end_leaves_no_synthesiser_behind(whom: str, tmp_path: Path) -> None:
    with started(tmp_path / "errors", "corpus", tmp_path / "music", "--workers", 2) as process:
        until(lambda: moments(tmp_path)["synthesis"](process))
        stop(process, whom, signal.SIGINT, tmp_path / "errors")
    assert not list((tmp_path / "music").glob("*/Track*"))
