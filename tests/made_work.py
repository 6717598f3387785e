"""Make a small working folder by hand: tables and parts as `prepare` and `pair` leave them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.sharding import tar_file
from instructme.manifests import tables
from instructme.manifests.rows import Clip, Part, Rhythm, Sample, Track, Triplet

RATE_HZ = 8000
WINDOW = 2 * RATE_HZ
LENGTH = 12 * RATE_HZ
INSTRUMENTS = ("bass", "drums", "other", "piano")
SONGS = {"set-a": ("train", 0.5), "set-b": ("train", 0.52), "set-c": ("validation", 0.5), "set-d": ("test", 0.5)}
"""Split and seconds per beat of each track."""


def beats(track_id: str) -> list[int]:
    step = SONGS[track_id][1]
    return [round(time * RATE_HZ) for time in np.arange(0, LENGTH / RATE_HZ, step)]


def make_part(track_id: str, instrument: str) -> audio.Samples:
    """Synthesise a part: decaying clicks on the beats for drums, a tone with a pulse on each beat for the others; loud."""
    number = INSTRUMENTS.index(instrument)
    random = np.random.default_rng([list(SONGS).index(track_id), number])
    time = np.arange(LENGTH) / RATE_HZ
    pulse = np.zeros(LENGTH)
    for beat in beats(track_id):
        pulse[beat:] = np.exp(-(time[beat:] - time[beat]) * (60 if instrument == "drums" else 4))
    sound = random.standard_normal(LENGTH) if instrument == "drums" else np.sin(2 * np.pi * 110 * (number + 1.5) * time)
    return (0.35 * pulse * sound).clip(-0.9, 0.9).astype(np.float32)


def recipe(task: str, number: int, track_id: str, start: int, source: list[str], target: list[str], **other: object) -> Triplet:
    values: dict[str, object] = {
        "triplet_id": f"{task}-{track_id}-{number:03d}",
        "split": SONGS[track_id][0],
        "task": task,
        "instruction": f"{task} number {number}",
        "length_samples": WINDOW,
        "source_track": track_id,
        "source_start_samples": start,
        "source_instruments": sorted(source),
        "target_track": track_id,
        "target_start_samples": start,
        "target_instruments": sorted(target),
        "target_stretch": 1.0,
        "named": sorted(set(source) - set(target)),
        "added": sorted(set(target) - set(source)),
        "genre": None,
        "left_out": [],
        "beat_error_ms": None,
        "chord_agreement": None,
        "chain_id": None,
        "round": 1,
    }
    return Triplet(**{**values, **other})  # type: ignore[arg-type]


def recipes() -> list[Triplet]:
    """Make recipes of the five tasks in each split, tasks mixed; half of the train remixes stretch up, half down."""
    made = []
    for track_id in SONGS:
        for number in range(4):
            start = number * RATE_HZ
            made += [
                recipe("add", number, track_id, start, ["bass", "drums"], ["bass", "drums", "piano"]),
                recipe("remove", number, track_id, start, ["bass", "drums", "piano"], ["bass", "piano"]),
                recipe("extract", number, track_id, start, ["bass", "other", "piano"], ["bass"], named=["bass"]),
                recipe("replace", number, track_id, start, ["bass", "drums"], ["drums", "piano"]),
                remix(number, track_id, start),
            ]
    return [made[number] for number in np.random.default_rng(0).permutation(len(made))]


def remix(number: int, track_id: str, start: int) -> Triplet:
    other = {"set-a": "set-b", "set-b": "set-a"}.get(track_id, track_id)
    step, other_step = SONGS[track_id][1], SONGS[other][1]
    first = next(beat for beat in beats(track_id) if beat >= start)
    stretch = other_step / step
    target_start = beats(other)[3] - round((first - start) * stretch)
    return recipe(
        "remix",
        number,
        track_id,
        start,
        list(INSTRUMENTS),
        ["drums", "piano"],
        target_track=other,
        target_start_samples=target_start,
        target_stretch=stretch,
        named=[],
        added=["drums", "piano"],
        beat_error_ms=1.0,
        chord_agreement=1.0,
    )


def make_songs(root: Path, count: int = 10) -> Path:
    """Write folders of songs of three stems, each song a little faster and higher than the last."""
    for number in range(count):
        place = (np.arange(48000) * (1 + 0.06 * number)).astype(int) % 48000
        for instrument in ("bass", "drums", "piano"):
            samples = make_part("set-a", instrument)[:48000][place]
            audio.write_flac(root / f"song {number}" / f"{instrument}.flac", samples, RATE_HZ)
    return root


def make_work(work: Path) -> Path:
    """Write the tables and parts of a working folder."""
    parts, rhythms, tracks = [], [], []
    for track_id, (split, _) in SONGS.items():
        tracks.append(_track(track_id, split))
        rhythms.append(_rhythm(track_id))
        parts += [_part(work, track_id, instrument) for instrument in INSTRUMENTS]
    tables.write(work / "tracks.parquet", tracks, Track, seed=0)
    tables.write(work / "parts.parquet", parts, Part, parents=[work / "tracks.parquet"])
    tables.write(work / "rhythm.parquet", rhythms, Rhythm, parents=[work / "tracks.parquet"])
    tables.write(work / "clips.parquet", [], Clip, parents=[work / "parts.parquet", work / "rhythm.parquet"])
    parents = [work / name for name in ("clips.parquet", "parts.parquet", "rhythm.parquet", "tracks.parquet")]
    tables.write(work / "triplets.parquet", recipes(), Triplet, seed=0, parents=parents)
    return work


def _track(track_id: str, split: str) -> Track:
    licence = "CC0-1.0" if track_id == "set-b" else "CC-BY-4.0"
    return Track(
        track_id=track_id,
        dataset="set",
        layout="folder",
        path=track_id,
        title=track_id,
        artist=None,
        genre="rock",
        licence=licence,
        split=split,
        official_split=False,
        song_group=track_id,
        leak_group=f"{split}-songs",
        aligned=True,
        tempo_bpm=None,
        key=None,
        chords_path=None,
        bleed=None,
    )


def _rhythm(track_id: str) -> Rhythm:
    times = beats(track_id)
    return Rhythm(
        track_id=track_id,
        source="midi",
        recogniser="tempo map",
        confidence=1.0,
        trusted=True,
        reason=None,
        downbeat_known=True,
        meter="4/4",
        tempo_bpm=60 / SONGS[track_id][1],
        beats_samples=times,
        beat_positions=[number % 4 + 1 for number in range(len(times))],
        chord_source="chart",
        chord_recogniser=None,
        chord_starts_samples=times[::4],
        chord_labels=["C:maj", "A:min", "F:maj", "G:7"][: len(times[::4])] + ["N"] * max(0, len(times[::4]) - 4),
        key="C:maj",
        key_confidence=1.0,
    )


def _part(work: Path, track_id: str, instrument: str) -> Part:
    samples = make_part(track_id, instrument)
    path = f"parts/{track_id}/{instrument}.flac"
    audio.write_flac(work / path, samples, RATE_HZ)
    return Part(
        track_id=track_id,
        instrument=instrument,
        family=instrument,
        editable=instrument != "other",
        lead=False,
        path=path,
        stems=[instrument],
        sample_rate_hz=RATE_HZ,
        length_samples=LENGTH,
        gain=1.0,
        lufs=None,
        rms_db=audio.rms_db(samples),
        peak_db=audio.peak_db(samples),
        bandwidth_hz=RATE_HZ // 2,
        level_db=[],
        activity=[],
    )


def read_sample(tar: Path, row: Sample) -> tuple[audio.Samples, audio.Samples, dict[str, Any]]:
    """Read source, target and JSON of one row of a shard's index from its tar."""
    source, target, text = (tar_file.read_bytes(tar, *tar_file.place(row, member)) for member in tar_file.MEMBERS)
    return tar_file.decode(source)[0], tar_file.decode(target)[0], json.loads(text)
