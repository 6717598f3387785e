"""Slakh2100 in its releases, BabySlakh, and others in their layout."""

import json
from pathlib import Path

import pytest
import yaml
from trees import (
    band,
    build_slakh,
    found,
    rejected,
    slakh_stem,
    slakh_track,
    sound,
)

from instructme.dataset_tools.layouts import slakh
from instructme.pipelines.stages.scan import scan


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


def test_slakh_s_ranges_end_where_its_paper_says(root: Path) -> None:
    splits = flat(root, 1500, 1501, 1875, 1876)
    assert list(splits.values()) == ["train", "validation", "validation", "test"]


@pytest.mark.parametrize(("last", "known"), [(2100, True), (2101, False)])
def test_slakh_has_no_track_behind_its_last(root: Path, last: int, known: bool) -> None:
    assert (None not in flat(root, 1, last).values()) == known


def test_slakh_programs_are_those_of_general_midi_and_drums(root: Path) -> None:
    stems = {f"S0{n}": slakh_stem(program, "Piano") for n, program in enumerate((0, 127, 128, 129, -1))}
    slakh_track(root / "train" / "Track00001", stems)
    assert [stem.program for stem in found("slakh", root)[0].stems] == [0, 127, 128, None, None]


def official(data: Path) -> tuple[set[int], dict[int, str]]:
    """Read slakh-utils' lists: what redux omits, and where split 2 moves a track."""
    lists = json.loads((data / "slakh" / "official.json").read_text())
    return set(lists["omitted"]), {number: split for split, numbers in lists["moved"].items() for number in numbers}


def test_slakh_flat_tree_with_duplicates_has_split2(root: Path, data: Path) -> None:
    omitted, moved = official(data)
    numbers = sorted(omitted)[::40]
    for name, split in flat(root, 3, *numbers).items():
        original = "train" if name <= "Track01500" else "validation" if name <= "Track01875" else "test"
        assert split == moved.get(int(name[5:]), original)


def test_slakh_official_lists_are_those_of_slakh_utils(data: Path) -> None:
    ours, (omitted, moved) = slakh._official(), official(data)
    assert {number for number, (is_omitted, _) in ours.items() if is_omitted} == omitted
    assert {number: split for number, (_, split) in ours.items() if split} == moved


def test_babyslakh_and_other_flat_trees_have_no_official_split(tmp_path: Path) -> None:
    assert set(flat(tmp_path / "baby", 1, 20).values()) == {None}
    assert set(flat(tmp_path / "not from Lakh", 1, 20, 21, lakh=False).values()) == {None}
    assert set(flat(tmp_path / "beyond", 90001).values()) == {None}


def test_babyslakh_is_wav_at_16_khz(root: Path, tmp_path: Path) -> None:
    slakh_track(root / "Track00001", band(), suffix=".wav", rate_hz=16000)
    rows = scan([root], tmp_path / "work")
    assert [(stem.stem_id, stem.sample_rate_hz) for stem in rows.stems] == [("S00", 16000), ("S02", 16000), ("S05", 16000)]
    assert [track.official_split for track in rows.tracks] == [False]


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


def test_slakh_genuine_metadata_is_read(root: Path, data: Path) -> None:
    source = data / "slakh" / "Track00002"
    folder = root / "Track00002"
    for stem_id in yaml.safe_load((source / "metadata.yaml").read_text())["stems"]:
        sound(folder / "stems" / f"{stem_id}.wav")
    for name in ("metadata.yaml", "all_src.mid"):
        (folder / name).write_bytes((source / name).read_bytes())
    (track,) = found("slakh", root)
    assert len(track.stems) == 12 and all(stem.program is not None for stem in track.stems)
    assert sum(bool(stem.plugin) for stem in track.stems) == 10
    assert track.song_group == "midi:0c3b7bf33cd3d67970ecfc06339bfc49" and track.licence == "CC-BY-4.0"
