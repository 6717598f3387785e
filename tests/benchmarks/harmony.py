"""Measure chords and keys against truth: tracks in Slakh layout with chords.lab (the built-in corpus), or POP909 songs.

python tests/benchmarks/harmony.py CORPUS [--no-audio] [--tracks N]
python tests/benchmarks/harmony.py --pop909 DIR
"""

import argparse
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import mir_eval
import numpy as np
import yaml

from instructme.dataset_tools import audio, harmony
from instructme.dataset_tools.beats import rhythm
from instructme.dataset_tools.chord_labels import NAMES, parse

RATE_HZ = 24000
METRICS = ("majmin", "thirds", "sevenths")


def chord_scores(truth: Path, found: harmony.Harmony, length: int) -> list[float]:
    intervals, labels = mir_eval.io.load_labeled_intervals(str(truth))
    edges = np.append(found.starts_samples, length) / RATE_HZ
    estimate, names = mir_eval.util.adjust_intervals(
        np.column_stack([edges[:-1], edges[1:]]), found.labels, intervals.min(), intervals.max(), "N", "N"
    )
    merged, reference, names = mir_eval.util.merge_labeled_intervals(intervals, labels, estimate, names)
    seconds = mir_eval.util.intervals_to_durations(merged)
    return [mir_eval.chord.weighted_accuracy(getattr(mir_eval.chord, name)(reference, names), seconds) for name in METRICS]


def key_scores(truth: str, found: str | None) -> list[float]:
    def plain(key: str) -> str:
        return f"{NAMES[parse(key).root]} {'minor' if key.endswith(':min') else 'major'}"

    score = mir_eval.key.weighted_score(plain(truth), plain(found)) if found else 0.0
    return [float(score == 1.0), score]


def corpus_track(track: Path, with_audio: bool) -> dict[str, list[float]]:
    meta = yaml.safe_load((track / "metadata.yaml").read_text())
    midi = [(track / "MIDI" / f"{name}.mid", stem["program_num"]) for name, stem in meta["stems"].items()]
    midi = [(path, program) for path, program in midi if path.exists()]
    mix = audio.read(track / "mix.flac", RATE_HZ)
    grid = rhythm.find([path for path, _ in midi], mix, RATE_HZ, "midi")
    scores = {}
    for source in ("chart", "midi", "midi without grid", "audio")[: 4 if with_audio else 3]:
        begun = time.perf_counter()
        beats = rhythm.nothing() if source == "midi without grid" else grid
        mode = "auto" if source == "chart" else source.split()[0]
        found = harmony.find(track / "chords.lab", midi, mix, RATE_HZ, beats, mode)
        seconds = (time.perf_counter() - begun) / (len(mix) / RATE_HZ / 60)
        keys = key_scores(meta["key"], found.key) if meta.get("key") else [np.nan, np.nan]
        scores[source] = [*chord_scores(track / "chords.lab", found, len(mix)), *keys, seconds]
    return scores


def pop909_song(song: Path) -> dict[str, list[float]]:
    rows = np.loadtxt(song / "beat_midi.txt")
    bars = np.cumsum(rows[:, 2] > 0)
    positions = np.array([i - np.flatnonzero(bars == bars[i])[0] + 1 if bars[i] else 0 for i in range(len(rows))])
    length = round(mir_eval.io.load_labeled_intervals(str(song / "chord_midi.txt"))[0].max() * RATE_HZ)
    beats = np.rint(rows[:, 0] * RATE_HZ).astype(np.int64)
    grid = replace(rhythm.nothing(), beats_samples=beats, beat_positions=positions.astype(np.int64))
    begun = time.perf_counter()
    found = harmony.from_midi([(song / f"{song.name}.mid", None)], length, RATE_HZ, grid)
    seconds = (time.perf_counter() - begun) / (length / RATE_HZ / 60)
    assert found is not None
    keys = [line.split() for line in (song / "key_audio.txt").read_text().splitlines()]
    longest = max(keys, key=lambda key: float(key[1]) - float(key[0]))[2]
    return {"midi": [*chord_scores(song / "chord_midi.txt", found, length), *key_scores(longest, found.key), seconds]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, nargs="?")
    parser.add_argument("--pop909", type=Path)
    parser.add_argument("--no-audio", action="store_true")
    parser.add_argument("--tracks", type=int)
    arguments = parser.parse_args()
    if arguments.pop909:
        units = sorted(path for path in arguments.pop909.iterdir() if path.is_dir())
        scored = [pop909_song(song) for song in units[: arguments.tracks]]
    else:
        units = sorted(path.parent for path in arguments.root.rglob("chords.lab"))
        scored = [corpus_track(track, not arguments.no_audio) for track in units[: arguments.tracks]]
    table = defaultdict(list)
    for unit, scores in zip(units, scored, strict=False):
        for source, values in scores.items():
            table[source].append(values)
            if values[0] < 0.9:
                print(f"below 0.9: {unit.name} {source} majmin {values[0]:.3f}")
    print(f"{'source':20} tracks  majmin (worst)  thirds  sevenths  key exact  key weighted  s per minute")
    for source, rows in table.items():
        mean, worst = np.nanmean(rows, axis=0), np.min(rows, axis=0)[0]
        print(
            f"{source:20} {len(rows):6}  {mean[0]:.3f} ({worst:.3f})  {mean[1]:.3f}   {mean[2]:.3f}     "
            f"{mean[3]:.3f}      {mean[4]:.3f}         {mean[5]:.2f}"
        )


if __name__ == "__main__":
    main()
