"""Measure the speed of `evaluate`: `python tests/benchmarks/evaluate.py SHARDS [--count 100] [--split test]`.

Scores triplets of a split in a worker process, each with one edit: the target with a tenth of what it leaves out. Prints the CPU
seconds of a triplet and the share of each recogniser and metric. The goal is 3,200 triplets of 10 s on two cores in 60 minutes:
2.2 CPU seconds each.
"""

import argparse
import resource
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from instructme.pipelines.evaluation import cells, evaluate, scoring
from instructme.pipelines.evaluation.features import Features, Sound
from instructme.pipelines.evaluation.shard_cases import Choice, ShardRow, from_shards
from instructme.pipelines.processes import engine

GOAL_S = 2.2
FEATURES = {
    **{name: (name,) for name in ("db", "lufs", "chords", "embedding")},
    "onsets_s": ("onsets_s", "envelope", "beats_s"),
    "notes": ("notes", "pitch_sums"),
}
"""What is computed once for a sound, and the names under which metrics take it. `evaluate` computes what some metric takes."""


def main() -> None:
    """Score in a worker, whose settings are those of `evaluate`, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    for _, report in engine.run(measure, [options], description="triplets", item="unit", workers=1):
        print(report)


def measure(options: argparse.Namespace) -> str:
    """Score triplets one after the other, and say how long it took."""
    chosen = from_shards(options.shards, Choice(options.split), {})[: options.count]
    spent: dict[str, float] = defaultdict(float)

    @contextmanager
    def clock(name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        spent[name] += time.process_time() - start

    names, lacking = scoring.usable()
    head = evaluate.read_tagger(None)
    names = [name for name in names if head is not None or name not in ("half_move", "instruction_accuracy")]
    taken = {each for name in names for each in scoring.inputs(name)}
    for number, case in enumerate(chosen):
        if number == 1:  # the first one loads networks and compiles
            spent.clear()
        assert isinstance(case.triplet, ShardRow)
        with clock("read"):
            source, target = case.triplet.read()
        edit = np.asarray(target + 0.1 * (source - target), dtype=np.float32)
        sounds = {name: Sound(samples) for name, samples in (("source", source), ("target", target), ("edit", edit))}
        values = Features(sounds, {"absent": False, "commanded": (), "tagger": head})
        with clock("cells"):
            values["cells"] = cells.find(target, source, case.gain_db)
        for name, taken_as in FEATURES.items():
            with clock(name):
                for side, sound in sounds.items():
                    if any(f"{side}_{each}" in taken for each in taken_as):
                        getattr(sound, name)
        for name in names:
            with clock(name):
                scoring.score_edit(values, [name])
    scored = max(len(chosen) - 1, 1)
    each_s = sum(spent.values()) / scored
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines = [
        *(f"{name:26} {seconds / scored:8.4f} s {seconds / scored / each_s:7.1%}" for name, seconds in ranked(spent)),
        f"{each_s:.2f} CPU seconds a triplet of {scored}, goal {GOAL_S}; {memory_mib:.0f} MiB",
        f"3,200 triplets on two cores: {each_s * 1600 / 60:.0f} minutes",
        *(f"left out: {name}: {advice}" for name, advice in lacking.items()),
    ]
    return "\n".join(lines)


def ranked(spent: dict[str, float]) -> list[tuple[str, float]]:
    """Sort by time, the longest first."""
    return sorted(spent.items(), key=lambda item: -item[1])


if __name__ == "__main__":
    main()
