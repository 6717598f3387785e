"""Run simulated raters against a server in a process of its own, and compare the results with their preferences."""

import dataclasses
import math
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from instructme.manifests.rows import DataError
from instructme.pipelines.listening.comparisons import Strength, strengths
from instructme.pipelines.listening.opinion_scores import ALL, opinions
from instructme.pipelines.listening.ratings import clicks, read_ratings
from instructme.pipelines.listening.simulated_raters import SPREAD, Ears, SimulatedRater, Visit, default_preferences
from instructme.pipelines.listening.study import ANSWERS, SETTINGS, Study, read_stimuli, read_study, write_study

_PROGRAM = "import sys; from instructme.pipelines.cli import main; main(sys.argv[1:])"
_LONGEST_START_S = 600.0


class ServerProcess:
    """`listen serve` as a child process; it can be killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.address = folder, f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            DataError: it stops at once, or does not answer.
        """
        words = [sys.executable, "-c", _PROGRAM, "listen", "serve", str(self.folder), "--port", str(self.port)]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        until = time.monotonic() + _LONGEST_START_S
        while self.process.poll() is None and time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        self.kill()
        raise DataError(f"the server of {self.folder} did not start; try 'listen serve' to see the reason")

    def kill(self) -> None:
        """End the server without any warning (SIGKILL)."""
        self.process.kill()
        self.process.wait()


def copy_study(folder: Path, out: Path) -> Study:
    """Copy a study without its answers, and let raters judge clips at once.

    Raises:
        DataError: `out` holds a study already.
    """
    study = dataclasses.replace(read_study(folder), heard_s=0.0)
    if (out / SETTINGS).exists():
        raise DataError(f"{out} holds a study already; choose another folder")
    shutil.copytree(folder, out, ignore=shutil.ignore_patterns(f"{ANSWERS}*", "results"), dirs_exist_ok=True)
    write_study(out, study, read_stimuli(out))
    return study


def visits(folder: Path, address: str, preferences: Mapping[str, float], raters: int, seed: int) -> list[Visit]:
    """Let raters take the test, all at once."""
    ears = Ears(folder)
    everyone = [SimulatedRater(address, ears, preferences, seed * 1_000_003 + number) for number in range(raters)]
    with ThreadPoolExecutor(raters) as threads:
        return list(threads.map(SimulatedRater.take, everyone))


def lost_clicks(folder: Path, made: list[Visit]) -> tuple[int, int]:
    """Count acknowledged clicks that are not in the database, and clicks that are there more than once."""
    stored = clicks(folder)["click"]
    acknowledged = {click for visit in made for click in visit.acknowledged}
    return len(acknowledged - set(stored)), int(stored.duplicated().sum())


def simulate(folder: Path, out: Path, raters: int, seed: int = 0) -> Iterator[str]:
    """Copy a study to `out`, let simulated raters take it over HTTP, and yield lines that compare results and preferences.

    Raises:
        DataError: there is no study, or `out` holds one.
    """
    study = copy_study(folder, out)
    preferences = default_preferences(list(study.systems))
    server = ServerProcess(out)
    try:
        made = visits(out, server.address, preferences, raters, seed)
    finally:
        server.kill()
    lost, doubled = lost_clicks(out, made)
    count = sum(len(visit.acknowledged) for visit in made)
    milliseconds = 1000 * np.quantile([each for visit in made for each in visit.latencies_s], [0.5, 0.95])
    yield f"{sum(visit.finished for visit in made)} of {raters} raters finished; {count} clicks, {lost} lost, {doubled} doubled"
    yield f"time of a click: median {milliseconds[0]:.0f} ms, 95th percentile {milliseconds[1]:.0f} ms"
    kept = read_ratings(out, study).kept
    for each in opinions(kept[kept["page"] == "rate"], study.seed):
        if each.task == each.length_s == ALL:
            true = expected_score(preferences[each.system])
            verdict = "found" if each.low <= true <= each.high else "NOT FOUND"
            yield f"{each.system} {each.scale}: {true:.2f} in truth, {each.mean:.2f} [{each.low:.2f}, {each.high:.2f}] {verdict}"
    if len(pairs := kept[kept["page"] == "pair"]):
        yield from found_orders(strengths(pairs, study.seed), preferences)


def found_orders(strong: Sequence[Strength], preferences: Mapping[str, float]) -> Iterator[str]:
    """Say for each scale whether strengths from pairs order the systems as the preferences do."""
    for scale in dict.fromkeys(each.scale for each in strong):
        order = [each.system for each in sorted(strong, key=lambda each: -each.strength) if each.scale == scale]
        verdict = "found" if order == sorted(order, key=lambda system: -preferences[system]) else "NOT FOUND"
        yield f"order of {scale}: {' > '.join(order)} {verdict}"


def expected_score(preference: float) -> float:
    """Compute the mean of the points that a rater gives: a normal variable that is rounded and kept from 1 to 5."""
    ends = [-math.inf, 1.5, 2.5, 3.5, 4.5, math.inf]
    below = [0.5 * (1 + math.erf((end - preference) / (SPREAD * math.sqrt(2)))) for end in ends]
    return sum(point * (below[point] - below[point - 1]) for point in range(1, 6))
