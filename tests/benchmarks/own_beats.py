"""Measure which own beats the audio contradicts: `python tests/benchmarks/own_beats.py CORPUS [SONGS [SECONDS]]`.

CORPUS is a folder of tracks with `beats.txt`, such as the built-in corpus. The mix of each of SONGS of them (4 if not given), or
its first SECONDS, gets its own beats, and wrong ones: those of other songs, another tempo, a shift, wrong bars. Prints how many
are contradicted. Leaves out beats of another song that agree with the own ones by chance (F over 0.4), as at one tempo.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path
from unittest import mock

import mir_eval
import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.beats import rhythm

RATE_HZ = 24000
BY_CHANCE = 0.4
Beats = tuple[np.ndarray, np.ndarray]


def wrong(beats: Beats, others: list[Beats]) -> dict[str, list[Beats]]:
    """List beats that are not those of a song, by kind; those of another song have its tempo within 10 %."""
    times_s, positions = beats
    tempo, bar = np.median(np.diff(times_s)), int(positions.max())
    other = 3 if bar == 4 else 4
    alike = [other for other in others if abs(np.median(np.diff(other[0])) / tempo - 1) < 0.1]
    alike = [other for other in alike if mir_eval.beat.f_measure(times_s, other[0]) <= BY_CHANCE]
    return {
        "of another song of similar tempo": alike,
        "3 % faster or slower": [(times_s * share, positions) for share in (0.97, 1.03)],
        "slowly drifting, by 0.25 or 0.5 %": [(times_s * share, positions) for share in (0.995, 0.9975, 1.0025, 1.005)],
        "shifted by 60 to 150 ms": [(times_s + lag_s, positions) for lag_s in (0.06, 0.1, 0.15)],
        "shifted by half a beat": [(times_s + tempo / 2, positions), (times_s[1:] - tempo / 2, positions[1:])],
        "bars that begin on another beat": [(times_s, np.roll(positions, late)) for late in range(1, bar)],
        "bars that begin on another beat from the middle on": [
            (times_s, (positions - 1 + late * (np.arange(len(times_s)) >= len(times_s) // 2)) % bar + 1) for late in range(1, bar)
        ],
        "bars of 3 beats for 4, or of 4 for 3": [
            (times_s, (np.arange(len(times_s)) + late) % other + 1) for late in range(other)
        ],
    }


def contradicted(beats: Beats, mix: audio.Samples, file: Path) -> bool:
    """Ask the audio as `prepare` does."""
    np.savetxt(file, np.column_stack(beats), fmt=["%.4f", "%d"])
    return rhythm.from_annotation(file, None, len(mix), RATE_HZ, mix).against is not None


def main() -> None:
    """Print a line for each kind of beats."""
    tracks = sorted(path.parent for path in Path(sys.argv[1]).rglob("beats.txt"))
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    chosen = [tracks[index] for index in np.unique(np.linspace(0, len(tracks) - 1, min(wanted, len(tracks))).astype(int))]
    known = [np.loadtxt(track / "beats.txt", ndmin=2) for track in chosen]
    grids = [(rows[:, 0], rows[:, 1].astype(int)) for rows in known]
    found: dict[str, Counter[bool]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for track, own in zip(chosen, grids, strict=True):
            mix = audio.read(track / "mix.flac", RATE_HZ)
            mix = mix[: int(float(sys.argv[3]) * RATE_HZ)] if len(sys.argv) > 3 else mix
            heard = rhythm._stretch(mix, RATE_HZ, RATE_HZ // 100)
            kinds = {"as they are": [own], **wrong(own, [each for each in grids if each is not own])}
            for kind, every in kinds.items():
                counts = found.setdefault(kind, Counter())
                with mock.patch.object(rhythm, "_stretch", return_value=heard):  # is slow, and the same for all
                    counts.update(contradicted(beats, mix, Path(folder) / "beats.txt") for beats in every)
    for kind, counts in found.items():
        print(f"{kind}: {counts[True]} of {counts.total()} contradicted")


if __name__ == "__main__":
    main()
