"""Measure how long `--help` of each verb takes, in a process of its own.

python tests/benchmarks/help.py
"""

import subprocess
import sys
import time

import click

from instructme.pipelines.cli import main as cli

RUNS = 10


def seconds(verb: str) -> float:
    """Take the best of some runs: other work on the machine makes the others slower."""
    program = "from instructme.pipelines.cli import main; main()"
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", program, *verb.split(), "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    """Print a line for each verb."""
    for verb in ["", *cli.list_commands(click.Context(cli))]:
        print(f"instructme {verb} --help".replace("  ", " "), f"{seconds(verb):.2f} s")


if __name__ == "__main__":
    main()
