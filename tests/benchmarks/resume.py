"""Measure how soon a killed `train editor` goes on, beside a run that begins: from the start of its process to its next step.

python tests/benchmarks/resume.py SHARDS VAE [--work WORK] [--preset tiny] [--repeats 3]

Each time a run is killed with SIGKILL two steps after a checkpoint in mid-epoch, and started again. Steps themselves don't count.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKPOINT = 5
"""Steps to the checkpoint from which the run goes on."""


def seconds_to_step(command: list[str], run: Path, first: int, last: int) -> float:
    """Start a run, kill it after step LAST, and give the seconds until step FIRST began."""
    begin, metrics = time.perf_counter(), run / "metrics.jsonl"
    reached: dict[int, float] = {}
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while last not in reached:
            assert process.poll() is None, f"no step {last}: {' '.join(command)}"
            for line in taken(metrics):
                if line["step"] >= first:
                    reached.setdefault(line["step"], time.perf_counter() - begin - line["step_s"])
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return reached[first]


def taken(metrics: Path) -> list[dict[str, float]]:
    """Read the whole lines of the steps so far."""
    whole = metrics.read_text().rpartition("\n")[0].splitlines() if metrics.exists() else []
    return [line for line in map(json.loads, whole) if "step_s" in line]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("vae", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    begun, gone_on = [], []
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder, "run")
            command = [str(Path(sys.executable).with_name("instructme")), "train", "editor", str(options.shards)]
            command += ["--vae", str(options.vae), "-o", str(run), "--preset", options.preset]
            command += ["--on-the-fly", *["--work", str(options.work)] * bool(options.work)]
            command += ["--set", f"editor_training.checkpoint_every={CHECKPOINT}"]
            begun.append(seconds_to_step(command, run, 1, CHECKPOINT + 2))
            (run / "metrics.jsonl").unlink()  # holds the steps that the kill undid
            gone_on.append(seconds_to_step(command, run, CHECKPOINT + 1, CHECKPOINT + 1))
    for name, each in (("begins", begun), ("goes on", gone_on)):
        print(f"{name}: {statistics.median(each):.2f} s to its step ({', '.join(f'{seconds:.2f}' for seconds in each)})")
    print(f"ratio {statistics.median(gone_on) / statistics.median(begun):.2f}")


if __name__ == "__main__":
    main()
