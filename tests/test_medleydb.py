"""MedleyDB: stems and raw tracks, places of the metadata."""

from pathlib import Path

import yaml
from conftest import real_data
from trees import build_medleydb, found, rejected, sound

from instructme.dataset_tools.layouts import medleydb
from instructme.pipelines.stages.scan import scan


def test_medleydb_prefers_stems_and_falls_back_to_raw(root: Path) -> None:
    build_medleydb(root)
    (track,) = found("medleydb", root)
    assert [(stem.stem_id, stem.label) for stem in track.stems] == [
        ("S01", "drum set"),
        ("S02R01", "violin"),
        ("S02R02", "viola, cello"),
    ]
    assert track.bleed is True and track.licence == "CC-BY-NC-SA-4.0"


def test_medleydb_metadata_in_the_track_folder_and_none_at_all(root: Path) -> None:
    build_medleydb(root)
    (root / "Metadata" / "A_Song_METADATA.yaml").rename(root / "Audio" / "A_Song" / "A_Song_METADATA.yaml")
    assert len(found("medleydb", root)) == 1
    (root / "Audio" / "A_Song" / "A_Song_METADATA.yaml").unlink()
    assert [item.reason for item in rejected("medleydb", root)] == ["metadata"]


def test_medleydb_names_come_from_the_folder_where_the_metadata_has_none(root: Path) -> None:
    build_medleydb(root)
    path = root / "Metadata" / "A_Song_METADATA.yaml"
    assert found("medleydb", root)[0].title == "Song"
    values = yaml.safe_load(path.read_text())
    kept = {name: value for name, value in values.items() if name not in ("title", "stem_dir", "raw_dir")}
    path.write_text(yaml.safe_dump(kept))
    (track,) = found("medleydb", root)
    assert track.title == "A_Song" and [stem.stem_id for stem in track.stems] == ["S01", "S02R01", "S02R02"]
    path.write_text(yaml.safe_dump({**kept, "raw_dir": "Elsewhere"}))
    (root / "Audio" / "A_Song" / "A_Song_RAW").rename(root / "Audio" / "A_Song" / "Elsewhere")
    assert [stem.stem_id for stem in found("medleydb", root)[0].stems] == ["S01", "S02R01", "S02R02"]


def test_medleydb_a_stem_without_any_file_is_not_lost(root: Path, tmp_path: Path) -> None:
    build_medleydb(root)
    for path in (root / "Audio" / "A_Song" / "A_Song_RAW").iterdir():
        path.unlink()
    assert [stem.stem_id for stem in found("medleydb", root)[0].stems] == ["S01", "S02"]
    assert any("A_Song_STEM_02" in reject.item for reject in scan([root], tmp_path / "work").rejects)


def test_medleydb_genuine_metadata_is_read(root: Path, tmp_path: Path) -> None:
    paths = sorted(real_data("medleydb/metadata").glob("*.yaml"))
    paths = paths[:: max(1, len(paths) // 10)]
    for path in paths:
        values = yaml.safe_load(path.read_text())
        name = path.name.removesuffix("_METADATA.yaml")
        (root / name).mkdir()
        (root / name / path.name).write_bytes(path.read_bytes())
        for stem in values["stems"].values():
            sound(root / name / values["stem_dir"] / stem["filename"], 0.01)
    assert medleydb.recognises(root)
    rows = scan([root], tmp_path / "work")
    assert len(rows.tracks) == len(paths) and not [stem for stem in rows.stems if stem.rule == "unmatched"]
    assert all(track.artist and track.genre and track.bleed is not None for track in rows.tracks)
