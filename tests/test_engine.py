"""The engine: every unit once, and no way of ending that hangs or leaves a process behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from distributed import LocalCluster, wait
from distributed.process import AsyncProcess
from sessions import running

from instructme.manifests.rows import DataError
from instructme.pipelines.processes import cluster, engine

SLEEPER = """
import time
from instructme.pipelines.processes import engine

def sleep(seconds):
    print("begun", flush=True)
    time.sleep(seconds)

if __name__ == "__main__":
    for _ in engine.run(sleep, [60.0] * 4, description="sleep", item="unit", workers=2):
        pass
"""


def double(number: int) -> int:
    return 2 * number


def fail(number: int) -> int:
    return 1 // number


def die_on_odd(number: int) -> int:
    if number % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_nothing_to_do_starts_nothing() -> None:
    assert list(engine.run(double, [], description="none", item="unit")) == []


def test_every_unit_comes_back_once_with_its_result(capfd: pytest.CaptureFixture[str]) -> None:
    found = list(engine.run(double, [*range(20), 7, 7], description="double", item="unit", workers=2))
    assert sorted(found) == sorted((number, 2 * number) for number in [*range(20), 7, 7])
    written = capfd.readouterr()
    assert written.out == ""
    assert "double" in written.err
    assert "22/22" in written.err


def note_run(unit: tuple[Path, int]) -> None:
    folder, number = unit
    (folder / f"{number}-{time.time_ns()}").touch()


def test_without_workers_units_run_in_this_process_in_their_order(capfd: pytest.CaptureFixture[str]) -> None:
    found = list(engine.run(lambda number: (number, os.getpid()), [3, 1, 2], description="here", item="unit", workers=0))
    assert found == [(number, (number, os.getpid())) for number in (3, 1, 2)]
    written = capfd.readouterr()
    assert written.out == "" and "here" in written.err and "3/3" in written.err


def test_without_workers_dask_is_not_imported() -> None:
    check = (
        "import sys; from instructme.pipelines.processes import engine\n"
        "print(list(engine.run(lambda unit: engine.scratch(), [1], description='', item='', workers=0)),"
        " 'distributed' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[(1, None)] False"


@pytest.mark.parametrize("attempt", range(3))  # without care it happens in two of three
def test_no_finished_unit_is_run_again_while_workers_are_stopped(attempt: int, tmp_path: Path) -> None:
    with engine._local(2) as client:
        held = client.map(note_run, [(tmp_path, number) for number in range(8)], pure=False)
        wait(held)
    assert sorted(path.name.split("-")[0] for path in tmp_path.iterdir()) == [str(number) for number in range(8)]


def test_a_worker_that_is_slow_to_die_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes longer to clear a killed process away than Dask waits for it."""

    def kill(process: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)

    async def kill_later(process: AsyncProcess) -> None:
        threading.Timer(1, kill, [process.pid]).start()

    monkeypatch.setattr(AsyncProcess, "kill", kill_later)
    found = engine.run(time.sleep, [0.0, 60.0], description="sleep", item="unit", workers=2)
    assert next(found) == (0.0, None)
    found.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bug_shows_itself(workers: int) -> None:
    with pytest.raises(ZeroDivisionError):
        list(engine.run(fail, [2, 0, 1], description="fail", item="unit", workers=workers))


def test_a_unit_that_kills_its_workers_spares_the_others() -> None:
    found = dict(engine.run(die_on_odd, [0, 1, 2, 4], description="die", item="unit", workers=1, lost=lambda unit: -unit))
    assert found == {0: 0, 1: -1, 2: 2, 4: 4}


def test_a_unit_that_kills_its_workers_is_named() -> None:
    with pytest.raises(DataError, match=r"die: workers died on 3: .*--workers"):
        list(engine.run(die_on_odd, [3], description="die", item="unit", workers=1))


def test_runs_on_the_scheduler_at_an_address_and_leaves_it_running() -> None:
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        for _ in range(2):
            assert sorted(engine.run(double, [1, 2], description="double", item="unit", scheduler=address)) == [(1, 2), (2, 4)]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://somewhere"])
def test_says_when_no_scheduler_answers(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_PATIENCE", "500ms")
    with pytest.raises(DataError, match="dask scheduler"):
        list(engine.run(double, [1], description="double", item="unit", scheduler=address))


@pytest.mark.parametrize(("whom", "with_what"), [("process", "SIGINT"), ("group", "SIGINT"), ("process", "SIGTERM")])
def test_ends_at_once_when_asked_to(tmp_path: Path, whom: str, with_what: str) -> None:
    """Ctrl-C in a terminal reaches the whole group; a shell that starts us in the background has it ignored."""
    script, output = tmp_path / "sleeper.py", tmp_path / "output"
    script.write_text(SLEEPER)
    ignore = "import runpy, signal as s, sys; s.signal(s.SIGINT, s.SIG_IGN); runpy.run_path(sys.argv[1], run_name='__main__')"
    command = [sys.executable, *(["-c", ignore] if whom == "group" else []), str(script)]
    with output.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL, start_new_session=True)
    patience = time.monotonic() + 60
    while "begun" not in output.read_text():
        assert time.monotonic() < patience, "no unit has begun"
        time.sleep(0.1)
    asked = time.monotonic()
    (os.killpg if whom == "group" else os.kill)(process.pid, getattr(signal, with_what))
    try:
        assert process.wait(timeout=5) != 0
        while running(process.pid) and time.monotonic() < asked + 5:
            time.sleep(0.1)
        assert running(process.pid) == []
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
