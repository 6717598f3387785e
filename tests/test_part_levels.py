"""Levels of stems and parts: what is too loud, too soft or out of balance is told, and made one gain."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_parts import RATE_HZ, TRACK, make, make_stem, noise, reasons

from instructme.dataset_tools import audio
from instructme.dataset_tools.stems import parts


def test_stems_that_are_too_loud_together_are_told(tmp_path: Path) -> None:
    stems = [make_stem(tmp_path, str(seed), "drums", np.sign(noise(1, seed=seed)) * 0.9) for seed in range(6)]
    rows, _, _, rejects = make(tmp_path, stems)
    assert [row.reason for row in rejects] == ["loud"] and "together" in rejects[0].detail and rows["drums"].gain < 0.5


def test_a_file_of_integers_costs_the_others_nothing(tmp_path: Path) -> None:
    stems = [make_stem(tmp_path, "a", "bass", noise(1)), make_stem(tmp_path, "b", "drums", noise(1, 11000.0, seed=2))]
    rows, _, _, rejects = make(tmp_path, stems)
    assert ("b", "too_loud") in reasons(rejects) and rows["bass"].gain == 1 and "drums" not in rows


def test_a_stem_far_over_full_scale_is_told(tmp_path: Path) -> None:
    rows, _, _, rejects = make(tmp_path, [make_stem(tmp_path, "a", "bass", noise(1, 4.0))])
    assert reasons(rejects) == [("a", "loud")] and rows["bass"].gain == pytest.approx(0.25, rel=0.01)


def test_a_soft_track_is_turned_up_as_a_whole(tmp_path: Path) -> None:
    stems = [make_stem(tmp_path, "a", "bass", noise(1, 0.003)), make_stem(tmp_path, "b", "drums", noise(1, 0.0003, seed=2))]
    rows, _, _, rejects = make(tmp_path, stems)
    assert not rejects and rows["bass"].gain == rows["drums"].gain == pytest.approx(0.5 / 0.003, rel=0.01)
    assert rows["bass"].peak_db == pytest.approx(-6, abs=0.1) and rows["drums"].peak_db == pytest.approx(-26, abs=0.2)


def test_balanced_stems_have_the_loudness_of_their_family_and_one_gain(tmp_path: Path) -> None:
    stems = [
        make_stem(tmp_path, "d", "drums", noise(3, 0.9), family="drums"),
        make_stem(tmp_path, "b", "bass", noise(3, 0.02, 1), family="bass"),
        make_stem(tmp_path, "x", "flute", noise(3, 0.003, 2), family="woodwind"),
    ]
    merged, _ = parts.merge(TRACK, stems, tmp_path, tmp_path, RATE_HZ)
    rows = {part.instrument: part for part, _ in parts.write(parts.balanced(merged, RATE_HZ), tmp_path, Path("p"), RATE_HZ)}
    gain_db = audio.db(rows["bass"].gain)
    assert rows["drums"].lufs == pytest.approx(-20 + gain_db, abs=0.2) and rows["bass"].lufs == pytest.approx(
        -22 + gain_db, abs=0.2
    )
    assert rows["flute"].balance_db == parts.MOST_BALANCE_DB and len({row.gain for row in rows.values()}) == 1
    assert max(row.peak_db for row in rows.values()) <= 0


def test_in_a_rough_mix_the_voice_is_in_front_and_what_accompanies_behind(tmp_path: Path) -> None:
    families = ("vocals", "drums", "bass", "keys", "guitar", "other")
    stems = [make_stem(tmp_path, name, name, noise(1, 0.3, seed), family=name) for seed, name in enumerate(families)]
    merged, _ = parts.merge(TRACK, stems, tmp_path, tmp_path, RATE_HZ)
    balanced = {part.stems[0].family: 20 * np.log10(part.full_scale) for part in parts.balanced(merged, RATE_HZ)}
    under = [balanced["vocals"] - balanced[family] for family in families]
    assert under == sorted(under) and 2 < under[2] < 4 < under[3] == pytest.approx(under[4], abs=0.5) and under[5] < 8


def test_balanced_parts_know_their_new_full_scale_and_effects_are_never_turned_up(tmp_path: Path) -> None:
    """A click of 0.1 s has no loudness: it stays as it is."""
    stems = [
        make_stem(tmp_path, "b", "bass", noise(3, 0.02), family="bass"),
        make_stem(tmp_path, "e", "other", noise(3, 0.02, 1), family="other"),
        make_stem(tmp_path, "c", "claps", noise(0.1, 0.5, 2), family="drums"),
    ]
    merged, _ = parts.merge(TRACK, stems, tmp_path, tmp_path, RATE_HZ)
    before = {part.stems[0].instrument: part.full_scale for part in merged}
    after = {part.stems[0].instrument: part for part in parts.balanced(merged, RATE_HZ)}
    change_db = after["bass"].balance_db
    assert 5 < change_db < parts.MOST_BALANCE_DB
    assert after["bass"].full_scale == pytest.approx(before["bass"] * 10 ** (change_db / 20))
    assert [(after[name].balance_db, after[name].full_scale) for name in ("other", "claps")] == [
        (0.0, before["other"]),
        (0.0, before["claps"]),
    ]


def test_a_good_copy_of_a_stem_that_is_left_out_is_used(tmp_path: Path) -> None:
    wave = noise(2)
    stems = [make_stem(tmp_path, "a", "bass", 30000 * wave), make_stem(tmp_path, "b", "bass", wave)]
    rows, _, _, rejects = make(tmp_path, stems)
    assert reasons(rejects) == [("a", "too_loud")] and rows["bass"].stems == ["b"]


@pytest.mark.parametrize(("peak", "reason", "used"), [(1.9, [], True), (9.5, ["loud"], True), (10.5, ["too_loud"], False)])
def test_a_stem_may_peak_20_db_over_full_scale_and_no_more(tmp_path: Path, peak: float, reason: list[str], used: bool) -> None:
    stems = [make_stem(tmp_path, "a", "bass", noise(1)), make_stem(tmp_path, "b", "drums", noise(1, peak, seed=2))]
    rows, _, _, rejects = make(tmp_path, stems)
    assert [row.reason for row in rejects] == reason and ("drums" in rows) == used


@pytest.mark.parametrize("low", ["bass", "both"])
def test_stems_that_leave_their_highest_bits_empty_are_told(low: str, tmp_path: Path) -> None:
    stems = []
    for name in ("bass", "guitar"):
        stem = make_stem(tmp_path, name, name, noise(2, seed=ord(name[0])))
        whole = np.rint(noise(2, seed=ord(name[0])) * 2**23).astype(np.int32)
        factor = 1 if low in (name, "both") else 256
        soundfile.write(tmp_path / stem.path, whole * np.int32(factor), RATE_HZ, subtype="PCM_32")
        stems.append(stem)
    _, _, _, rejects = make(tmp_path, stems)
    told = [(row.item, row.reason, "48 dB" in row.detail) for row in rejects]
    assert told == [(f"{name}.wav", "low_bits", True) for name in ("bass", "guitar") if low in (name, "both")]
