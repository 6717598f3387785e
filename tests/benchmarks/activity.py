"""Measure the energy VAD against note-on truth: `python tests/benchmarks/activity.py WORK`, where stems have MIDI.

A part is truly active from note on to note off, gaps of up to 0.5 s filled, in every frame of 0.1 s that this touches. Prints
precision, recall and F1 of frames per instrument, their minimum, and all parts pooled.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pretty_midi

from instructme.manifests import tables
from instructme.manifests.rows import ACTIVITY_RATE_HZ, Part, Stem, Track

Frames = npt.NDArray[np.bool_]


def truth(paths: list[Path], frames: int, longest_gap_s: float = 0.5) -> Frames:
    """Mark the frames in which any note of these MIDI files is on."""
    songs = [pretty_midi.PrettyMIDI(str(path)) for path in paths]
    notes = sorted((note.start, note.end) for song in songs for track in song.instruments for note in track.notes)
    active, last_s = np.zeros(frames, dtype=bool), -np.inf
    for on_s, off_s in notes:
        begin_s = last_s if on_s - last_s <= longest_gap_s else on_s
        active[int(begin_s * ACTIVITY_RATE_HZ) : int(np.ceil(off_s * ACTIVITY_RATE_HZ - 1e-6))] = True
        last_s = max(last_s, off_s)
    return active


def scores(true: Frames, found: Frames) -> tuple[float, float, float]:
    """Score frames: F1, precision, recall; empty truth found empty is 1."""
    hits = float((true & found).sum())
    precision, recall = (hits / total if total else 1.0 for total in (found.sum(), true.sum()))
    return (2 * precision * recall / (precision + recall) if precision + recall else 0.0), precision, recall


def of_work(work: Path) -> dict[str, list[tuple[Frames, Frames]]]:
    """Pair truth and what was found, for each part with MIDI of a prepared working folder, by instrument."""
    roots = {name: Path(stated["root"]) for name, stated in json.loads((work / "datasets.json").read_text()).items()}
    dataset = {track.track_id: track.dataset for track in tables.read_rows(work / "tracks.parquet", Track)}
    stems = {(stem.track_id, stem.stem_id): stem for stem in tables.read_rows(work / "stems.parquet", Stem)}
    pairs = defaultdict(list)
    for part in tables.read_rows(work / "parts.parquet", Part):
        merged = [stems[part.track_id, stem].midi_path for stem in part.stems]
        if None not in merged:
            midi = [roots[dataset[part.track_id]] / path for path in merged if path]
            pairs[part.instrument].append((truth(midi, len(part.activity)), np.array(part.activity, dtype=bool)))
    return pairs


def pooled(pairs: Iterable[tuple[Frames, Frames]]) -> tuple[float, float, float]:
    """Score all frames of several parts together: F1, precision, recall."""
    true, found = zip(*pairs, strict=True)
    return scores(np.concatenate(true), np.concatenate(found))


def main(work: Path) -> None:
    """Print the scores of a prepared working folder."""
    pairs = of_work(work)
    found = {name: pooled(group) for name, group in pairs.items()}
    for name in sorted(found, key=lambda name: -found[name][0]):
        print(f"{name:28s} {len(pairs[name]):4d} parts  F1 {found[name][0]:.3f}  P {found[name][1]:.3f}  R {found[name][2]:.3f}")
    worst = min(found, key=lambda name: found[name][0])
    print(f"lowest: {worst} {found[worst][0]:.3f}")
    print("pooled: F1 {:.4f}  P {:.4f}  R {:.4f}".format(*pooled(pair for group in pairs.values() for pair in group)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
