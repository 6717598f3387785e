"""Measure rhythm against truth: `python tests/benchmarks/rhythm.py CORPUS [SONGS]`.

CORPUS is a folder of tracks in Slakh layout with `beats.txt` (time s, position in the bar), such as the built-in corpus;
SONGS of them are measured, spread over the corpus, all if not given. Prints mir_eval's F-measure (70 ms) of beats and
downbeats, the median beat error, and seconds of work per minute of music, for MIDI and audio.
"""

import sys
import time
from pathlib import Path

import mir_eval
import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.beats import rhythm

RATE_HZ = 24000


def score(truth: np.ndarray, grid: rhythm.Grid) -> tuple[float, float, float]:
    """Compute beat F, downbeat F (0 where unknown) and the median distance in ms of right beats to the truth."""
    trim = mir_eval.beat.trim_beats
    beats_s, downbeats_s = truth[:, 0], truth[truth[:, 1] == 1, 0]
    found = grid.beats_samples / RATE_HZ
    if not len(found):
        return 0.0, 0.0, np.nan
    downbeats = found[grid.beat_positions == 1]
    distance = np.abs(found[:, None] - beats_s).min(axis=1)
    near = distance[distance < 0.07]
    downbeat_f = mir_eval.beat.f_measure(trim(downbeats_s), trim(downbeats)) if len(downbeats) else 0.0
    return mir_eval.beat.f_measure(trim(beats_s), trim(found)), downbeat_f, 1000 * np.median(near) if len(near) else np.nan


def main() -> None:
    """Run the three ways over the corpus and print a line for each."""
    tracks = sorted(path.parent for path in Path(sys.argv[1]).rglob("beats.txt"))
    if not tracks:
        sys.exit(f"no beats.txt under {sys.argv[1]}")
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else len(tracks)
    tracks = [tracks[index] for index in np.linspace(0, len(tracks) - 1, min(wanted, len(tracks))).astype(int)]
    ways = {"midi": "midi", "audio": "audio"}
    rows: dict[str, list[tuple[float, ...]]] = {way: [] for way in ways}
    for track in tracks:
        mix, truth = audio.read(track / "mix.flac", RATE_HZ), np.loadtxt(track / "beats.txt")
        for way, mode in ways.items():
            begun = time.perf_counter()
            grid = rhythm.find(sorted((track / "MIDI").glob("*.mid")), mix, RATE_HZ, mode)
            seconds = (time.perf_counter() - begun) / (len(mix) / RATE_HZ / 60)
            rows[way].append((*score(truth, grid), seconds, grid.trusted, grid.downbeat_known))
    print(
        f"{len(tracks)} songs of {sys.argv[1]}\nway               beat F  least  downbeat F  trusted  F of these  error ms  s/min"
    )
    for way, values in rows.items():
        f, downbeat_f, error, seconds, trusted, known = np.array(values).T
        chosen = trusted > 0
        of_these = downbeat_f[chosen].mean() if chosen.any() else np.nan
        downbeats = downbeat_f[known > 0].mean() if known.any() else np.nan
        print(
            f"{way:18} {f.mean():6.3f} {f.min():6.3f} {downbeats:11.3f} {trusted.mean():8.2f} {of_these:9.3f} "
            f"{np.nanmedian(error):9.1f} {np.median(seconds):6.2f}"
        )


if __name__ == "__main__":
    main()
