"""Contract of every layout, on tiny trees as the datasets ship them."""

import json
import shutil
from pathlib import Path

import pytest
import soundfile
from conftest import write_tone
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import BUILD, band, found, rejected, slakh_track

from instructme.dataset_tools import layouts
from instructme.manifests.rows import SPLITS, DataError
from instructme.pipelines.stages.dataset_roots import load, recognise
from instructme.pipelines.stages.scan import scan


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


@pytest.mark.parametrize(
    ("value", "number"),
    [(120, 120.0), ("97.5", 97.5), (0, None), (-0.5, None), ("nan", None), (float("inf"), None), (None, None), ([], None)],
)
def test_a_tempo_is_a_finite_number_above_0(value, number) -> None:
    assert layouts.positive(value) == number


def test_a_folder_that_cannot_be_listed_is_named_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(DataError, match=f"can't list {tmp_path}: Permission denied: change its permissions"):
        layouts.folders(tmp_path)


def test_broken_links_are_listed_and_links_to_folders_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "linked.wav").symlink_to(tmp_path / "folder.wav")
    (tmp_path / "broken.wav").symlink_to(tmp_path / "nothing")
    (tmp_path / "sound.wav").write_bytes(b"")
    assert set(layouts.audio(tmp_path)) == {"broken", "sound"}


def test_faults_are_those_of_one_dataset() -> None:
    assert layouts.known_faults("zzz") == {} and layouts.known_faults("slakh")
    assert all(track.startswith("Track") for track, _ in layouts.known_faults("slakh"))
