"""The server of a listening test is killed again and again while raters click: every acknowledged click is there, once."""

import json
import multiprocessing
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from made_study import made_study

pytest.importorskip("fastapi")
import uvicorn

from instructme.pipelines.listening.server import make_app
from instructme.pipelines.listening.simulated_raters import Ears, SimulatedRater, default_preferences

FORK = multiprocessing.get_context("fork")


def serve(study: Path, port: int) -> None:
    uvicorn.run(make_app(study), port=port, log_level="critical", access_log=False)


def take(study: Path, port: int, raters: int, log: Path) -> None:
    """Let raters take the test in threads, and write what was acknowledged."""
    ears, preferences = Ears(study), default_preferences(["orca", "wren"])
    everyone = [SimulatedRater(f"http://127.0.0.1:{port}", ears, preferences, number) for number in range(raters)]
    with ThreadPoolExecutor(raters) as threads:
        made = list(threads.map(SimulatedRater.take, everyone))
    log.write_text(json.dumps([[visit.finished, list(visit.acknowledged.items())] for visit in made]))


@pytest.mark.parametrize(("raters", "kills"), [(3, 4), pytest.param(50, 20, marks=pytest.mark.slow)])
def test_no_click_is_lost_or_doubled_when_the_server_is_killed(tmp_path: Path, raters: int, kills: int) -> None:
    study = made_study(tmp_path, items=1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log.json"
    everyone = FORK.Process(target=take, args=(study, port, raters, log))
    everyone.start()
    done = 0
    while everyone.is_alive():
        server = FORK.Process(target=serve, args=(study, port))
        server.start()
        before = rows(study)
        while everyone.is_alive() and (done == kills or rows(study) < before + 7):
            time.sleep(0.01)
        server.kill()
        server.join()
        done += done < kills
    assert done == kills
    visits = json.loads(log.read_text())
    assert all(finished for finished, _ in visits)
    file = sqlite3.connect(study / "answers.sqlite")
    stored = {click: values for click, *values in file.execute("SELECT click, kind, place, value FROM clicks WHERE late = 0")}
    (count,) = file.execute("SELECT COUNT(*) FROM clicks").fetchone()
    file.close()
    acknowledged = {click: values for _, clicks in visits for click, values in clicks}
    assert stored == acknowledged and count == len(acknowledged)


def rows(study: Path) -> int:
    if not (study / "answers.sqlite").exists():
        return 0
    file = sqlite3.connect(study / "answers.sqlite", timeout=30)
    try:
        return file.execute("SELECT COUNT(*) FROM clicks").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        file.close()
