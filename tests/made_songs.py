"""Make working folders with songs of random notes, so that leaks and wrong labels can be planted in them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi

from instructme.dataset_tools import activity, audio
from instructme.dataset_tools.audio import Samples
from instructme.manifests import tables
from instructme.manifests.instruments import INSTRUMENTS
from instructme.manifests.rows import Clip, Part, Reject, Rhythm, Stem, Track, Triplet

RATE_HZ = 8000
SECONDS = 12
WINDOW = 3 * RATE_HZ
NAMES = ("drums", "electric bass", "piano")
Notes = list[tuple[float, float, int]]


@dataclass
class Song:
    """A track with its parts; the mappings replace fields of the rows of the track and of its stems (by instrument)."""

    track_id: str
    split: str
    parts: Mapping[str, Samples]
    track: Mapping[str, Any] = field(default_factory=dict)
    stems: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def notes(seed: int) -> Notes:
    """Draw on, off (s) and pitch of notes."""
    random = np.random.default_rng(seed)
    starts = np.sort(random.uniform(0, SECONDS - 1, 40))
    return [(float(on), float(on + random.uniform(0.2, 0.6)), int(random.integers(48, 84))) for on in starts]


def play(tune: Notes, seed: int = 0) -> Samples:
    """Play notes with a few harmonics, silent between them."""
    time = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    sound = np.zeros(len(time))
    for on, off, pitch in tune:
        at = (time >= on) & (time < off)
        for harmonic in (1, 2, 3):
            sound[at] += np.sin(2 * np.pi * harmonic * 440 * 2 ** ((pitch - 69) / 12) * time[at]) / harmonic
    return (0.15 * sound).clip(-0.6, 0.6).astype(np.float32)


@cache
def parts(seed: int) -> dict[str, Samples]:
    """Play three parts of a song that no other seed has."""
    random = np.random.default_rng([seed, 1])
    hits = (random.uniform(0, 1, SECONDS * RATE_HZ) < 0.0005).astype(np.float32)
    drums = np.convolve(hits, np.exp(-np.arange(800) / 150), "full")[: SECONDS * RATE_HZ] * random.standard_normal(
        SECONDS * RATE_HZ
    )
    return {
        "drums": (0.2 * drums).clip(-0.9, 0.9).astype(np.float32),
        "electric bass": play(notes(1000 + seed)),
        "piano": play(notes(seed)),
    }


def late(samples: Samples, milliseconds: float, gain: float) -> Samples:
    """Copy a sound to another level and a bit later."""
    shift = round(milliseconds * RATE_HZ / 1000)
    return (gain * np.concatenate([np.zeros(shift, np.float32), samples])[: len(samples)]).astype(np.float32)


def write_midi(path: Path, tune: Notes, *, tempo: float = 120.0, program: int = 0) -> None:
    """Write notes as MIDI; another tempo keeps their places in beats."""
    path.parent.mkdir(parents=True, exist_ok=True)
    song = pretty_midi.PrettyMIDI(initial_tempo=tempo)
    instrument = pretty_midi.Instrument(program)
    scale = 120.0 / tempo
    instrument.notes = [pretty_midi.Note(80, pitch, on * scale, off * scale) for on, off, pitch in tune]
    song.instruments.append(instrument)
    song.write(str(path))


def row(row_type: type, **values: Any) -> Any:
    """Make a row; fields that aren't given are null, empty, zero or False as their type has it."""
    empty = {"string": "", "int64": 0, "double": 0.0, "bool": False}
    blank = {column.name: None if column.nullable else empty.get(str(column.type), []) for column in tables.schema(row_type)}
    assert set(values) <= {column.name for column in fields(row_type)}
    return row_type(**{**blank, **values})


def recipe(number: int, song: Song, task: str, named: Sequence[str], added: Sequence[str], **other: Any) -> Triplet:
    values = {
        "source_track": song.track_id,
        "target_track": song.track_id,
        "split": song.split,
        "target_stretch": 1.0,
        "round": 1,
    }
    sides = {"source_instruments": sorted(song.parts), "target_instruments": sorted(song.parts)[:1]}
    text = {"triplet_id": f"t-{number:04d}", "task": task, "instruction": f"{task} {', '.join((*named, *added))}"}
    lists = {"named": list(named), "added": list(added)}
    return row(Triplet, length_samples=WINDOW, **{**values, **sides, **text, **lists, **other})


def write(
    work: Path,
    songs: Sequence[Song],
    *,
    stage: str = "pair",
    recipes: Sequence[Triplet] | None = None,
    rejects: Sequence[Reject] = (),
) -> Path:
    """Write the tables as far as `stage` (scan, prepare or pair), with parts and a dataset's folder beside them."""
    work.mkdir(parents=True, exist_ok=True)
    roots = {song.track.get("dataset", "set"): {"layout": "folder", "root": str(work / "data")} for song in songs}
    (work / "data").mkdir(exist_ok=True)
    (work / "datasets.json").write_text(json.dumps(roots))
    tables.write(work / "tracks.parquet", [_track(song) for song in songs], Track, seed=0)
    stems = [_stem(song, name) for song in songs for name in song.parts]
    tables.write(work / "stems.parquet", stems, Stem, parents=[work / "tracks.parquet"])
    tables.write(work / "rejects.parquet", rejects, Reject)
    if stage == "scan":
        return work
    made = [_part(work, song, name) for song in songs for name in song.parts]
    rhythms = [_rhythm(song) for song in songs]
    clips = [clip for song in songs for clip in _clips(song)]
    parents = [work / "tracks.parquet", work / "stems.parquet"]
    for name, rows, row_type in (("parts", made, Part), ("rhythm", rhythms, Rhythm), ("clips", clips, Clip)):
        tables.write(work / f"{name}.parquet", rows, row_type, parents=parents)
    if stage == "pair":
        parents = [work / f"{name}.parquet" for name in ("tracks", "parts", "rhythm", "clips")]
        drawn = recipes if recipes is not None else [recipe(n, song, "remove", ["drums"], []) for n, song in enumerate(songs)]
        tables.write(work / "triplets.parquet", drawn, Triplet, seed=0, parents=parents)
    return work


def _track(song: Song) -> Track:
    groups = {"song_group": song.track_id, "leak_group": song.track_id}
    known = {
        "dataset": "set",
        "layout": "folder",
        "path": song.track_id,
        "title": song.track_id,
        "licence": "CC0-1.0",
        "genre": "Rock",
    }
    return row(Track, track_id=song.track_id, split=song.split, aligned=True, **{**groups, **known, **song.track})


def _stem(song: Song, name: str) -> Stem:
    entry = INSTRUMENTS[name]
    known = {
        "label": name,
        "instrument": name,
        "family": entry.family,
        "editable": entry.editable,
        "lead": entry.is_lead,
        "rule": "name",
        "certain": True,
    }
    sound = {"sample_rate_hz": RATE_HZ, "channels": 1, "length_samples": len(song.parts[name]), "size_bytes": 1}
    return row(Stem, track_id=song.track_id, stem_id=name, path=f"{name}.wav", **{**known, **sound, **song.stems.get(name, {})})


def _part(work: Path, song: Song, name: str) -> Part:
    samples, path = song.parts[name], f"parts/{song.track_id}/{name.replace(' ', '-')}.flac"
    audio.write_flac(work / path, samples, RATE_HZ)
    level = activity.levels(samples, RATE_HZ)
    entry = INSTRUMENTS[name]
    known = {
        "family": entry.family,
        "editable": entry.editable,
        "lead": entry.is_lead,
        "stems": [name],
        "gain": 1.0,
        "lufs": -20.0,
    }
    size = {"sample_rate_hz": RATE_HZ, "length_samples": len(samples), "bandwidth_hz": RATE_HZ // 2}
    heard = {"rms_db": audio.rms_db(samples), "peak_db": audio.peak_db(samples), "level_db": np.rint(level).astype(int).tolist()}
    return row(
        Part,
        track_id=song.track_id,
        instrument=name,
        path=path,
        activity=activity.detect(level).tolist(),
        **known,
        **size,
        **heard,
    )


def _rhythm(song: Song) -> Rhythm:
    known = {
        "source": "midi",
        "confidence": 1.0,
        "trusted": True,
        "meter": "4/4",
        "tempo_bpm": 120.0,
        "chord_source": "none",
        "key": "C:maj",
    }
    return row(Rhythm, track_id=song.track_id, **known)


def _clips(song: Song) -> list[Clip]:
    names = sorted(song.parts)
    lists = {"instruments": names, "active": [1.0] * len(names), "rms_db": [-20.0] * len(names), "peak_db": [-9.0] * len(names)}
    usable = [INSTRUMENTS[name].editable and bool(song.parts[name].any()) for name in names]
    starts = range(0, SECONDS * RATE_HZ, WINDOW)
    return [
        row(
            Clip,
            clip_id=f"{song.track_id}-{n}",
            track_id=song.track_id,
            start_samples=start,
            length_samples=WINDOW,
            usable=usable,
            mix_rms_db=-15.0,
            **lists,
        )
        for n, start in enumerate(starts)
    ]
