"""Measure how MIDI that is off its audio is found out: `python tests/benchmarks/offsets.py CORPUS [SONGS]`.

CORPUS is a folder of tracks in Slakh layout, such as the built-in corpus. The audio of SONGS of them (4 if not given) is moved by
24 lags, 50 to 600 ms to either side. Each song is asked twice: with the audio of each stem beside its MIDI, and with the mix
alone. Prints how many are trusted at no lag and at the others, and lists beats that are trusted and wrong: there must be none.
"""

import sys
from pathlib import Path

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.beats import rhythm
from instructme.dataset_tools.midi import grid_check, tempo_map

RATE_HZ = 24000
LAGS_MS = [0, *(side * lag for lag in range(50, 601, 50) for side in (-1, 1))]
TOLERANCE_S = 0.035


def moved(samples: audio.Samples, lag_ms: int) -> audio.Samples:
    """Begin later by so many ms, or earlier, without the beginning."""
    lag = lag_ms * RATE_HZ // 1000
    return np.pad(samples, (lag, 0)) if lag >= 0 else samples[-lag:]


def main() -> None:
    """Move the audio of each song and ask whether its MIDI is trusted."""
    tracks = sorted(path.parent for path in Path(sys.argv[1]).rglob("mix.flac"))
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    counts = {way: dict.fromkeys(("unmoved", "moved", "wrong"), 0) for way in ("stems", "mix")}
    chosen = np.unique(np.linspace(0, len(tracks) - 1, min(wanted, len(tracks))).astype(int))
    for track in [tracks[index] for index in chosen]:
        files, mix = sorted((track / "MIDI").glob("*.mid")), audio.read(track / "mix.flac", RATE_HZ)
        stems = [(file, audio.read(track / "stems" / f"{file.stem}.flac", RATE_HZ)) for file in files]
        beats_s, positions = tempo_map.read(files).beats()
        for lag_ms in LAGS_MS:
            parts = [([file], grid_check.onset_envelope(moved(stem, lag_ms), RATE_HZ)) for file, stem in stems]
            for way, own in (("stems", parts), ("mix", [])):
                grid = rhythm.from_midi(files, moved(mix, lag_ms), RATE_HZ, own)
                if not grid.trusted:
                    continue
                counts[way]["moved" if lag_ms else "unmoved"] += 1
                found_s = grid.beats_samples / RATE_HZ - lag_ms / 1000
                apart_s = np.abs(found_s[:, None] - beats_s)
                other_bar = grid.downbeat_known and (grid.beat_positions != positions[apart_s.argmin(axis=1)]).any()
                if apart_s.min(axis=1).max() > TOLERANCE_S or other_bar:
                    counts[way]["wrong"] += 1
                    print(f"{track.name}, {way}: wrong and trusted with audio moved by {lag_ms:+d} ms: {grid.reason}", flush=True)
    total = len(chosen)
    for way, count in counts.items():
        print(
            f"by {way}: {count['unmoved']} of {total} songs trusted as they are, {count['moved']} of "
            f"{total * (len(LAGS_MS) - 1)} moved ones, {count['wrong']} of these wrong"
        )


if __name__ == "__main__":
    main()
