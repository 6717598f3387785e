"""Measure how MIDI that is off its audio is found out: `python tests/benchmarks/offsets.py CORPUS [SONGS]`.

CORPUS is a folder of tracks in Slakh layout, such as the built-in corpus. The audio of SONGS of them (4 if not given) is moved by
24 lags, 50 to 600 ms to either side. Prints how many are trusted at no lag, which must be all, and at others, which must be none.
"""

import sys
from pathlib import Path

import numpy as np

from instructme.dataset_tools import audio, rhythm

RATE_HZ = 24000
LAGS_MS = [side * lag for lag in range(50, 601, 50) for side in (-1, 1)]


def main() -> None:
    """Move the audio of each song and ask whether its MIDI is trusted."""
    tracks = sorted(path.parent for path in Path(sys.argv[1]).rglob("mix.flac"))
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    right = wrong = total = 0
    for index in np.linspace(0, len(tracks) - 1, min(wanted, len(tracks))).astype(int):
        midi, mix = sorted((tracks[index] / "MIDI").glob("*.mid")), audio.read(tracks[index] / "mix.flac", RATE_HZ)
        right += rhythm.from_midi(midi, mix, RATE_HZ).trusted
        total += 1
        for lag_ms in LAGS_MS:
            lag = lag_ms * RATE_HZ // 1000
            moved = np.pad(mix, (lag, 0)) if lag > 0 else mix[-lag:]
            if rhythm.from_midi(midi, moved, RATE_HZ).trusted:
                wrong += 1
                print(f"{tracks[index].name}: trusted with audio moved by {lag_ms:+d} ms")
    print(f"{right} of {total} songs trusted as they are, {wrong} of {total * len(LAGS_MS)} moved ones")


if __name__ == "__main__":
    main()
