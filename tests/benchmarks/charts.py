"""Measure which chord charts the audio contradicts: `python tests/benchmarks/charts.py CORPUS...`.

A CORPUS is a folder of tracks with `chords.lab` and `mix.flac`, such as the built-in corpus. The first 100 s of each track get
its own chart, that chart in another key, at other starts and speeds, and with a late half, and the charts of all other tracks
with other chords.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from instructme.dataset_tools import audio, chart_check

RATE_HZ = 24000
SECONDS = 100
LATE_S = (2.1, 5.3, 9.7)
Chart = tuple[list[float], list[str]]


def read(path: Path) -> Chart:
    """Read the starts of chords in seconds, and their labels."""
    rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
    return [float(row[0]) for row in rows], [row[2] for row in rows]


def late(chart: Chart, seconds: float) -> Chart:
    """Let a chart begin later."""
    starts, labels = chart
    return [0.0, *(start + seconds for start in starts)], ["N", *labels]


def late_half(chart: Chart, middle_s: float) -> Chart:
    """Let the chords from a place on begin 2 s later."""
    starts, labels = chart
    return [start + 2 * (start >= middle_s) for start in starts], labels


def main() -> None:
    """Print a line for each kind of chart."""
    tracks = [path.parent for corpus in sys.argv[1:] for path in sorted(Path(corpus).rglob("chords.lab"))]
    charts = {track: read(track / "chords.lab") for track in tracks}
    counts: defaultdict[str, Counter[bool]] = defaultdict(Counter)
    for track in tracks:
        mix = audio.read(track / "mix.flac", RATE_HZ)[: SECONDS * RATE_HZ]
        own = charts[track]
        others = [chart for chart in charts.values() if {*chart[1]} != {*own[1]}]
        pitch_classes = chart_check._pitch_classes(mix, RATE_HZ)
        kinds = {"own": [own], "own, late": [late(own, seconds) for seconds in LATE_S], "of another song": others}
        kinds["own, 3 % slower or faster"] = [([share * start for start in own[0]], own[1]) for share in (1.03, 0.97)]
        kinds["own, from the middle on 2 s late"] = [late_half(own, len(mix) / RATE_HZ / 2)]
        heard, chart_check._pitch_classes = chart_check._pitch_classes, lambda *_, rows=pitch_classes: rows  # is slow
        for kind, every in kinds.items():
            counts[kind].update(not chart_check.fits(*chart, mix, RATE_HZ) for chart in every)
        chart_check._pitch_classes = lambda *_, rows=pitch_classes: np.roll(rows, 3, axis=1)
        counts["own, 3 semitones off"].update([not chart_check.fits(*own, mix, RATE_HZ)])
        chart_check._pitch_classes = heard
    for kind, seen in counts.items():
        print(f"{kind}: {seen[True]} of {seen.total()} refused")


if __name__ == "__main__":
    main()
