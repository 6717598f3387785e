"""Random trees of folders, with names and contents of every kind: scanned, or refused in one line."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml
from hostile import PREPARE, RATE_HZ, error_of, good_song, invoke
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructme.manifests import tables
from instructme.manifests.rows import Part, Reject, Stem, Track


def sound_bytes(suffix: str, seconds: float = 0.2) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(round(seconds * RATE_HZ)) + 0.1, RATE_HZ, format=suffix.upper())
    return buffer.getvalue()


WAV, FLAC = sound_bytes("wav"), sound_bytes("flac")
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(["S00", "../x", "/etc"])
keys = st.sampled_from(
    ["stems", "S00", "S01", "title", "song", "artist", "genre", "tempo_bpm", "tracks", "id", "stemName", "filename", "instrument"]
) | st.text(max_size=4)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
cells = st.sampled_from(["bass.wav", "../x.wav", "song", "drums", "", "a\nb", "\0", "train", '"']) | st.text(max_size=5)
tables_of_stems = st.lists(st.lists(cells, max_size=4), max_size=4).map(
    lambda rows: "track_id,path,instrument\n" + "\n".join(",".join(row) for row in rows)
)
contents = (
    st.sampled_from([b"", WAV, FLAC, WAV, FLAC, WAV[:50], FLAC[:-20], b"MThd", b"PAR1", b"\xff\xfe"])
    | st.binary(max_size=60)
    | values.map(lambda value: json.dumps(value).encode())
    | values.map(lambda value: yaml.safe_dump(value).encode("utf-8", "replace"))
    | tables_of_stems.map(lambda text: text.encode("utf-8", "replace"))
)
links = st.sampled_from([".", "..", "/etc", "nowhere", "bass.wav", "/dev/null", "link"]).map(Path)
FILES = [
    *("bass.wav", "drums.flac", "song.bass.wav", "song.drums.wav", "a - vocals.wav", "mixture.wav", "vocals.mp3", "S00.wav"),
    *("metadata.yaml", "data.json", "stems.csv", "stems.parquet", "chords.lab", "bass.mid", "A_STEM_01.wav"),
    *("A_METADATA.yaml", "x.m4a", ".hidden.wav", "-rf.wav", "a\nb.wav", " .wav", "...wav", "x" * 251 + ".wav", "曲.wav"),
    *("\udcff.wav", "BASS.WAV", "drums.stem.mp4"),
]
FOLDERS = [
    *("stems", "MIDI", "train", "test", "validation", "omitted", "Track00001", "Track00002", "A", "A_STEMS", "A_RAW"),
    *("Metadata", "Artist - Title", "bass", "drums", "guitar", "moisesdb_v0.1", "a\nb", "-x", "..a", "曲", "\udcfe", "y" * 255),
]
file_names, folder_names = st.sampled_from(FILES), st.sampled_from(FOLDERS)
odd_names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)
trees = st.recursive(
    st.dictionaries(file_names | odd_names, contents | links, max_size=4),
    lambda inner: st.dictionaries(folder_names | odd_names, inner, max_size=3).flatmap(
        lambda below: st.dictionaries(file_names, contents, max_size=3).map(lambda files: {**below, **files})
    ),
    max_leaves=6,
)


def grow(folder: Path, tree: dict[str, object]) -> None:
    """Write a tree of folders, files and links."""
    folder.mkdir()
    for name, content in tree.items():
        if isinstance(content, dict):
            grow(folder / name, content)
        elif isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            (folder / name).symlink_to(content)  # type: ignore[arg-type]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(tree=trees, songs=st.integers(0, 2))
def test_any_tree_of_folders_is_scanned_or_refused_in_one_line(
    tree: dict[str, object], songs: int, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("any")
    grow(folder / "data", tree)
    for number in range(songs):
        good_song(folder / "data" / f"Song {number}")
    good_song(folder / "good" / "Song")
    work = folder / "work"
    scanned = invoke("scan", folder / "data", "-o", work)
    if scanned.exit_code:
        error_of(scanned)
        assert not (work / "tracks.parquet").exists()
        scanned = invoke("scan", folder / "good", "-o", work)
    first = {path.name: path.read_bytes() for path in work.iterdir()}
    stems = tables.read_rows(work / "stems.parquet", Stem)
    assert {row.track_id for row in tables.read_rows(work / "tracks.parquet", Track)} == {row.track_id for row in stems}
    root = Path(json.loads((work / "datasets.json").read_text()).popitem()[1]["root"])
    assert all((root / row.path).resolve().is_relative_to(root.resolve()) for row in stems)
    assert invoke("scan", root, "-o", work).exit_code == 0 or (root / "stems.csv").exists()
    prepared = invoke("prepare", work, *PREPARE, "--chords", "midi")
    if prepared.exit_code:
        error_of(prepared)
    else:
        rejects = tables.read_rows(work / "rejects.parquet", Reject)
        used = {
            stem for row in tables.read_rows(work / "parts.parquet", Part) for stem in [(row.track_id, one) for one in row.stems]
        }
        assert used <= {(row.track_id, row.stem_id) for row in stems}
        assert len(used) + len([row for row in rejects if row.stage == "prepare"]) >= len(stems)
    assert first.keys() >= {"tracks.parquet", "stems.parquet", "rejects.parquet", "datasets.json"}
    shutil.rmtree(folder)
