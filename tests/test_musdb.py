"""MUSDB18-HQ: splits, errata, the compressed release, and the songs shared with MedleyDB."""

import csv
from pathlib import Path

import pytest
import yaml
from trees import build_musdb, found, rejected, sound

from instructme.dataset_tools.layouts import musdb
from instructme.manifests.rows import DataError
from instructme.manifests.splits import song_key


def test_musdb_splits_and_errata(root: Path) -> None:
    build_musdb(root)
    tracks = {track.name: track for track in found("musdb", root)}
    assert {name: track.split for name, track in tracks.items()} == {
        "ANiMAL - Rockshow": "validation",
        "ANiMAL - Clinic A": "train",
        "BKS - Bulldozer": "test",
    }
    assert [stem.label for stem in tracks["BKS - Bulldozer"].stems if stem.bleed] == ["other"]
    assert (tracks["BKS - Bulldozer"].artist, tracks["BKS - Bulldozer"].title) == ("BKS", "Bulldozer")
    assert (tracks["BKS - Bulldozer"].genre, tracks["BKS - Bulldozer"].licence) == ("Pop/Rock", "LicenseRef-MUSDB18-educational")
    assert len(musdb._listed()) == 150 and sum(row["validation"] == "yes" for row in musdb._listed().values()) == 14


def test_musdb_and_medleydb_name_the_songs_they_share_alike(root: Path, data: Path) -> None:
    with (data / "medleydb" / "songs.csv").open(encoding="utf-8", newline="") as file:
        for song in csv.DictReader(file):
            name = song["folder"]
            (root / name / f"{name}_STEMS").mkdir(parents=True)
            metadata = {"artist": song["artist"], "title": song["title"], "stems": {}}
            (root / name / f"{name}_METADATA.yaml").write_text(yaml.safe_dump(metadata))
    shared = {song_key(track.artist, track.title) for track in found("medleydb", root)} & set(musdb._listed())
    assert {row["track"] for key, row in musdb._listed().items() if key in shared} == {
        row["track"] for row in musdb._listed().values() if row["licence"] == "CC-BY-NC-SA-4.0"
    }
    assert len(shared) == 46


def test_musdb_missing_stem_is_said_and_stem_mp4_tells_how_to_convert(root: Path) -> None:
    build_musdb(root)
    (root / "test" / "BKS - Bulldozer" / "bass.wav").unlink()
    assert [(item.item, item.reason) for item in rejected("musdb", root)] == [("test/BKS - Bulldozer/bass", "missing")]
    (root / "train" / "X - Y.stem.mp4").write_bytes(b"mp4")
    with pytest.raises(DataError, match=r"musdbconvert .* OUT"):
        list(musdb.tracks(root))


def test_only_songs_of_the_list_with_their_five_files_are_musdb(root: Path) -> None:
    for stem in ("mixture", "drums", "bass", "other", "vocals"):
        sound(root / "train" / "Me - Mine" / f"{stem}.wav")
    assert not musdb.recognises(root)
    build_musdb(root)
    for stem in ("guitar", "piano"):
        sound(root / "test" / "BKS - Bulldozer" / f"{stem}.wav")
    tracks = {track.title: track for track in found("musdb", root)}
    own, mixed, listed = tracks["Mine"], tracks["Bulldozer"], tracks["Rockshow"]
    assert (own.licence, own.artist, own.split, len(own.stems)) == ("unknown", "Me", "train", 4)
    assert (mixed.licence, mixed.split, len(mixed.stems)) == ("unknown", "test", 6)
    assert (listed.licence, len(listed.stems)) == ("LicenseRef-MUSDB18-educational", 4)


def test_musdb_is_known_by_two_of_its_stems_or_by_its_compressed_files(root: Path, tmp_path: Path) -> None:
    for stem in ("mixture", "drums"):
        sound(root / "test" / "BKS - Bulldozer" / f"{stem}.wav")
    assert not musdb.recognises(root), "a mixture and one stem may be anything"
    sound(root / "test" / "BKS - Bulldozer" / "bass.wav")
    assert musdb.recognises(root)
    (tmp_path / "compressed" / "train").mkdir(parents=True)
    (tmp_path / "compressed" / "train" / "X - Y.stem.mp4").write_bytes(b"mp4")
    assert musdb.recognises(tmp_path / "compressed")
