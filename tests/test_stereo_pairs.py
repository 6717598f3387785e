"""Split stereo: two files that are the channels of one stem."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_parts import RATE_HZ, make, make_stem, noise

from instructme.dataset_tools.stems import stereo_pairs
from instructme.manifests.rows import Stem
from instructme.pipelines.stages.scan import scan


def stem(name: str, **fields: object) -> Stem:
    values = {"instrument": "piano", "family": "piano", "sample_rate_hz": 44100, "channels": 1, "length_samples": 1000, **fields}
    fixed = {"track_id": "a", "stem_id": name, "path": f"Song/{name}.wav", "label": name, "program": None, "plugin": None}
    flags = {"editable": True, "lead": False, "rule": "name", "certain": True, "size_bytes": 1, "midi_path": None, "bleed": None}
    return Stem(**fixed, **flags, **values, known_bad=None, flagged_rendered=None)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("vocals.L", "vocals.R"),
        ("Piano_L", "Piano_R"),
        ("Piano L", "Piano R"),
        ("Piano-L_01", "Piano-R_01"),
        ("L Piano", "R Piano"),
        ("Piano (Left)", "Piano (Right)"),
        ("OHL", "OHR"),
        ("GtrL", "GtrR"),
        ("left", "right"),
        ("piano_l", "piano_r"),
    ],
)
def test_names_that_differ_in_the_side_only_are_a_pair(left: str, right: str) -> None:
    stems, notes = stereo_pairs.join([stem(left), stem("Bass"), stem(right)])
    assert [each.pair for each in stems] == [right, None, left] and not notes


@pytest.mark.parametrize(
    ("one", "other"),
    [("Piano L", "Organ R"), ("Piano_L", "Piano_M"), ("Dull", "Durr"), ("Vocal", "Vocar"), ("Piano Left", "Piano R")],
)
def test_other_names_are_no_pair(one: str, other: str) -> None:
    stems, notes = stereo_pairs.join([stem(one), stem(other)])
    assert [each.pair for each in stems] == [None, None] and not notes


@pytest.mark.parametrize("fields", [{"length_samples": 999}, {"channels": 2}, {"sample_rate_hz": 48000}])
def test_halves_that_differ_are_told_and_summed(fields: dict[str, int]) -> None:
    stems, notes = stereo_pairs.join([stem("Piano L"), stem("Piano R", **fields)])
    assert [each.pair for each in stems] == [None, None]
    assert [(note.item, note.reason) for note in notes] == [("Song/Piano R.wav", "unpaired")]


def test_a_side_alone_and_other_instruments_are_no_pair() -> None:
    assert [each.pair for each in stereo_pairs.join([stem("Piano L"), stem("Piano R", instrument="organ")])[0]] == [None, None]
    assert [each.pair for each in stereo_pairs.join([stem("Piano L")])[0]] == [None]


def test_what_has_no_other_side_or_two_keeps_no_later_pair_apart() -> None:
    names = ["Room L", "L Gtr L", "R Gtr L", "L Gtr R", "Piano L", "Piano R"]
    stems, notes = stereo_pairs.join([stem(name) for name in names])
    assert [each.pair for each in stems] == [None, "R Gtr L", "L Gtr L", None, "Piano R", "Piano L"] and not notes


@pytest.mark.parametrize("first", [0, 1])
def test_the_left_file_is_the_left_channel_in_any_order(first: int, tmp_path: Path) -> None:
    left, right = noise(1, 0.3), noise(1, 0.3, 1)
    pair = [make_stem(tmp_path, "p.L", "piano", left, pair="p.R"), make_stem(tmp_path, "p.R", "piano", right, pair="p.L")]
    assert stereo_pairs.left_first(pair[first], pair[1 - first]) == tuple(pair)
    _, waves, _, _ = make(tmp_path, [pair[first], pair[1 - first]], channels=2)
    assert np.abs(waves["piano"] - np.stack([left, right], axis=1)).max() <= 1 / 32768


def test_a_pair_is_the_mean_as_a_stereo_file_is(tmp_path: Path) -> None:
    left, right, room = (noise(1, 0.3, seed) for seed in range(3))
    split = [make_stem(tmp_path, "p.L", "piano", left), make_stem(tmp_path, "room", "piano", room)]
    split.append(make_stem(tmp_path, "p.R", "piano", right))
    stereo = [make_stem(tmp_path, "p", "piano", np.stack([left, right], axis=1)), make_stem(tmp_path, "room", "piano", room)]
    joined = [replace(split[0], pair="p.R"), split[1], replace(split[2], pair="p.L")]
    rows, waves, _, rejects = make(tmp_path, joined)
    assert not rejects and rows["piano"].stems == ["p.L", "p.R", "room"]
    assert np.abs(waves["piano"] - make(tmp_path, stereo)[1]["piano"]).max() <= 2 / 32768
    assert np.abs(waves["piano"] - (left + right) / 2 - room).max() <= 2 / 32768


@pytest.mark.parametrize("share", [1.0, 0.9])
def test_channels_of_a_pair_that_cancel_are_told(share: float, tmp_path: Path) -> None:
    left = noise(1, 0.3)
    stems = [make_stem(tmp_path, "p.L", "piano", left), make_stem(tmp_path, "p.R", "piano", -share * left)]
    joined = [replace(stems[0], pair="p.R"), replace(stems[1], pair="p.L")]
    _, waves, _, rejects = make(tmp_path, joined)
    assert [reject.reason for reject in rejects] == ["cancels"] and np.abs(waves["piano"] - left).max() <= 1 / 32768


def test_a_folder_of_split_stereo_is_one_song_of_pairs(tmp_path: Path) -> None:
    for name in ("vocals.L", "vocals.R", "drums.L", "drums.R"):
        (tmp_path / "data" / "Song").mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "data" / "Song" / f"{name}.wav", noise(1, 0.3), RATE_HZ)
    rows = scan(tmp_path / "data", tmp_path / "work")
    assert len(rows.tracks) == 1
    assert {row.path: row.pair and row.pair.replace("-", ".") for row in rows.stems} == {
        "Song/vocals.L.wav": "vocals.r",
        "Song/vocals.R.wav": "vocals.l",
        "Song/drums.L.wav": "drums.r",
        "Song/drums.R.wav": "drums.l",
    }
