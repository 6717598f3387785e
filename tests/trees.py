"""Tiny trees of every layout, as the datasets ship them."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import yaml
from conftest import write_tone

from instructme.dataset_tools.layouts import FoundTrack, Rejected
from instructme.pipelines.stages.dataset_roots import load


def sound(path: Path, seconds: float = 0.1, rate_hz: int = 44100) -> Path:
    return write_tone(path, seconds, rate_hz)


def slakh_track(folder: Path, stems: dict[str, dict], suffix: str = ".flac", rate_hz: int = 44100, **extra) -> Path:
    """Write a track folder; audio and MIDI of the stems that don't say `absent`."""
    for stem_id, values in stems.items():
        if not values.pop("absent", False):
            sound(folder / "stems" / f"{stem_id}{suffix}", rate_hz=rate_hz)
            (folder / "MIDI").mkdir(exist_ok=True)
            (folder / "MIDI" / f"{stem_id}.mid").write_bytes(b"MThd")
    sound(folder / f"mix{suffix}", rate_hz=rate_hz)
    (folder / "all_src.mid").write_bytes(folder.name.encode())
    metadata = {"UUID": folder.name, "audio_dir": "Volumes/data/stray", "stems": stems, **extra}
    (folder / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    return folder


def slakh_stem(program: int, name: str, **extra) -> dict:
    return {
        "program_num": program,
        "is_drum": program == 128,
        "midi_program_name": name,
        "inst_class": name,
        "plugin_name": "None",
        "audio_rendered": False,
        **extra,
    }


def band() -> dict[str, dict]:
    return {
        "S00": slakh_stem(33, "Electric Bass (finger)"),
        "S02": slakh_stem(128, "Drums"),
        "S05": slakh_stem(0, "Acoustic Grand Piano"),
    }


def build_slakh(root: Path) -> None:
    slakh_track(root / "train" / "Track00001", band())
    slakh_track(root / "test" / "Track01876", band())


def build_musdb(root: Path) -> None:
    for name in ("train/ANiMAL - Rockshow", "train/ANiMAL - Clinic A", "test/BKS - Bulldozer"):
        for stem in ("mixture", "drums", "bass", "other", "vocals"):
            sound(root / name / f"{stem}.wav")


def build_moisesdb(root: Path) -> None:
    for artist, song in (("A", "One"), ("A", "Two"), ("B", "Three")):
        folder = root / "moisesdb_v0.1" / f"{artist}{song}"
        stems = [
            {"stemName": "guitar", "tracks": [{"id": "g1", "trackType": "distorted electric guitar", "extension": "wav"}]},
            {
                "stemName": "guitar",
                "tracks": [{"id": "g2", "trackType": "acoustic guitar", "extension": "wav", "has_bleed": True}],
            },
            {
                "stemName": "other plucked",
                "tracks": [{"id": "p", "trackType": "banjo, mandolin, ukulele, harp etc", "extension": "wav"}],
            },
            {"stemName": "other", "tracks": [{"id": "c", "trackType": "click track", "extension": "wav"}]},
        ]
        for file in ("guitar/g1", "guitar/g2", "other_plucked/p", "other/c"):
            sound(folder / f"{file}.wav")
        (folder / "data.json").write_text(json.dumps({"song": song, "artist": artist, "genre": "rock", "stems": stems}))


def build_medleydb(root: Path) -> None:
    folder = root / "Audio" / "A_Song"
    sound(folder / "A_Song_MIX.wav")
    sound(folder / "A_Song_STEMS" / "A_Song_STEM_01.wav")
    sound(folder / "A_Song_RAW" / "A_Song_RAW_02_01.wav")
    sound(folder / "A_Song_RAW" / "A_Song_RAW_02_02.wav")
    raw = {
        f"R0{n}": {"filename": f"A_Song_RAW_02_0{n}.wav", "instrument": name}
        for n, name in ((1, "violin"), (2, ["viola", "cello"]))
    }
    stems = {
        "S01": {"filename": "A_Song_STEM_01.wav", "instrument": "drum set", "raw": {}},
        "S02": {"filename": "A_Song_STEM_02.wav", "instrument": "string section", "raw": raw},
    }
    values = {
        "artist": "A",
        "title": "Song",
        "genre": "Jazz",
        "has_bleed": "yes",
        "stem_dir": "A_Song_STEMS",
        "raw_dir": "A_Song_RAW",
    }
    (root / "Metadata").mkdir()
    (root / "Metadata" / "A_Song_METADATA.yaml").write_text(yaml.safe_dump({**values, "stems": stems}))


def build_folder(root: Path) -> None:
    for name in ("First Song/Kick In.wav", "First Song/Bass DI.flac", "First Song/FirstSong_MIX.wav", "Second/vocals.ogg"):
        sound(root / name)


def build_table(root: Path) -> None:
    sound(root / "audio" / "x.wav")
    sound(root / "audio" / "y.flac")
    sound(root / "audio" / "z.flac")
    rows = [
        ["song 1", "audio/x.wav", "violin", "train", "jazz", "120", "A minor", "CC0-1.0", "g", "", "no"],
        ["song 1", "audio/y.flac", "", "", "", "", "", "", "", "true", "yes"],
        ["song 2", "audio/z.flac", "bass", "", "", "", "", "", "", "", ""],
    ]
    with (root / "stems.csv").open("w", newline="") as file:
        header = ["track_id", "path", "instrument", "split", "genre", "tempo", "key", "license", "group_id", "is_drum", "bleed"]
        csv.writer(file).writerows([header, *rows])


BUILD: dict[str, Callable[[Path], None]] = {
    name[6:]: function for name, function in globals().items() if name.startswith("build_")
}


def found(layout: str, root: Path) -> list[FoundTrack]:
    return [item for item in load(layout).tracks(root) if isinstance(item, FoundTrack)]


def rejected(layout: str, root: Path) -> list[Rejected]:
    items = list(load(layout).tracks(root))
    return [item for item in items if isinstance(item, Rejected)] + [
        r for item in items if isinstance(item, FoundTrack) for r in item.rejected
    ]
