"""Write the tables of `scan` and `prepare` for made-up music, in seconds for 1,700 tracks: what `pair` needs, no audio."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from instructme.dataset_tools.chord_labels import codes
from instructme.manifests.rows import Clip, Part, Rhythm, Track
from instructme.manifests.tables import schema, to_table, write

RATE_HZ = 24000
HOP = RATE_HZ // 10
INSTRUMENTS = [
    *("bass", "drums", "piano", "electric guitar", "acoustic guitar", "distorted electric guitar", "string section"),
    *("synth pad", "synth lead", "organ", "flute", "trumpet", "trombone", "viola", "violin", "clarinet", "accordion"),
    *("piccolo", "harmonica", "marimba", "vocals", "sound effects", "cello", "harp", "banjo", "choir"),
]
GENRES = ["Rock", "Jazz", "Pop", "R&B", "Blues", "Country", "Funk", "Latin", None]
LOOPS = [(0, 7, 21, 5), (0, 21, 14, 7), (0, 5, 7, 5), (12, 8, 3, 10), (12, 17, 12, 7), (0, 16, 5, 7), (14, 7, 0, 0)]
"""Chord loops in a key: 0 to 11 the major chord on that degree, 12 to 23 the minor one."""
ROOTS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")


def write_tables(work: Path, tracks: int = 12, clips: int = 6, seed: int = 0, **track_fields: object) -> None:
    """Write tracks, parts, rhythm and clips; `track_fields` overrides fields of every track."""
    rng = np.random.default_rng(seed)
    length = clips * 10 * RATE_HZ + 12345
    frames = -(-length // HOP)
    rows: dict[str, list] = {"track": [], "rhythm": [], "clip": []}
    parts: dict[str, list] = {name: [] for name in schema(Part).names}
    for number in range(tracks):
        track_id = f"made-{number:05d}"
        rows["track"].append(_track(track_id, number, tracks, rng, track_fields))
        instruments = sorted(rng.choice(INSTRUMENTS, size=rng.integers(5, 15), replace=False).tolist())
        active = np.repeat(rng.random((len(instruments), frames // 40 + 1)) < 0.75, 40, axis=1)[:, :frames]
        level = np.where(active, np.rint(rng.normal(-22, 5, (len(instruments), 1)) + rng.normal(0, 3, active.shape)), -120)
        rows["rhythm"].append(_rhythm(track_id, length, rng))
        rows["clip"] += _clips(track_id, instruments, active, level, clips)
        for instrument, part_level, part_active in zip(instruments, level, active, strict=True):
            values = _part(track_id, instrument, length, part_level, part_active)
            for name in parts:
                parts[name].append(values.get(name))
    write(work / "tracks.parquet", to_table(rows["track"], Track), Track)
    parents = [work / "tracks.parquet"]
    arguments = {"min_active": 0.3, "max_under_mix_db": 30.0}
    write(work / "parts.parquet", _part_table(parts), Part, parents=parents)
    write(work / "rhythm.parquet", to_table(rows["rhythm"], Rhythm), Rhythm, parents=parents)
    write(work / "clips.parquet", to_table(rows["clip"], Clip), Clip, parents=parents, arguments=arguments)
    (work / "datasets.json").write_text(json.dumps({"made": {"root": "/nowhere", "layout": "slakh"}}))


def _track(track_id: str, number: int, tracks: int, rng: np.random.Generator, fields: dict[str, object]) -> Track:
    splits = ["train"] * 8 + ["validation", "test"]
    stated = {
        "track_id": track_id,
        "dataset": "made",
        "layout": "slakh",
        "path": track_id,
        "title": track_id,
        "artist": None,
        "genre": GENRES[number % len(GENRES)],
        "licence": "CC0-1.0",
        "split": splits[number * 10 // max(tracks, 1) % 10],
        "official_split": True,
        "song_group": f"song-{number // 2 * 2 if rng.random() < 0.1 else number}",
        "leak_group": f"song-{number}",
        "aligned": True,
        "tempo_bpm": None,
        "key": None,
        "chords_path": None,
        "bleed": None,
    }
    return Track(**{**stated, **fields})


def _rhythm(track_id: str, length: int, rng: np.random.Generator) -> Rhythm:
    beats_per_bar = 3 if rng.random() < 0.15 else 4
    tempo = float(rng.choice([5 * rng.integers(14, 32), rng.integers(70, 160), rng.uniform(70, 160)]))
    by_ear = rng.random() < 0.4
    seconds = np.arange(rng.uniform(0, 2), length / RATE_HZ, 60 / tempo)
    seconds = np.maximum(seconds + rng.normal(0, 0.004 if by_ear else 0, len(seconds)), 0)
    position = (np.arange(len(seconds)) + rng.integers(beats_per_bar)) % beats_per_bar + 1
    key, loop = rng.integers(12), LOOPS[rng.integers(len(LOOPS))]
    bars = np.flatnonzero(position == 1)
    degrees = [loop[n % len(loop)] for n in range(len(bars))]
    labels = [f"{ROOTS[(degree + key) % 12]}:{'min' if degree > 11 else 'maj'}" for degree in degrees]
    trusted = bool(rng.random() > 0.1)
    return Rhythm(
        track_id=track_id,
        source="audio" if by_ear else "midi",
        recogniser="made up",
        confidence=0.95 if trusted else 0.3,
        trusted=trusted,
        reason=None if trusted else "notes off the grid",
        downbeat_known=True,
        meter=f"{beats_per_bar}/4",
        tempo_bpm=tempo,
        beats_samples=np.rint(seconds * RATE_HZ).astype(int).tolist(),
        beat_positions=position.tolist(),
        chord_source="midi",
        chord_recogniser=None,
        chord_starts_samples=np.rint(seconds[bars] * RATE_HZ).astype(int).tolist(),
        chord_labels=labels,
        key=None,
        key_confidence=0.0,
    )


def _clips(track_id: str, instruments: list[str], active: np.ndarray, level: np.ndarray, clips: int) -> list[Clip]:
    rows = []
    for index in range(clips):
        window = slice(index * 100, index * 100 + 100)
        power = np.where(level[:, window] > -120, 10.0 ** (level[:, window] / 10), 0).mean(axis=1)
        rms_db = 10 * np.log10(np.maximum(power, 1e-12))
        mix_db = float(10 * np.log10(max(power.sum(), 1e-12)))
        sounds = np.flatnonzero(power)
        share = active[:, window].mean(axis=1)
        fit = (share >= 0.3) & (rms_db >= mix_db - 30) & np.array([name != "sound effects" for name in instruments])
        rows.append(
            Clip(
                clip_id=f"{track_id}-{index}",
                track_id=track_id,
                start_samples=index * 10 * RATE_HZ,
                length_samples=10 * RATE_HZ,
                instruments=[instruments[i] for i in sounds],
                active=share[sounds].tolist(),
                rms_db=rms_db[sounds].tolist(),
                peak_db=(rms_db[sounds] + 12).tolist(),
                usable=fit[sounds].tolist(),
                mix_rms_db=mix_db,
                tempo_bpm=None,
                chords=[],
            )
        )
    return rows


def _part(track_id: str, instrument: str, length: int, level: np.ndarray, active: np.ndarray) -> dict[str, object]:
    return {
        "track_id": track_id,
        "instrument": instrument,
        "family": "any",
        "editable": instrument != "sound effects",
        "lead": instrument == "vocals",
        "path": f"parts/{track_id}/{instrument.replace(' ', '-')}.flac",
        "stems": ["S00"],
        "sample_rate_hz": RATE_HZ,
        "length_samples": length,
        "gain": 1.0,
        "lufs": -20.0,
        "rms_db": -20.0,
        "peak_db": -6.0,
        "bandwidth_hz": 22050,
        "level_db": level.astype(np.int64),
        "activity": active,
    }


def _part_table(columns: dict[str, list]) -> pa.Table:
    arrays = []
    for field in schema(Part):
        values = columns[field.name]
        if field.name in ("level_db", "activity") and values:
            offsets = np.cumsum([0, *map(len, values)]).astype(np.int32)
            arrays.append(pa.ListArray.from_arrays(offsets, pa.array(np.concatenate(values), field.type.value_type)))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema(Part))


def codes_at(starts: np.ndarray, labels: Sequence[str], at: np.ndarray) -> np.ndarray:
    """Give the code of the chord that sounds at each of some samples; 0 before the first."""
    return np.concatenate([[0], codes(labels)])[np.searchsorted(starts, at, side="right")]


def agreement(starts: np.ndarray, labels: Sequence[str], others: np.ndarray, other_labels: Sequence[str], length: int) -> float:
    """Measure the share of a window in which two chord sequences have the same code."""
    edges = np.unique(np.clip(np.concatenate([starts, others, [0, length]]), 0, length))
    same = codes_at(starts, labels, edges[:-1]) == codes_at(others, other_labels, edges[:-1])
    return float(np.diff(edges)[same].sum() / length)
