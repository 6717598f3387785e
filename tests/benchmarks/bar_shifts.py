"""Measure on which beats chords change: `python tests/benchmarks/bar_shifts.py CORPUS... [--seconds 10]`.

A CORPUS is a folder of tracks with `beats.txt` and `mix.flac`, such as the built-in corpus. Each mix is cut into windows, as
sides of remixes are. Counts the windows whose chords change most on the first beat of the bar, and on each other one,
as `verify` does for a dataset; bars that are shifted by whole beats only exchange these counts.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.sharding import beat_check

RATE_HZ = 24000


def main() -> None:
    """Print how many windows change on each beat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--seconds", type=int, default=10)
    arguments = parser.parse_args()
    size = arguments.seconds * RATE_HZ
    counts: Counter[int] = Counter()
    windows = 0
    for track in sorted(path.parent for corpus in arguments.corpora for path in corpus.rglob("beats.txt")):
        beats_s, positions = np.loadtxt(track / "beats.txt", ndmin=2)[:, :2].T
        mix = audio.read(track / "mix.flac", RATE_HZ)
        for start in range(0, len(mix) - size + 1, size):
            inside = (beats_s >= start / RATE_HZ) & (beats_s < (start + size) / RATE_HZ)
            said = {"beat_times_s": beats_s[inside] - start / RATE_HZ, "beat_positions": positions[inside].astype(int)}
            counts.update(beat_check.first_beats(said, [mix[start : start + size]], RATE_HZ))
            windows += 1
    print(f"{windows} windows, chords tell a beat in {counts.total()}")
    for beat, count in sorted(counts.items()):
        print(f"beat {beat}: {count} ({count / counts.total():.2f})")


if __name__ == "__main__":
    main()
