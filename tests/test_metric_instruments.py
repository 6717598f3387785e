"""The metrics as instruments: one facet of rendered MIDI is changed, the value is derived first, then measured.

The band plays C, Am, F, G, two seconds each: a piano on every beat, a bass, drums. Each part is rendered alone and without
room, so that what a mix of parts should score can be computed from its notes and its parts.
"""

import shutil
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import mir_eval
import numpy as np
import pretty_midi
import pytest

from instructme.dataset_tools.audio import resample
from instructme.dataset_tools.corpus import synthesis
from instructme.pipelines.evaluation import cells, evaluate, scoring
from instructme.pipelines.evaluation.features import RECOGNISERS, Features, Sound
from instructme.pipelines.evaluation.metrics import metric_modules
from instructme.pipelines.evaluation.spectra import RATE_HZ
from instructme.pipelines.stages.corpus import FLUIDR3

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (shutil.which("fluidsynth") and FLUIDR3.exists()), reason="fluidsynth or FluidR3 isn't installed"),
]
SECONDS, BEAT_S = 8.0, 0.5
CHORDS = ((60, 64, 67), (57, 60, 64), (53, 57, 60), (55, 59, 62))
NETWORKS_GIVEN = ("kl_panns", "clap_score")
"""These need weights that a user gives; test_metric_references.py checks their arithmetic."""
OTHER_LAST = (*CHORDS[:3], (56, 59, 63))
"""The same with G sharp minor in place of G."""
SEVERAL = tuple(np.arange(0, SECONDS, BEAT_S))


def comping(chords=CHORDS):
    """List notes: start, end, pitch."""
    return [(at, at + 0.45, pitch) for at in SEVERAL for pitch in chords[int(at // 2)]]


def basses(chords=CHORDS):
    return [(at, at + 0.45, chords[int(at // 2)][0] - 24) for at in SEVERAL]


def beat(every_s=BEAT_S):
    return [(at, at + 0.1, 36 if place % 2 == 0 else 38) for place, at in enumerate(np.arange(0, SECONDS, every_s))]


MELODY = [(at, at + 0.4, 60 + (0, 4, 7, 5, 9, 2, 11, 7)[int(at / BEAT_S) % 8]) for at in SEVERAL]


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    """Render notes with a General MIDI program, or as drums."""
    folder = tmp_path_factory.mktemp("midi")

    @cache
    def played(notes, program):
        score = pretty_midi.PrettyMIDI(initial_tempo=120)
        instrument = pretty_midi.Instrument(max(program, 0), is_drum=program < 0)
        instrument.notes = [pretty_midi.Note(96, pitch, start, end) for start, end, pitch in notes]
        score.instruments.append(instrument)
        score.write(str(folder / "part.mid"))
        rate = synthesis.RATE_HZ
        return 0.5 * resample(synthesis.synthesise(folder / "part.mid", FLUIDR3, round(SECONDS * rate)), rate, RATE_HZ)

    return lambda notes, program: played(tuple(notes), program)


@pytest.fixture(scope="module")
def band(play):
    """Render the parts of the band."""
    return SimpleNamespace(piano=play(comping(), 0), bass=play(basses(), 33), drums=play(beat(), -1))


def measure(names, edit, target, source):
    """Score an edit; skip what can't be recognised here."""
    lacking = scoring.usable()[1]
    if missing := [name for name in names if name in lacking]:
        pytest.skip(f"{missing[0]}: {lacking[missing[0]]}")
    sounds = {"edit": Sound(edit), "target": Sound(target), "source": Sound(source)}
    facts = {"cells": cells.find(target, source), "absent": True, "commanded": ("drums",), "tagger": evaluate.read_tagger(None)}
    return scoring.score_edit(Features(sounds, facts), names)


def rms_db(samples):
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)))


def classes(notes, transpose=0):
    """Sum the lengths of notes by pitch class."""
    lengths = np.zeros(12)
    for start, end, pitch in notes:
        lengths[(pitch + transpose) % 12] += end - start
    return lengths / lengths.sum()


def test_noise_sets_the_signal_to_distortion_ratio_and_the_spectrum(band):
    target = band.piano + band.bass
    noise = np.random.default_rng(0).standard_normal(len(target)).astype(np.float32)
    noise *= 10 ** ((rms_db(target) - rms_db(noise)) / 20)
    found = [measure(["si_sdr_db", "log_mel_db", "ssim"], target + g * noise, target, target) for g in (0.1, 0.01)]
    assert [each["si_sdr_db"] for each in found] == [pytest.approx(20, abs=0.1), pytest.approx(40, abs=0.1)]
    assert found[0]["log_mel_db"] > found[1]["log_mel_db"] > 0
    assert found[0]["ssim"] < found[1]["ssim"] < measure(["ssim"], target, target, target)["ssim"] == pytest.approx(1)


def test_half_of_the_drums_is_6_db(band):
    bed = band.piano + band.bass
    names = ["si_sdri_db", "absent_db", "kept_error_db", "edit_done", "joint"]
    found = measure(names, bed + 0.5 * band.drums, bed, bed + band.drums)
    assert found["si_sdri_db"] == pytest.approx(20 * np.log10(2), abs=0.1)
    assert found["absent_db"] == pytest.approx(rms_db(0.5 * band.drums) - rms_db(bed + band.drums), abs=0.01)
    levels = [cells.levels(each) for each in (bed + 0.5 * band.drums, bed + band.drums, bed)]
    where = cells.find(bed, bed + band.drums)
    floored = [np.maximum(each, where.floor_db)[where.changed] for each in levels]
    half, whole = (np.mean(np.abs(each - floored[2])) for each in floored[:2])
    assert found["edit_done"] == pytest.approx(1 - half / whole, abs=0.02)
    assert found["kept_error_db"] < 1 and found["joint"] == float(found["edit_done"] >= 0.5)


def test_a_part_that_is_dropped_completely_is_done(band):
    bed = band.piano + band.bass
    found = measure(["edit_done", "joint", "kept_error_db"], bed, bed, bed + band.drums)
    assert found == {"edit_done": 1, "joint": 1, "kept_error_db": 0}
    assert measure(["edit_done", "joint"], bed + band.drums, bed, bed + band.drums) == {"edit_done": 0, "joint": 0}


def test_a_wrong_part_that_is_dropped_costs_what_should_be_kept(band):
    bed = band.piano + band.bass
    found = measure(["kept_error_db", "edit_done"], band.piano, bed, bed + band.drums)
    levels = [np.maximum(cells.levels(each), cells.find(bed, bed + band.drums).floor_db) for each in (band.piano, bed)]
    kept = cells.find(bed, bed + band.drums).kept
    assert found["kept_error_db"] == pytest.approx(np.mean(np.abs(levels[0] - levels[1])[kept]), rel=0.02)
    assert found["kept_error_db"] > 2 and found["edit_done"] > 0.8


def test_a_gain_is_a_difference_of_loudness_and_clips(band):
    target = band.piano + band.bass
    assert measure(["loudness_error_db"], target / 2, target, target)["loudness_error_db"] == pytest.approx(6.02, abs=0.05)
    loud = np.clip(target * 4 / np.abs(target).max(), -1, 1)
    assert measure(["clipped"], loud, target, target)["clipped"] == pytest.approx(np.mean(np.abs(loud) == 1), abs=1e-3)


def test_a_semitone_turns_the_pitch_classes_and_leaves_no_chord(play, band):
    up = [play([(a, b, pitch + 1) for a, b, pitch in notes], program) for notes, program in ((comping(), 0), (basses(), 33))]
    names = ["pitch_class_overlap", "chord_accuracy", "chord_slots", "chord_accuracy_source", "onset_interval_overlap", "lag_ok"]
    target = band.piano + band.bass + band.drums
    found = measure(names, sum(up) + band.drums, target, target)
    notes = comping() + basses()
    expected = np.minimum(classes(notes), classes(notes, transpose=1)).sum()
    assert found["pitch_class_overlap"] == pytest.approx(expected, abs=0.2)
    assert max(found[name] for name in names[1:4]) < 0.1
    assert found["onset_interval_overlap"] > 0.9 and found["lag_ok"] == 1


def test_the_papers_words_hear_no_transposition(play, band):
    """Densities of the values of a histogram do not know which class a value belongs to, and lose their tails."""
    up, other = (play([(a, b, pitch + 1) for a, b, pitch in comping()], 0), play(beat(BEAT_S / 4), -1))
    same, moved = (measure(["pch_kde", "ioi_kde"], edit, band.piano, band.piano) for edit in (band.piano, up))
    assert same["pch_kde"] == pytest.approx(0.66, abs=0.15) and same["ioi_kde"] == pytest.approx(0.66, abs=0.3)
    assert moved["pch_kde"] == pytest.approx(same["pch_kde"], abs=0.1)
    assert measure(["pch_kde"], other, band.piano, band.piano)["pch_kde"] < same["pch_kde"] / 2


def test_one_wrong_chord_of_four_costs_a_quarter(play, band):
    wrong = play(comping(OTHER_LAST), 0) + play(basses(OTHER_LAST), 33)
    target = band.piano + band.bass
    found = measure(["chord_accuracy", "chord_slots", "chord_accuracy_source"], wrong, target, target)
    assert list(found.values()) == [pytest.approx(0.75, abs=0.08)] * 3


def test_a_delay_of_100_ms_breaks_the_time_and_no_interval(band):
    target = band.piano + band.bass + band.drums
    late = np.pad(target, (round(0.1 * RATE_HZ), 0))[: len(target)]
    found = measure(["lag_ok", "beat_f", "onset_interval_overlap", "pitch_class_overlap", "chord_accuracy"], late, target, target)
    assert found["lag_ok"] == 0 and found["beat_f"] < 0.2  # beats count within 70 ms
    assert found["onset_interval_overlap"] > 0.9 and found["pitch_class_overlap"] > 0.95
    assert found["chord_accuracy"] == pytest.approx(1 - 3 * 0.1 / SECONDS, abs=0.05)  # three changes come late
    assert measure(["lag_ok", "beat_f"], target, target, target) == {"lag_ok": 1, "beat_f": 1}


def test_twice_as_many_hits_have_no_interval_in_common(play, band):
    twice = play(beat(BEAT_S / 2), -1)
    found = measure(["onset_interval_overlap"], twice, band.drums, band.drums)
    assert found["onset_interval_overlap"] < 0.15  # 0.25 s is not 0.5 s


def test_notes_that_are_left_out_lower_the_recall(play):
    whole, thin = play(MELODY, 0), play([note for place, note in enumerate(MELODY) if place % 4], 0)
    precision, recall = 1, 3 / 4
    expected = 2 * precision * recall / (precision + recall)
    assert measure(["note_f"], thin, whole, whole)["note_f"] == pytest.approx(expected, abs=0.1)
    assert mir_eval.util.f_measure(precision, recall) == expected


def test_another_program_keeps_notes_and_moves_the_sound(play, band):
    strings = play(comping(), 48)
    source, target, bystander = (each + band.bass for each in (band.piano, strings, play(comping(), 27)))
    names = ["direction", "pitch_class_overlap", "chord_accuracy", "log_mel_db"]
    done, none, other = (measure(names, edit, target, source) for edit in (target, source, bystander))
    assert done["direction"] == pytest.approx(1) and none["direction"] == 0 and abs(other["direction"]) < 0.9
    assert none["pitch_class_overlap"] > 0.8 and none["chord_accuracy"] > 0.9 and none["log_mel_db"] > 3


def test_the_tagger_of_the_package_hears_drums_alone(band):
    source = band.piano + band.bass + band.drums
    names = ["half_move", "instruction_accuracy"]
    done, none = (measure(names, edit, band.drums, source) for edit in (band.drums, source))
    assert done == {"half_move": 1, "instruction_accuracy": 1}
    assert none == {"half_move": 0, "instruction_accuracy": pytest.approx(1 / 3)}  # drums are one family of the three


def test_every_metric_is_checked_here():
    text = Path(__file__).read_text()
    assert [name for name in metric_modules() if f'"{name}"' not in text and name not in NETWORKS_GIVEN] == []
    assert set(RECOGNISERS) >= {"chords", "notes", "embedding"}
