"""Contract of every layout, on tiny trees as the datasets ship them."""

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml
from conftest import write_tone
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools import layouts
from dataset_tools.layouts import FoundTrack, Rejected, medleydb, musdb, slakh, table
from manifests.rows import SPLITS, DataError
from manifests.splits import song_key
from pipelines.scan import load, recognise, scan


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
    rows = [
        ["song 1", "audio/x.wav", "violin", "train", "jazz", "120", "A minor", "CC0-1.0", "g", "", "no"],
        ["song 1", "audio/y.flac", "", "", "", "", "", "", "", "true", "yes"],
        ["song 2", "audio/y.flac", "bass", "", "", "", "", "", "", "", ""],
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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


# The contract, for every file of dataset_tools/layouts


def test_every_layout_has_a_tree_to_be_tested_on() -> None:
    assert set(layouts.names()) == set(BUILD)


@pytest.mark.parametrize("layout", layouts.names())
def test_its_tree_is_recognised_and_nobody_elses_is(layout: str, root: Path, tmp_path: Path) -> None:
    BUILD[layout](root)
    assert recognise(root) == layout
    for other in set(layouts.names()) - {layout, "folder"}:
        assert not load(other).recognises(root), other
    assert not load(layout).recognises(tmp_path / "nothing")
    assert load(layout).EXPECTS


@pytest.mark.parametrize("layout", layouts.names())
def test_tracks_are_whole_and_in_a_fixed_order(layout: str, root: Path) -> None:
    BUILD[layout](root)
    tracks = found(layout, root)
    assert tracks and tracks == found(layout, root)
    for track in tracks:
        assert track.title and track.licence and track.stems and track.split in (None, *SPLITS)
        assert track.path.is_relative_to(root)
        for stem in track.stems:
            assert stem.stem_id and soundfile.info(stem.path).frames and stem.path.is_relative_to(root)
            assert "mix" not in stem.path.name.lower()


@pytest.mark.parametrize("layout", layouts.names())
def test_scan_makes_rows_of_it_and_every_stem_has_its_own_id(layout: str, root: Path, tmp_path: Path) -> None:
    BUILD[layout](root)
    rows = scan([root], tmp_path / "work")
    assert {track.layout for track in rows.tracks} == {layout}
    ids = [(stem.track_id, stem.stem_id) for stem in rows.stems]
    assert len(ids) == len(set(ids))
    assert all((root / stem.path).is_file() and stem.length_samples == 4410 for stem in rows.stems)


@pytest.mark.parametrize("layout", layouts.names())
def test_an_empty_audio_file_costs_only_itself(layout: str, root: Path, tmp_path: Path) -> None:
    BUILD[layout](root)
    victim = found(layout, root)[0].stems[0].path
    before = {stem.path for stem in scan([root], tmp_path / "before").stems}
    victim.write_bytes(b"")
    rows = scan([root], tmp_path / "after")
    assert before - {stem.path for stem in rows.stems} == {victim.relative_to(root).as_posix()}
    assert any(reject.reason == "empty" for reject in rows.rejects)


@pytest.mark.parametrize(
    "text", ["", "a: [1", "- 1", "a: &a [x]\nb: [*a, *a]", "[" * 100_000, "\x00", "a: 2020-99-99", "x" * 2_000_000]
)
@pytest.mark.parametrize("layout", ["slakh", "moisesdb", "medleydb"])
def test_broken_metadata_costs_only_its_track(layout: str, text: str, root: Path, tmp_path: Path) -> None:
    BUILD[layout](root)
    slakh_track(root / "train" / "Track00009", band()) if layout == "slakh" else None
    path = next(path for path in sorted(root.rglob("*")) if path.name.lower().endswith(("metadata.yaml", "data.json")))
    tracks = found(layout, root)
    path.write_text(text)
    assert len(found(layout, root)) == len(tracks) - 1
    assert [reject.reason for reject in rejected(layout, root) if reject.reason == "metadata"] == ["metadata"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["S00", "../x", "/etc/passwd", "yes"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
keys = [
    "UUID",
    "chart",
    "genre",
    "licence",
    "tempo_bpm",
    "key",
    "title",
    "lmd_midi_dir",
    "song",
    "artist",
    "has_bleed",
    "stem_dir",
]
inner_keys = ["program_num", "plugin_name", "is_drum", "stemName", "tracks", "id", "extension", "filename", "instrument", "raw"]
inner_values = st.dictionaries(st.sampled_from(inner_keys), anything)
metadata = st.dictionaries(st.sampled_from(keys), anything).flatmap(
    lambda values: st.builds(
        lambda stems: {**values, "stems": stems},
        anything | st.lists(inner_values, max_size=3) | st.dictionaries(st.sampled_from(["S00", "S01"]), inner_values | anything),
    )
)


@settings(max_examples=20)
@given(metadata=metadata)
@pytest.mark.parametrize("layout", ["slakh", "moisesdb", "medleydb"])
def test_metadata_of_any_shape_never_stops_a_scan(layout: str, metadata: dict, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    root = folder / "data"
    root.mkdir()
    BUILD[layout](root)
    path = next(path for path in sorted(root.rglob("*")) if path.name.lower().endswith(("metadata.yaml", "data.json")))
    path.write_text(json.dumps(metadata))
    write_tone(folder / "mine" / "Song" / "bass.wav", 0.1)
    rows = scan([root, folder / "mine"], folder / "work")
    assert all((root / stem.path).is_file() or (folder / "mine" / stem.path).is_file() for stem in rows.stems)
    shutil.rmtree(folder)


# Slakh


def test_slakh_trusts_files_not_flags(root: Path) -> None:
    stems = {**band(), "S07": slakh_stem(99, "FX 4 (atmosphere)", absent=True)}
    folder = slakh_track(root / "train" / "Track00001", stems)
    sound(folder / "stems" / "S09.flac")
    (track,) = found("slakh", root)
    assert [stem.stem_id for stem in track.stems] == ["S00", "S02", "S05", "S09"]
    assert [stem.program for stem in track.stems] == [33, 128, 0, None]
    assert not track.stems[0].flagged_rendered and track.stems[0].plugin == ""
    assert track.stems[2].midi_path == folder / "MIDI" / "S05.mid"
    assert [(reject.item, reject.reason) for reject in track.rejected] == [("Track00001/S07", "not_rendered")]


def test_slakh_redux_leaves_out_the_omitted_and_counts_them(root: Path) -> None:
    build_slakh(root)
    slakh_track(root / "omitted" / "Track00005", band())
    assert [track.split for track in found("slakh", root)] == ["test", "train"]
    assert [(item.reason, item.count) for item in rejected("slakh", root)] == [("omitted", 1)]


def test_slakh_wav_beside_flac_is_one_stem(root: Path) -> None:
    folder = slakh_track(root / "train" / "Track00001", band())
    sound(folder / "stems" / "S00.wav")
    (track,) = found("slakh", root)
    assert [stem.path.name for stem in track.stems] == ["S00.flac", "S02.flac", "S05.flac"]


def flat(root: Path, *numbers: int, lakh: bool = True) -> dict[str, str | None]:
    for number in numbers:
        slakh_track(root / f"Track{number:05d}", band(), **({"lmd_midi_dir": "lmd_matched/x.mid"} if lakh else {}))
    return {track.name: track.split for track in found("slakh", root)}


def test_slakh_flat_tree_of_redux_tracks_has_the_original_ranges(root: Path) -> None:
    # 3 is moved to test by split2, but no track here is one that redux omits.
    assert flat(root, 1, 3, 1504, 2098) == {
        "Track00001": "train",
        "Track00003": "train",
        "Track01504": "validation",
        "Track02098": "test",
    }


def test_slakh_flat_tree_with_duplicates_has_split2(root: Path, shared_data: Path) -> None:
    redux = json.loads((shared_data / "slakh" / "redux.json").read_text())
    split2 = json.loads((shared_data / "slakh" / "splits_v2.json").read_text())
    numbers = [int(name[5:]) for name, entry in redux.items() if entry["action"] == "omit"][::40]
    for name, split in flat(root, 3, *numbers).items():
        original = "train" if name <= "Track01500" else "validation" if name <= "Track01875" else "test"
        assert split == split2[name].get("destination_split", original)


def test_slakh_official_lists_are_those_of_slakh_utils(shared_data: Path) -> None:
    redux = json.loads((shared_data / "slakh" / "redux.json").read_text())
    split2 = json.loads((shared_data / "slakh" / "splits_v2.json").read_text())
    ours = slakh._official()
    assert {number for number, (omitted, _) in ours.items() if omitted} == {
        int(n[5:]) for n, e in redux.items() if e["action"] == "omit"
    }
    assert {number: moved for number, (_, moved) in ours.items() if moved} == {
        int(name[5:]): entry["destination_split"] for name, entry in split2.items() if entry["action"] == "move"
    }


def test_babyslakh_and_other_flat_trees_have_no_official_split(root: Path) -> None:
    assert set(flat(root / "baby", 1, 20).values() if (root / "baby").mkdir() else flat(root, 1, 20).values()) == {None}
    assert set(flat(root, 1, 20, 21, lakh=False).values()) == {None}
    assert set(flat(root, 90001).values()) == {None}


def test_slakh_known_bad_stems_only_in_the_real_slakh(root: Path) -> None:
    slakh_track(root / "train" / "Track01500", {"S12": slakh_stem(0, "Piano")}, lmd_midi_dir="lmd_matched/x.mid")
    slakh_track(root / "train" / "Track01937", {"S03": slakh_stem(0, "Piano")})
    real, lookalike = found("slakh", root)
    assert real.stems[0].known_bad == "one endless tone" and lookalike.stems[0].known_bad is None
    assert (real.licence, lookalike.licence) == ("CC-BY-4.0", "unknown")


def test_slakh_midi_duplicates_share_a_song_group_and_charts_a_leak_group(root: Path) -> None:
    for number, uuid in ((1, "0" * 32), (2, "0" * 32), (3, "own")):
        slakh_track(
            root / "train" / f"Track0000{number}", band(), UUID=uuid, chart="blues in F", genre="jazz", tempo_bpm=112, key="F:maj"
        )
    one, two, three = found("slakh", root)
    assert one.song_group == two.song_group != three.song_group
    assert one.leak_group == three.leak_group == "chart:blues in F"
    assert (three.genre, three.tempo_bpm, three.key) == ("jazz", 112.0, "F:maj")


def test_slakh_genuine_metadata_is_read(root: Path, shared_data: Path) -> None:
    source = shared_data / "slakh" / "Track00002"
    folder = root / "Track00002"
    for stem_id in yaml.safe_load((source / "metadata.yaml").read_text())["stems"]:
        sound(folder / "stems" / f"{stem_id}.wav")
    for name in ("metadata.yaml", "all_src.mid"):
        (folder / name).write_bytes((source / name).read_bytes())
    (track,) = found("slakh", root)
    assert len(track.stems) == 12 and all(stem.program is not None for stem in track.stems)
    assert sum(bool(stem.plugin) for stem in track.stems) == 10
    assert track.song_group == "midi:0c3b7bf33cd3d67970ecfc06339bfc49" and track.licence == "CC-BY-4.0"


# MUSDB


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


def test_musdb_and_medleydb_name_the_songs_they_share_alike(root: Path, shared_data: Path) -> None:
    for path in sorted((shared_data / "medleydb" / "metadata").glob("*.yaml")):
        name = path.name.removesuffix("_METADATA.yaml")
        (root / name / f"{name}_STEMS").mkdir(parents=True)
        (root / name / path.name).write_bytes(path.read_bytes())
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


# MoisesDB


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


# MedleyDB


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


def test_medleydb_genuine_metadata_is_read(root: Path, shared_data: Path, tmp_path: Path) -> None:
    paths = sorted((shared_data / "medleydb" / "metadata").glob("*.yaml"))[::20]
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


# Folders


def test_folder_takes_no_mixture_for_a_stem(root: Path) -> None:
    build_folder(root)
    first, second = found("folder", root)
    assert [stem.label for stem in first.stems] == ["Bass DI", "Kick In"] and second.name == "Second"
    assert [item.reason for item in first.rejected] == ["not_a_stem"]


def test_folder_flat_names_splits_artists_and_separator_output(root: Path) -> None:
    for name in ("train/Me - One.bass.wav", "train/Me - One.drums.wav", "valid/Me - Two/vocals.wav", "valid/Me - Two/other.wav"):
        sound(root / name)
    one, two = found("folder", root)
    assert (one.artist, one.title, one.split, [stem.label for stem in one.stems]) == ("Me", "One", "train", ["bass", "drums"])
    assert (two.artist, two.title, two.split) == ("Me", "Two", "validation")


def test_folder_many_songs_in_one_folder_by_dash_or_dot_keep_their_own_midi(root: Path) -> None:
    for name in ("One - drums.wav", "One - bass.wav", "Two - drums.wav", "Two - mixture.wav", "Two - bass.wav"):
        sound(root / "dash" / name)
    for name in ("One.drums.wav", "One.bass.wav", "Two.drums.wav"):
        sound(root / "dot" / name)
    for name in ("One.mid", "Two.drums.mid"):
        (root / "dot" / name).write_bytes(b"MThd")
    for name in ("OH - L.wav", "OH - R.wav", "Snare - Top.wav", "Snare - Bottom.wav"):
        sound(root / "studio" / name)
    tracks = {track.name: track for track in found("folder", root)}
    assert set(tracks) == {"dash/One", "dash/Two", "dot/One", "dot/Two", "studio"}
    assert [stem.label for stem in tracks["dash/Two"].stems] == ["bass", "drums"]
    assert {stem.midi_path and stem.midi_path.name for stem in tracks["dot/One"].stems} == {"One.mid"}
    assert [stem.midi_path and stem.midi_path.name for stem in tracks["dot/Two"].stems] == ["Two.drums.mid"]


def test_folder_numbered_files_are_one_song_and_its_name_is_taken_off_the_labels(root: Path) -> None:
    for name in ("01.Kick.wav", "02.Bass.wav"):
        sound(root / "Numbered" / name)
    for name in ("Piano Man_Kick.wav", "Piano Man_Bass.wav"):
        sound(root / "Piano Man" / name)
    numbered, piano_man = found("folder", root)
    assert len(numbered.stems) == 2 and [stem.label for stem in piano_man.stems] == ["Bass", "Kick"]


def test_folder_per_instrument_is_a_collection_of_unaligned_parts(root: Path, tmp_path: Path) -> None:
    for name in ("drums/a.wav", "drums/b.wav", "bass/a.wav"):
        sound(root / name)
    rows = scan([root], tmp_path / "work")
    assert len(rows.tracks) == 3 and not any(track.aligned for track in rows.tracks)
    assert sorted(stem.instrument for stem in rows.stems) == ["bass", "drums", "drums"]
    assert len({track.leak_group for track in rows.tracks}) == 2


def test_folder_of_instrument_folders_below_the_root_is_one_song(root: Path) -> None:
    for name in ("Song/drums/kick.wav", "Song/drums/snare.wav", "Song/bass/take 3.wav", "Other/stems/bass.wav", "Other/mix.wav"):
        sound(root / name)
    other, song = found("folder", root)
    assert (other.title, song.title, song.aligned) == ("Other", "Song", True)
    assert sorted(stem.label for stem in song.stems) == ["bass/take 3", "drums/kick", "drums/snare"]


def test_folder_midi_goes_to_its_stem_or_a_single_one_to_all(root: Path) -> None:
    for name in ("A/bass.wav", "A/drums.wav", "B/guitar.ogg", "B/song.ogg"):
        sound(root / name)
    for name in ("A/bass.mid", "A/other.mid", "B/notes.mid"):
        (root / name).write_bytes(b"MThd")
    a, b = found("folder", root)
    assert [stem.midi_path and stem.midi_path.name for stem in a.stems] == ["bass.mid", None]
    assert [(stem.label, stem.midi_path and stem.midi_path.name) for stem in b.stems] == [
        ("guitar", "notes.mid"),
        ("backing track", "notes.mid"),
    ]


def test_folder_unread_formats_are_rejected_with_advice_and_hidden_files_ignored(root: Path) -> None:
    sound(root / "A" / "bass.wav")
    (root / "A" / "piano.m4a").write_bytes(b"x")
    (root / "A" / "._bass.wav").write_bytes(b"x")
    (track,) = found("folder", root)
    assert len(track.stems) == 1
    assert [(item.item, item.reason) for item in rejected("folder", root)] == [("A/piano.m4a", "unsupported_format")]


def test_folder_links_out_of_the_root_and_loops_end(root: Path, tmp_path: Path) -> None:
    sound(root / "A" / "bass.wav")
    sound(tmp_path / "elsewhere" / "drums.wav")
    (root / "A" / "drums.wav").symlink_to(tmp_path / "elsewhere" / "drums.wav")
    (root / "B").symlink_to(tmp_path / "elsewhere")
    (root / "C").symlink_to(root)
    (root / "A" / "gone.wav").symlink_to(root / "nowhere.wav")
    os.mkfifo(root / "A" / "pipe.wav")
    rows = scan([root], tmp_path / "work")
    assert [stem.path for stem in rows.stems] == ["A/bass.wav"]
    assert sorted(reject.reason for reject in rows.rejects) == ["link", "link", "missing", "unsafe_path"]


@pytest.mark.skipif(os.name != "posix", reason="names of files are text there")
def test_folder_names_that_are_not_utf8_are_rejected(root: Path, tmp_path: Path) -> None:
    sound(root / "A" / "bass.wav")
    (root / "A" / os.fsdecode(b"dr\xffums.wav")).write_bytes((root / "A" / "bass.wav").read_bytes())
    rows = scan([root], tmp_path / "work")
    assert len(rows.stems) == 1 and [reject.reason for reject in rows.rejects] == ["unsafe_path"]


# Tables


def test_table_reads_every_column(root: Path) -> None:
    build_table(root)
    one, two = found("table", root)
    assert (one.split, one.genre, one.tempo_bpm, one.key, one.licence, one.leak_group) == (
        "train",
        "jazz",
        120,
        "A minor",
        "CC0-1.0",
        "group:g",
    )
    assert [(stem.label, stem.program, stem.bleed) for stem in one.stems] == [("violin", None, False), ("", 128, True)]
    assert two.split is None and two.leak_group is None


def test_table_as_parquet_file_equals_csv(root: Path) -> None:
    build_table(root)
    with (root / "stems.csv").open() as file:
        pq.write_table(pa.Table.from_pylist(list(csv.DictReader(file))), root / "t.parquet")
    assert found("table", root / "t.parquet") == found("table", root)


def test_table_of_type_and_path_is_of_single_parts(root: Path) -> None:
    sound(root / "x.wav")
    (root / "t.csv").write_text("type,path\nbass,x.wav\n,\n")
    (track,) = found("table", root)
    assert not track.aligned and track.stems[0].label == "bass"
    assert [item.reason for item in rejected("table", root)] == ["incomplete"]


@pytest.mark.parametrize("text", ["track_id,path\na,b\n", "", "track_id,path,instrument\n" + "x" * 200_000, "\xff"])
def test_table_that_can_not_be_used_is_one_line(text: str, root: Path) -> None:
    (root / "t.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"t\.csv") as caught:
        list(table.tracks(root / "t.csv"))
    assert "\n" not in str(caught.value)
