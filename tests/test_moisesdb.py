"""MoisesDB: repeated stems, bleed, artists, and paths that leave the root."""

import json
from pathlib import Path

from trees import (
    build_moisesdb,
    found,
    rejected,
    sound,
)

from instructme.pipelines.stages.scan import scan


def test_moisesdb_reads_repeated_stems_bleed_and_underscores(root: Path) -> None:
    build_moisesdb(root)
    track = found("moisesdb", root)[0]
    assert [(stem.stem_id, stem.bleed) for stem in track.stems] == [("g1", None), ("g2", True), ("p", None), ("c", None)]
    assert track.stems[2].path.is_file() and track.stems[0].label == "guitar/distorted electric guitar"


def test_moisesdb_split_never_parts_an_artist_and_click_tracks_are_no_stems(root: Path, tmp_path: Path) -> None:
    build_moisesdb(root)
    rows = scan([root], tmp_path / "work", split=(0.5, 0.25, 0.25))
    splits = {track.title: track.split for track in rows.tracks}
    assert splits["One"] == splits["Two"] != splits["Three"]
    assert {reject.reason for reject in rows.rejects} == {"not_a_stem"}


def test_moisesdb_paths_of_data_json_can_not_leave_the_root(root: Path, tmp_path: Path) -> None:
    build_moisesdb(root)
    secret = sound(tmp_path / "secret.wav")
    path = root / "moisesdb_v0.1" / "AOne" / "data.json"
    ids = ["../../../../secret", str(secret.with_suffix("")), "x" * 5000, "nul\x00", "\ud800"]
    stems = [{"stemName": "bass", "tracks": [{"id": name, "extension": "wav"} for name in ids]}, "no mapping", {"tracks": 3}]
    path.write_text(json.dumps({"stems": stems}))
    rows = scan([root], tmp_path / "work")
    assert len(rows.tracks) == 2 and not any("secret" in stem.path for stem in rows.stems)
    assert sum(reject.reason == "unsafe_path" for reject in rows.rejects) >= 2


def test_moisesdb_a_broken_data_json_costs_only_its_song(root: Path) -> None:
    build_moisesdb(root)
    (root / "moisesdb_v0.1" / "AOne" / "data.json").write_text("{")
    assert [track.title for track in found("moisesdb", root)] == ["Two", "Three"]
    assert [item.reason for item in rejected("moisesdb", root)] == ["metadata"]


def test_moisesdb_takes_genre_and_extension_as_they_are_or_not(root: Path) -> None:
    build_moisesdb(root)
    path = root / "moisesdb_v0.1" / "AOne" / "data.json"
    values = json.loads(path.read_text())
    values["stems"][0]["tracks"][0].pop("extension")
    path.write_text(json.dumps({name: value for name, value in values.items() if name != "genre"}))
    one, two, _ = found("moisesdb", root)
    assert (one.genre, two.genre) == (None, "rock") and one.stems[0].path.name == "g1.wav"
