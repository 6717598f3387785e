"""Takes and versions of one stem: names, and real sound through what a studio does to it."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import signal
from test_parts import RATE_HZ, make, make_stem, noise, reasons

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems.versions import SURE_COHERENCE, SURE_COMMON_MOTION, coherence, common_motion, common_rhythm
from instructme.manifests.instruments import INSTRUMENTS


@pytest.fixture
def horns(data: Path) -> Samples:
    """Read ten seconds of real horns, which rest now and then."""
    return audio.read(data / "real_stems" / "mdn_multitrack" / "horns.ogg", RATE_HZ)


def reverberation(wave: Samples, dry: float = 0.0) -> Samples:
    length = RATE_HZ // 2
    tail = np.random.default_rng(5).standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    tail[: RATE_HZ // 50] = 0
    return np.asarray(dry * wave + signal.fftconvolve(wave, tail / np.linalg.norm(tail))[: len(wave)], dtype=np.float32)


def played(folder: Path, instrument: str = "guitar", family: str = "guitar", **waves: Samples) -> tuple[list[str], list]:
    """Merge stems of one instrument, named by the keywords; give the names that are summed, and what is told."""
    stems = [
        make_stem(folder, re.sub(r"(?<!\d)_|_(?!\d)", " ", name), instrument, wave, family=family) for name, wave in waves.items()
    ]
    rows, _, _, rejects = make(folder, stems)
    return rows[instrument].stems, reasons(rejects)


@pytest.mark.parametrize(
    ("names", "left_out"),
    [
        (("Guitar_take_1", "Guitar_take_2"), "Guitar take 2"),
        (("08_Gtr_Tk1", "09_Gtr_Tk2"), "09 Gtr Tk2"),
        (("LeadGtrV1", "LeadGtrV2"), "LeadGtrV2"),
        (("Gtr#01", "Gtr#02"), "Gtr#02"),
        (("04-Gtr-230501_1201", "04-Gtr-230501_1215"), "04-Gtr-230501_1215"),
    ],
)
def test_takes_that_play_together_are_alternatives(names: tuple[str, str], left_out: str, tmp_path: Path) -> None:
    used, told = played(tmp_path, **{names[0]: noise(6), names[1]: noise(6, seed=1)})
    assert len(used) == 1 and left_out not in used and told == [(left_out, "version")]


@pytest.mark.parametrize(
    "names",
    [
        ("Gtr_1", "Gtr_2"),
        ("Gtr_L", "Gtr_R2"),
        ("04-Gtr-230501_1201", "05-Gtr-230501_1215"),
        ("Gtr_01", "Gtr_02"),
        ("Gtr_Take_1_L", "Gtr_Take_1_Room"),
        ("V1_Violin", "V2_Violin"),
        ("Snare_Top", "Snare_Bottom"),
        ("Gtr_Clean", "Gtr_Lead"),
        ("Song_RAW_01_01", "Song_RAW_01_02"),
        ("Gtr_take_1_01", "Gtr_take_1_02"),
        ("鼓", "吉他"),
        ("鼓_take_1", "吉他_take_2"),
    ],
)
def test_doubles_and_microphones_are_summed_without_a_word(names: tuple[str, str], tmp_path: Path) -> None:
    used, told = played(tmp_path, **{names[0]: noise(6), names[1]: noise(6, seed=1)})
    assert len(used) == 2 and not told


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("Gtr_1", "Gtr_2", "Gtr_Comp"), [("Gtr Comp", "overlap")]),
        (("Gtr_take_1", "Gtr_COMP"), [("Gtr COMP", "overlap")]),
        (("Gtr_Comp", "Lead_Gtr"), []),
        (("Comp", "Gtr_1"), []),
    ],
)
def test_a_comp_beside_its_takes_is_told(names: tuple[str, ...], told: list[tuple[str, str]], tmp_path: Path) -> None:
    assert played(tmp_path, **{name: noise(6, seed=number) for number, name in enumerate(names)})[1] == told


def hits(step_s: float, start_s: float = 0.1, seed: int = 0) -> Samples:
    """Strike a drum of noise for 10 s, by hand; each seed is another drum and another take."""
    random, wave = np.random.default_rng(seed), np.zeros(11 * RATE_HZ, np.float32)
    drum = random.standard_normal(RATE_HZ // 4) * np.exp(-np.arange(RATE_HZ // 4) / RATE_HZ * random.uniform(20, 40))
    for time_s in np.arange(start_s, 9.7, step_s):
        at = round((time_s + random.normal(0, 0.01)) * RATE_HZ)
        wave[at : at + len(drum)] += 0.2 * random.uniform(0.7, 1) * drum
    return wave


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (hits(0.25, seed=1), "version"),
        (hits(0.5, seed=1), "overlap"),
        (hits(0.375, seed=1), "overlap"),
        (hits(0.25, 0.225, seed=1), "overlap"),
    ],
)
def test_an_alternative_of_a_drum_has_its_rhythm(other: Samples, reason: str, tmp_path: Path) -> None:
    used, told = played(tmp_path, "shaker", "percussion", Shaker=hits(0.25), Shaker_Alt=other)
    assert used == ["Shaker", "Shaker Alt"][: 1 if reason == "version" else 2] and told == [("Shaker Alt", reason)]
    assert played(tmp_path, "shaker", "percussion", Shaker=hits(0.25)[: 4 * RATE_HZ], Shaker_Alt=other[: 4 * RATE_HZ])[1] == [
        ("Shaker Alt", "version")  # too short to compare
    ]


def test_rests_and_silence_have_no_rhythm_in_common() -> None:
    wave, silence = hits(0.25), np.zeros(11 * RATE_HZ, np.float32)
    assert common_rhythm(wave, wave, RATE_HZ) == pytest.approx(1)
    assert common_rhythm(wave, silence, RATE_HZ) == 0 == common_rhythm(silence, silence, RATE_HZ)
    # both rest in the same half; where they play, their rhythms are not one
    one, other = np.concatenate([wave, silence]), np.concatenate([hits(0.375, seed=1), silence])
    assert common_rhythm(one, other, RATE_HZ) < 0.4


def test_takes_that_follow_each_other_are_summed(tmp_path: Path) -> None:
    silence = np.zeros(3 * RATE_HZ, np.float32)
    first, second = np.concatenate([noise(3), silence]), np.concatenate([silence, noise(3, seed=1)])
    used, told = played(tmp_path, Gtr_take_1=first, Gtr_take_2=second)
    assert len(used) == 2 and not told
    both = np.concatenate([noise(1, seed=2), silence[: 2 * RATE_HZ], noise(3, seed=2)])
    # noise may be a synthesizer; no guitar sounds so (`name_doubted`)
    used, told = played(tmp_path, "synthesizer", "synth", Gtr_take_1=first, Gtr_take_2=second, Gtr_take_3=both)
    assert told == [("Gtr take 1", "overlap"), ("Gtr take 2", "version")] and len(used) == 2


def test_stems_of_a_band_are_of_one_take(tmp_path: Path) -> None:
    late = noise(6)
    late[: RATE_HZ // 2] = 0
    for instrument, first, second in (("bass", late, noise(6, seed=1)), ("guitar", noise(6, seed=2), late)):
        waves = {f"{instrument}_take_1": first, f"{instrument}_take_2": second}
        assert played(tmp_path, instrument, **waves)[0] == [f"{instrument} take 1"]


def test_a_take_that_was_broken_off_is_not_used(tmp_path: Path) -> None:
    broken_off = noise(6)
    broken_off[RATE_HZ:] = 0
    assert played(tmp_path, Gtr_take_1=broken_off, Gtr_take_2=noise(6, seed=1)) == (
        ["Gtr take 2"],
        [("Gtr take 1", "version")],
    )


@pytest.mark.parametrize("kind", ["equaliser", "reverberation", "amplifier", "pitch"])
def test_dry_and_wet_of_one_performance_are_one_stem(kind: str, horns: Samples, tmp_path: Path) -> None:
    time = np.arange(len(horns))
    wet = {
        "equaliser": lambda: signal.sosfilt(signal.butter(1, 2000, "high", fs=RATE_HZ, output="sos"), horns),
        "reverberation": lambda: reverberation(horns, dry=1.5),
        "amplifier": lambda: np.tanh(8 * horns / np.abs(horns).max()),
        "pitch": lambda: np.interp(time + 40 * np.sin(2 * np.pi * time / (0.7 * RATE_HZ)), time, horns),
    }[kind]()
    used, told = played(tmp_path, Horns_DRY=horns, Horns_WET=wet.astype(np.float32))
    assert used == ["Horns WET"] and told == [("Horns DRY", "version")]
    used, told = played(tmp_path, horns_raw=horns, horns=wet.astype(np.float32))
    assert used == ["horns"] and told == [("horns raw", "version")]


def test_a_stem_beside_its_wet_version_is_that_version_and_doubles_are_not(horns: Samples, tmp_path: Path) -> None:
    wet = np.tanh(8 * horns / np.abs(horns).max()).astype(np.float32)
    assert played(tmp_path, Horns=horns, Horns_WET=wet) == (["Horns WET"], [("Horns", "version")])
    used, told = played(tmp_path, **{"01_Horns": horns, "02_Horns": np.roll(horns, RATE_HZ), "03_Horns_WET": wet})
    assert len(used) == 3 and "version" not in dict(told).values()


def test_what_may_be_an_effect_alone_is_left_out_in_place_of_the_dry_stem(horns: Samples, tmp_path: Path) -> None:
    wet = reverberation(horns, dry=0.9)
    assert coherence(horns, wet) < SURE_COHERENCE and common_motion(horns, wet, RATE_HZ) < SURE_COMMON_MOTION
    used, told = played(tmp_path, Horns_DRY=horns, Horns_WET=wet)
    assert used == ["Horns DRY"] and told == [("Horns WET", "version")]


def test_of_two_versions_as_finished_the_first_is_used_however_sure_they_are_one(horns: Samples, tmp_path: Path) -> None:
    used, told = played(tmp_path, Horns_PROC=horns, Horns_WET=reverberation(horns, dry=0.9))
    assert used == ["Horns PROC"] and told == [("Horns WET", "version")]


def test_a_dry_stem_that_is_surely_one_version_does_not_come_back_for_an_unsure_one(horns: Samples, tmp_path: Path) -> None:
    tuned = np.tanh(8 * horns / np.abs(horns).max()).astype(np.float32)
    used, told = played(tmp_path, Horns_DRY=horns, Horns_tuned=tuned, Horns_WET=reverberation(horns, dry=0.9))
    assert "Horns DRY" not in used and ("Horns DRY", "version") in told


def test_an_effect_alone_belongs_to_the_sum_and_is_told(horns: Samples, tmp_path: Path) -> None:
    used, told = played(tmp_path, Horns_DRY=horns, Horns_WET=reverberation(horns))
    assert len(used) == 2 and told == [("Horns DRY", "overlap")]


def test_the_direct_signal_of_a_guitar_is_told_and_that_of_a_bass_is_not(tmp_path: Path) -> None:
    assert played(tmp_path, Gtr_DI=noise(6), Gtr_Amp=noise(6, seed=1))[1] == [("Gtr DI", "overlap")]
    assert not played(tmp_path, "electric bass", "bass", Bass_DI=noise(6), Bass_Amp=noise(6, seed=1))[1]
    assert not played(tmp_path, "acoustic guitar", "guitar", Ac_DI=noise(6), Ac_Mic=noise(6, seed=1))[1]


def test_numbers_of_voices_are_no_versions_for_certain(tmp_path: Path) -> None:
    used, told = played(tmp_path, "choir", "vocals", Choir_V1=noise(6), Choir_V2=noise(6, seed=1))
    assert len(used) == 2 and told == [("Choir V2", "overlap")]
    used, _ = played(tmp_path, "choir", "vocals", Choir_take_1=noise(6), Choir_take_2=noise(6, seed=1))
    assert used == ["Choir take 1"]


def test_an_alto_and_a_second_part_are_told_and_no_alternatives(tmp_path: Path) -> None:
    used, told = played(tmp_path, "choir", "vocals", sopran=noise(6), sopran_alt=noise(6, seed=1))
    assert len(used) == 2 and told == [("sopran alt", "overlap")]
    used, told = played(tmp_path, Gtr=noise(6), Gtr_alt=noise(6, seed=1))
    assert len(used) == 2 and told == [("Gtr alt", "overlap")]


def song(folder: Path, **waves: tuple[str, Samples]) -> tuple[list[str], list]:
    """Merge stems of several instruments, named by the keywords; give the names that are summed, and what is told."""
    stems = [
        make_stem(folder, name.replace("_", " "), instrument, wave, family=entry.family, editable=entry.editable)
        for name, (instrument, wave) in waves.items()
        for entry in [INSTRUMENTS[instrument]]
    ]
    rows, _, _, rejects = make(folder, stems)
    return sorted(stem for row in rows.values() for stem in row.stems), reasons(rejects)


@pytest.mark.parametrize(
    ("guide", "final"),
    [
        (("Scratch_Vox", "vocals"), ("Lead_Vox", "lead vocals")),
        (("Vox_scratch_2", "vocals"), ("Vox", "vocals")),
        (("Old_Vox", "vocals"), ("Lead_Vox", "lead vocals")),
        (("DemoVox", "vocals"), ("Lead_Vox_1", "lead vocals")),
        (("Temp_Gtr", "guitar"), ("Acoustic", "acoustic guitar")),
        (("Reference_Guitar", "guitar"), ("Guitar", "guitar")),
        (("Rough_Gtr", "guitar"), ("Gtr", "guitar")),
        (("Pilot_Bass", "bass"), ("Bass_DI", "electric bass")),
    ],
)
def test_a_guide_is_left_out_beside_what_was_played_by_it(guide: tuple, final: tuple, tmp_path: Path) -> None:
    waves = {guide[0]: (guide[1], noise(6)), final[0]: (final[1], noise(6, seed=1)), "Pad": ("synth pad", noise(6, seed=2))}
    used, told = song(tmp_path, **waves)
    assert used == sorted(["Pad", final[0].replace("_", " ")])
    assert [row for row in told if row[1] != "name_doubted"] == [(guide[0].replace("_", " "), "version")]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        (("Scratch_Vox", "vocals"), ("Backing_Vox", "backing vocals")),
        (("Scratch_Vox", "vocals"), ("Gtr", "guitar")),
        (("Old_Piano", "piano"), ("Organ", "organ")),
        (("Rough_Gtr", "guitar"), ("Clean_Gtr", "clean electric guitar")),
        (("Demo_Vox", "vocals"), ("Demo_Lead", "lead vocals")),
        (("Scratch", "sound effects"), ("Hits", "sound effects")),
        (("Temple_Block", "percussion"), ("Shaker", "percussion")),
        (("Scratch_Organ", "organ"), ("Piano", "piano")),
    ],
)
def test_what_guides_no_other_stem_is_summed(name: tuple, other: tuple, tmp_path: Path) -> None:
    used, told = song(tmp_path, **{name[0]: (name[1], noise(6)), other[0]: (other[1], noise(6, seed=1))})
    assert len(used) == 2 and {reason for _, reason in told} <= {"name_doubted"}


def test_a_guide_that_plays_alone_is_told_or_summed(tmp_path: Path) -> None:
    final = noise(6, seed=1)
    final[2 * RATE_HZ :] = 0
    used, told = song(tmp_path, Scratch_Vox=("vocals", noise(6)), Lead_Vox=("lead vocals", final))
    assert len(used) == 2 and ("Scratch Vox", "overlap") in told

    final[RATE_HZ // 4 :] = 0
    used, told = song(tmp_path, Scratch_Vox=("vocals", noise(6)), Lead_Vox=("lead vocals", final))
    assert len(used) == 2 and ("Scratch Vox", "overlap") not in told


def test_an_unreadable_version_is_rejected_as_such(tmp_path: Path) -> None:
    stems = [make_stem(tmp_path, name, "guitar", noise(6), family="guitar") for name in ("Gtr", "Gtr alt")]
    (tmp_path / "Gtr alt.wav").write_bytes(b"not audio")
    rows, _, _, rejects = make(tmp_path, stems)
    assert rows["guitar"].stems == ["Gtr"] and reasons(rejects) == [("Gtr alt", "unreadable")]


def test_one_signal_through_a_filter_is_coherent_and_others_are_not() -> None:
    wave = noise(8)
    assert coherence(wave, np.roll(wave, 20)) > 0.97 and coherence(wave, noise(8, seed=1)) < 0.1
    assert coherence(wave, -0.1 * wave) == pytest.approx(1) and coherence(wave, 0 * wave) == 0


def test_levels_that_move_together_are_known_at_any_level_and_pitch() -> None:
    time_s = np.arange(8 * RATE_HZ) / RATE_HZ
    loudness = np.repeat(np.random.default_rng(0).uniform(0.1, 1, 40), RATE_HZ // 5)
    low, high = ((loudness * np.sin(2 * np.pi * hz * time_s)).astype(np.float32) for hz in (220, 231))
    assert common_motion(low, 0.01 * high, RATE_HZ) > 0.95 > 0.2 > common_motion(low, high[::-1], RATE_HZ)
    assert common_motion(low, 0 * low, RATE_HZ) == 0
