"""Mid and side: two files that are one stereo recording, and files that only look like it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_parts import RATE_HZ, make, make_stem, noise, reasons
from test_stereo_pairs import stem

from instructme.dataset_tools.stems import mid_side, stereo_pairs
from instructme.manifests import tables
from instructme.manifests.rows import Reject
from instructme.pipelines.stages.scan import scan


@pytest.mark.parametrize(
    ("mid", "side"),
    [
        ("Piano.M", "Piano.S"),
        ("Piano_m", "Piano_s"),
        ("Piano Mid", "Piano Side"),
        ("Piano (Mid)", "Piano (Side)"),
        ("Piano-MID", "Piano-SIDE"),
        ("Piano M 2", "Piano S 2"),
        ("Piano_Mid_01", "Piano_Side_01"),
        ("Piano Mitte", "Piano Seite"),
    ],
)
def test_names_that_end_in_mid_and_side_are_a_pair(mid: str, side: str) -> None:
    stems, notes = mid_side.join([stem(side), stem("Bass"), stem("Organ L"), stem("Organ R"), stem(mid)])
    assert [each.pair for each in stems] == [mid, None, None, None, side] and not notes
    assert mid_side.mid_first(stems[0], stems[-1]) == mid_side.mid_first(stems[-1], stems[0]) == (stems[-1], stems[0])


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("Piano M", "Organ S"), False),
        (("Piano Mid", "Piano S"), False),
        (("Snare M", "Snare S", "Snare K"), False),
        (("Strings S", "Strings A", "Strings M"), False),
        (("Piano S",), False),
        (("Piano M", "Piano M 2", "Piano S"), True),
        (("PianoM", "PianoS"), False),
        (("Piano M", "Piano S", "Guitar B"), True),
        (("Piano M", "Piano S", "Piano L", "Piano R"), True),
    ],
)
def test_other_letters_are_no_certain_pair(names: tuple[str, ...], told: bool) -> None:
    stems, notes = mid_side.join(stereo_pairs.join([stem(name) for name in names])[0])
    paired = {each.stem_id for each in stems if each.pair} - {"Piano L", "Piano R"}
    certain = "Piano M 2" in names
    assert paired == ({"Piano M", "Piano S"} if certain else set())
    assert [(note.item, note.reason) for note in notes] == [("Song/Piano S.wav", "unpaired")] * (told and not certain)


def test_letters_of_voices_are_told_and_words_are_a_pair() -> None:
    voices = [stem(name, instrument="choir", family="vocals") for name in ("Choir M", "Choir S")]
    stems, notes = mid_side.join(voices)
    assert [each.pair for each in stems] == [None, None] and [note.reason for note in notes] == ["unpaired"]
    words = [stem(name, instrument="choir", family="vocals") for name in ("Choir Mid", "Choir Side")]
    assert [each.pair for each in mid_side.join(words)[0]] == ["Choir Side", "Choir Mid"]


@pytest.mark.parametrize("fields", [{"length_samples": 999}, {"channels": 2}, {"sample_rate_hz": 48000}])
def test_files_that_differ_are_told(fields: dict[str, int]) -> None:
    stems, notes = mid_side.join([stem("Piano Mid"), stem("Piano Side", **fields)])
    assert [each.pair for each in stems] == [None, None]
    assert [(note.item, note.reason) for note in notes] == [("Song/Piano Side.wav", "unpaired")]


@pytest.mark.parametrize(
    ("name", "channels", "told"),
    [("Room MS", 2, 1), ("Room M-S", 2, 1), ("Room mid-side", 2, 1), ("Room MS", 1, 0), ("Drums", 2, 0)],
)
def test_a_stereo_file_of_mid_and_side_is_told(name: str, channels: int, told: int) -> None:
    stems, notes = mid_side.join([stem(name, channels=channels)])
    assert [each.reason for each in notes] == ["mid_side"] * told and stems[0].pair is None


def pair(folder: Path, mid: np.ndarray, side: np.ndarray) -> list:
    rows = [make_stem(folder, name, "piano", wave) for name, wave in (("p S", side), ("p M", mid))]
    return [replace(rows[0], pair="p M"), replace(rows[1], pair="p S")]


def test_a_mono_part_takes_the_mid_and_a_stereo_part_left_and_right(tmp_path: Path) -> None:
    left, right = noise(1, 0.3), 0.5 * noise(1, 0.3) + noise(1, 0.1, seed=1)
    mid, side = (left + right) / 2, (left - right) / 2
    rows, waves, _, rejects = make(tmp_path, pair(tmp_path, mid, side))
    assert reasons(rejects) == [("p M", "mid_side")] and "the mid alone" in rejects[0].detail
    assert rows["piano"].stems == ["p M", "p S"] and np.abs(waves["piano"] - mid).max() <= 1 / 32768
    _, waves, _, rejects = make(tmp_path, pair(tmp_path, mid, side), channels=2)
    assert reasons(rejects) == [("p M", "mid_side")] and "left is their sum" in rejects[0].detail
    assert np.abs(waves["piano"] - np.stack([left, right], axis=1)).max() <= 1 / 32768


@pytest.mark.parametrize("channels", [1, 2])
def test_a_side_that_is_louder_than_its_mid_is_summed_and_told(channels: int, tmp_path: Path) -> None:
    one, other = noise(1, 0.2), noise(1, 0.3, seed=1)
    _, waves, _, rejects = make(tmp_path, pair(tmp_path, one, other), channels=channels)
    assert reasons(rejects) == [("p M", "unpaired")]
    assert np.abs(waves["piano"].reshape(len(one), -1).mean(axis=1) - one - other).max() <= 1 / 32768


def test_files_of_mid_and_side_are_read_as_one_stem(tmp_path: Path) -> None:
    (tmp_path / "data" / "Song").mkdir(parents=True)
    for seed, name in enumerate(("Piano.M", "Piano.S", "Bass", "Guitar MS")):
        wave = noise(1, 0.3, seed)
        soundfile.write(tmp_path / "data" / "Song" / f"{name}.wav", np.stack([wave] * (1 + name.endswith("MS")), axis=1), RATE_HZ)
    rows = scan(tmp_path / "data", tmp_path / "work")
    by_name = {Path(row.path).stem: row for row in rows.stems}
    assert by_name["Piano.M"].pair == by_name["Piano.S"].stem_id and by_name["Piano.S"].pair == by_name["Piano.M"].stem_id
    told = tables.read_rows(tmp_path / "work" / "rejects.parquet", Reject)
    assert [(row.item, row.reason) for row in told] == [("Song/Guitar MS.wav", "mid_side")]
