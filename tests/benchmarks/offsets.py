"""Measure how MIDI that is off its audio is found out: `python tests/benchmarks/offsets.py CORPUS [SONGS]`.

CORPUS is a folder of tracks in Slakh layout, such as the built-in corpus. The audio of SONGS of them (4 if not given) is moved by
24 lags, 50 to 600 ms to either side. Each song is asked twice: with the audio of each stem beside its MIDI, and with the mix
alone. Prints how many are trusted at no lag and at the others, and lists beats that are trusted and wrong: there must be none.
Then the audio is played slower and faster. Prints how many are trusted at each drift, and how far off their beats are at most.
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
DRIFTS = [0.0, 0.001, -0.001, 0.0025, -0.0025, 0.005, -0.005]


def moved(samples: audio.Samples, lag_ms: int) -> audio.Samples:
    """Begin later by so many ms, or earlier, without the beginning."""
    lag = lag_ms * RATE_HZ // 1000
    return np.pad(samples, (lag, 0)) if lag >= 0 else samples[-lag:]


def slower(samples: audio.Samples, drift: float) -> audio.Samples:
    """Play slower by a share, as a clock that runs late does."""
    places = np.arange(int(len(samples) * (1 + drift))) / (1 + drift)
    return np.interp(places, np.arange(len(samples)), samples).astype(np.float32)


def drifting(tracks: list[Path]) -> None:
    """Play each song at other speeds and ask whether its MIDI is trusted, by its mix."""
    for drift in DRIFTS:
        off_s = []
        for track in tracks:
            files = sorted((track / "MIDI").glob("*.mid"))
            grid = rhythm.from_midi(files, slower(audio.read(track / "mix.flac", RATE_HZ), drift), RATE_HZ)
            if grid.trusted:
                beats_s = tempo_map.read(files).beats()[0] * (1 + drift)
                off_s.append(float(np.abs(grid.beats_samples[:, None] / RATE_HZ - beats_s).min(axis=1).max()))
        off = f", off by {1000 * max(off_s):.0f} ms at most" if off_s else ""
        print(f"slower by {drift:+.2%}: {len(off_s)} of {len(tracks)} trusted{off}")


def main() -> None:
    """Move the audio of each song and ask whether its MIDI is trusted."""
    tracks = sorted(path.parent for path in Path(sys.argv[1]).rglob("mix.flac"))
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    counts = {way: dict.fromkeys(("unmoved", "moved", "wrong"), 0) for way in ("stems", "mix")}
    chosen = np.unique(np.linspace(0, len(tracks) - 1, min(wanted, len(tracks))).astype(int))
    chosen_tracks = [tracks[index] for index in chosen]
    for track in chosen_tracks:
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
    drifting(chosen_tracks)


if __name__ == "__main__":
    main()
