"""Measure which stems sound like one performance: `python tests/benchmarks/versions.py FOLDER... [--seconds 60]`.

A FOLDER holds songs, each a folder of stems. Each stem is compared with itself through effects, with its reverberation alone, and
with the other stems of its song. Prints the lowest and highest coherence and common motion, and how often `prepare` calls two
signals one performance, if their names say that they may be.
"""

import argparse
from collections import defaultdict
from itertools import combinations

import numpy as np
from studio import EFFECTS, RATE_HZ, hall, songs

from instructme.dataset_tools.stems.versions import COHERENCE, COMMON_MOTION, coherence, common_motion


def main() -> None:
    """Print a line for each kind of pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    pairs: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for _, waves in songs(arguments.folders, arguments.seconds):
        for wave in waves.values():
            for kind, effect in {**EFFECTS, "reverberation alone": hall}.items():
                heard = effect(wave)[: len(wave)]
                same = wave[: len(heard)]
                pairs[kind].append((coherence(same, heard), common_motion(same, heard, RATE_HZ)))
        for one, other in combinations(waves.values(), 2):
            length = min(len(one), len(other))
            one, other = one[:length], other[:length]
            pairs["another stem of the song"].append((coherence(one, other), common_motion(one, other, RATE_HZ)))
    for kind, measures in pairs.items():
        values = np.array(measures)
        called = int(((values[:, 0] >= COHERENCE) | (values[:, 1] >= COMMON_MOTION)).sum())
        low, high = values.min(axis=0), values.max(axis=0)
        print(
            f"{kind}: {called} of {len(values)} one performance; coherence {low[0]:.2f} to {high[0]:.2f}, "
            f"common motion {low[1]:.2f} to {high[1]:.2f}"
        )


if __name__ == "__main__":
    main()
