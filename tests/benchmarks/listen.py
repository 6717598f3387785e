"""Measure the listening test: 50 simulated raters at once; time of a click, and whether every click is there.

Each rater clicks once a second on average, which is faster than people who hear clips. The floor is a bare server that appends
the same body to a file, flushes it to the disk and answers, with the same number of clients at the same pace. The load of the
machine is printed, because other programs make both slower: on a busy machine, start it with `nice -n -20`.

Usage: python tests/benchmarks/listen.py [RATERS [PAUSE_S]]
"""

import http.client
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import uvicorn

sys.path.insert(0, str(Path(__file__).parents[1]))
from made_study import made_study

from instructme.pipelines.listening.simulated_raters import default_preferences
from instructme.pipelines.listening.simulation import ServerProcess, lost_clicks, visits

RATERS = int(sys.argv[1]) if len(sys.argv) > 1 else 50
PAUSE_S = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
FLOOR_CLICKS = 20
BODY = json.dumps({"click": "0" * 32, "step": 3, "attempt": 1, "kind": "rate", "place": 2, "value": 4}).encode()


def serve_floor(port: int, path: str) -> None:
    """Serve nothing but: read a body, append it to a file, flush, answer."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    async def app(scope, receive, send) -> None:
        body = (await receive()).get("body", b"")
        os.write(file, body)
        os.fdatasync(file)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})

    uvicorn.run(app, port=port, log_level="critical", access_log=False, lifespan="off")


def floor_client(port: int, seed: int) -> list[float]:
    """Click as a rater does; return the seconds of each click."""
    rng, seconds = random.Random(seed), []
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(FLOOR_CLICKS):
        time.sleep(PAUSE_S * rng.uniform(0.5, 1.5))
        begun = time.perf_counter()
        connection.request("POST", "/", BODY, {"Content-Type": "application/json"})
        connection.getresponse().read()
        seconds.append(time.perf_counter() - begun)
    return seconds


def floor(folder: Path, port: int) -> list[float]:
    """Measure the floor."""
    server = multiprocessing.get_context("spawn").Process(target=serve_floor, args=(port, str(folder / "floor")))
    server.start()
    while True:
        try:
            http.client.HTTPConnection("127.0.0.1", port).connect()
            break
        except OSError:
            time.sleep(0.1)
    with ThreadPoolExecutor(RATERS) as threads:
        found = [each for seconds in threads.map(floor_client, [port] * RATERS, range(RATERS)) for each in seconds]
    server.kill()
    server.join()
    return found


def cpu_s(process: int) -> float:
    """Read how long a process has run on a processor (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(name: str, seconds: list[float]) -> float:
    """Print median and 95th percentile; return the latter."""
    median, most = 1000 * np.quantile(seconds, [0.5, 0.95])
    print(f"{name}: {len(seconds)} clicks, median {median:.1f} ms, 95th percentile {most:.1f} ms; load {os.getloadavg()[0]:.1f}")
    return float(most)


def main() -> None:
    """Measure the floor, then the study."""
    print(f"{RATERS} raters, {PAUSE_S:g} s between clicks, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        study = made_study(Path(name), items=1)
        server = ServerProcess(study)
        lowest = report("floor", floor(Path(name), server.port + 1))
        before = cpu_s(server.process.pid)
        made = visits(study, server.address, default_preferences(["orca", "wren"]), RATERS, 0, PAUSE_S)
        used = cpu_s(server.process.pid) - before
        server.kill()
        seconds = [each for visit in made for each in visit.latencies_s]
        most = report("study", seconds)
        lost, doubled = lost_clicks(study, made)
    print(f"ratio of the 95th percentiles: {most / lowest:.1f}")
    print(f"processor time of the server: {1000 * used / len(seconds):.1f} ms for each click, with its pages and clips")
    print(f"{sum(visit.finished for visit in made)} raters finished; {lost} clicks lost, {doubled} doubled")


if __name__ == "__main__":
    main()
