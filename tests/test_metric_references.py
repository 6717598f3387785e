"""Metrics against independent computations: librosa, mir_eval, closed forms, brute force; and one facet changed at a time."""

import librosa
import mir_eval
import numpy as np
import pytest
import torch
from evaluation_music import chords, drums, features, noise, tones
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio
from torchmetrics.image import StructuralSimilarityIndexMeasure

from instructme.dataset_tools import audio
from instructme.dataset_tools.recognisers import note_network
from instructme.pipelines.evaluation import cells, kde_overlap, onsets, scoring, spectra
from instructme.pipelines.evaluation.controls import CONTROLS, controls
from instructme.pipelines.evaluation.features import Sound
from instructme.pipelines.evaluation.metrics import (
    beat_f,
    chord_accuracy,
    chord_slots,
    clap_score,
    direction,
    edit_done,
    ioi_kde,
    kl_panns,
    lag_ok,
    log_mel_db,
    onset_interval_overlap,
    pch_kde,
    pitch_class_overlap,
    si_sdr_db,
    si_sdri_db,
    ssim,
)

BED, DRUMS = chords(), drums()


def test_spectra_equal_those_of_librosa():
    ours = spectra.stft(BED, 1024, 256).T
    theirs = librosa.stft(BED, n_fft=1024, hop_length=256, window="hann", center=True, pad_mode="reflect")
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    mel = librosa.filters.mel(sr=24000, n_fft=1024, n_mels=80, fmin=0, fmax=12000)
    np.testing.assert_allclose(spectra.mel_filters(1024, 80).T, mel, atol=1e-6)


@pytest.mark.parametrize("level_db", [-40, -20, -3])
def test_si_sdr_of_orthogonal_noise_is_its_level(level_db):
    rest = noise(0, BED)
    rest = rest - (rest @ BED) / (BED @ BED) * BED
    rest *= np.linalg.norm(BED) / np.linalg.norm(rest) * 10 ** (level_db / 20)
    assert si_sdr_db.score(3 * (BED + rest), BED) == pytest.approx(-level_db, abs=0.01)
    assert si_sdri_db.score(BED + rest, BED, BED + 2 * rest) == pytest.approx(6.0206, abs=0.01)


def test_si_sdr_is_that_of_torchmetrics():
    edit = (BED + 0.7 * DRUMS + noise(-25, BED)).astype(np.float32)
    theirs = scale_invariant_signal_distortion_ratio(torch.from_numpy(edit), torch.from_numpy(BED))
    assert si_sdr_db.score(edit, BED) == pytest.approx(float(theirs), abs=1e-3)


def test_log_mel_equals_a_literal_computation():
    edit = BED + 0.5 * DRUMS
    scaled = edit * np.sqrt(np.mean(BED**2) / np.mean(edit**2))
    one, other = (
        20
        * np.log10(
            np.maximum(
                librosa.feature.melspectrogram(
                    y=each, sr=24000, n_fft=1024, hop_length=256, n_mels=80, fmax=12000, power=1.0, pad_mode="reflect"
                ),
                1e-10,
            )
        )
        for each in (scaled, BED)
    )
    floor = other.max() - 60
    wanted = np.abs(np.maximum(one, floor) - np.maximum(other, floor)).mean()
    assert log_mel_db.score(edit, BED) == pytest.approx(wanted, rel=1e-3)


@pytest.mark.filterwarnings("ignore:Empty filters")
def test_ssim_is_that_of_torchmetrics():
    edit, target = BED[:24000] + 0.5 * DRUMS[:24000], BED[:24000]
    images = [
        librosa.feature.melspectrogram(
            y=audio.resample(each, 24000, 16000),
            sr=16000,
            n_fft=400,
            hop_length=200,
            n_mels=128,
            htk=True,
            norm=None,
            pad_mode="reflect",
        ).T
        for each in (edit, target)
    ]
    one, other = (torch.from_numpy(image.astype(np.float64))[None, None] for image in images)
    assert ssim.score(edit, target) == pytest.approx(
        float(StructuralSimilarityIndexMeasure(data_range=1.0)(one, other)), abs=1e-4
    )
    assert ssim.score(0.1 * target, target) < 0.99, "the level matters"
    assert ssim.score(target[:1000], target[:1000]) == "too_short"


def test_kl_is_that_of_the_classes():
    one, other = (np.random.default_rng(seed).standard_normal(9).astype(np.float32) for seed in (0, 1))
    p, q = np.exp(one) / np.exp(one).sum(), np.exp(other) / np.exp(other).sum()
    assert kl_panns.score(other, one) == pytest.approx(float((p * np.log(p / q)).sum()), rel=1e-5)
    certain = np.array([1000.0, 0.0, 0.0], np.float32)
    assert kl_panns.score(certain[::-1], certain) == pytest.approx(1000) and kl_panns.score(certain, certain) == 0


def test_clap_score_is_a_cosine():
    along = np.array([0.6, 0.8], np.float32)
    assert clap_score.score(along, along) == pytest.approx(1) and clap_score.score(along, -along) == pytest.approx(-1)
    assert clap_score.score(along, None) == "unknown_instruments"


@settings(max_examples=8, deadline=None)
@given(gain_db=st.sampled_from(list(cells.GAINS_DB)), drum_gain=st.floats(0, 2))
def test_the_gain_leaves_as_many_cells_alone_as_brute_force_finds(gain_db, drum_gain):
    target = BED[:48000] * np.float32(10 ** (gain_db / 20))
    source = BED[:48000] + np.float32(drum_gain) * DRUMS[:48000]

    def alone(gain):
        one, other = (spectra.stft(each, 2048, 512) for each in (target, source * np.float32(10 ** (gain / 20))))
        larger = np.maximum(np.abs(one), np.abs(other))
        return int(((np.abs(one - other) < 0.25 * larger) & (np.abs(one) > np.abs(one).max() * 10**-2.5)).sum())

    counts = {gain: alone(gain) for gain in cells.GAINS_DB}
    assert counts[cells.find(target, source).gain_db] >= 0.99 * max(counts.values())


def test_cells_equal_their_definition():
    found = cells.find(BED, BED + DRUMS, gain_db=0.0)
    one, other = (spectra.stft(each, 2048, 512) for each in (BED, BED + DRUMS))
    larger = np.maximum(np.abs(one), np.abs(other))
    loud = larger > np.abs(one).max() * 10**-2.5
    assert found.loud == loud.sum()
    assert np.mean(found.kept == (loud & (np.abs(one - other) < 0.25 * larger))) > 0.9999
    assert (
        np.mean(found.changed == (loud & (np.abs(spectra.decibels(np.abs(one)) - spectra.decibels(np.abs(other))) > 6))) > 0.9999
    )


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_edit_done_counts_the_decibels_that_are_done(share):
    """An edit that goes a share of the way in dB in every cell has this share."""
    found = cells.find(BED, BED + DRUMS, gain_db=0.0)
    source = cells.levels(BED + DRUMS)
    between = np.where(found.changed, (1 - share) * np.maximum(source, found.floor_db) + share * found.target_db, found.target_db)
    between = np.where(found.changed, np.maximum(between, (1 - share) * source + share * found.floor_db), between)
    value = edit_done.score(between.astype(np.float32), source, found)
    assert value == pytest.approx(share, abs=0.05)


def test_an_instrument_that_is_kept_at_half_is_half_done_at_most():
    values = [
        scoring.score_edit(features(BED + gain * DRUMS, BED, BED + DRUMS), ["edit_done"])["edit_done"]
        for gain in (1, 0.5, 0.1, 0)
    ]
    assert values == sorted(values) and values[0] == pytest.approx(0, abs=0.02) and values[3] == pytest.approx(1)


def test_equal_mixes_have_too_few_cells_that_change():
    assert scoring.score_edit(features(BED, BED, BED), ["edit_done"])["edit_done"] == "few_changed_cells"
    assert scoring.score_edit(features(BED, BED, DRUMS), ["edit_done", "joint"])["joint"] == "few_kept_cells"


@pytest.mark.parametrize("every_s", [0.25, 0.5])
def test_intervals_of_a_steady_drum_fall_into_its_class(every_s):
    found = onsets.find(drums(every_s=every_s), 24000)
    assert np.median(np.diff(found.onsets_s)) == pytest.approx(every_s, abs=0.02)
    share = onset_interval_overlap.histogram(found.onsets_s)
    assert abs(share.argmax() - 32 * np.log2(every_s * 16) / 5) <= 1.5


def test_other_intervals_overlap_less():
    of = {every_s: onsets.find(drums(every_s=every_s), 24000).onsets_s for every_s in (0.25, 0.4)}
    assert onset_interval_overlap.score(of[0.25], of[0.25]) == 1
    assert onset_interval_overlap.score(of[0.25], of[0.4]) < 0.3
    assert onset_interval_overlap.score(of[0.25][:1], of[0.4]) == 0
    assert onset_interval_overlap.score(of[0.25][:1], of[0.4][:1]) == "no_onset_intervals"


def test_one_loud_start_hides_no_onsets():
    loud = drums(every_s=0.5)
    loud[:2400] *= 20
    assert len(onsets.find(loud, 24000).onsets_s) >= 14


@pytest.mark.parametrize(("delay_ms", "wanted"), [(0, 1), (10, 1), (100, 0), (-100, 0)])
def test_a_delay_is_noticed(delay_ms, wanted):
    source = BED + drums(first_s=0.2, every_s=0.37)
    moved = np.roll(source, round(delay_ms * 24))
    one, other = (onsets.find(each, 24000) for each in (moved, source))
    assert lag_ok.score(one.envelope, other.envelope) == wanted
    assert lag_ok.lag_s(one.envelope, other.envelope) == pytest.approx(delay_ms / 1000, abs=0.012)
    assert beat_f.score(other.beats_s + delay_ms / 1000, other.beats_s) == (1 if abs(delay_ms) < 70 else 0)


def test_chords_are_scored_as_mir_eval_scores_them():
    spans = np.array([[0, 2.0], [2, 4], [4, 6], [6, 8]])
    wanted, found = ["C:maj", "A:min", "N", "G:7"], ["C:maj7", "A:maj", "N", "G:maj"]
    value = chord_accuracy.score((spans, found), (spans, wanted))
    assert value == pytest.approx(mir_eval.chord.evaluate(spans, wanted, spans, found)["majmin"]) == pytest.approx(0.75)
    assert chord_slots.score((spans, found), (spans, wanted)) == pytest.approx(0.25)
    assert chord_accuracy.score((spans, found), (spans, ["N"] * 4)) == "no_chords_in_target"
    assert chord_accuracy.score((spans, found), (spans, ["C:dim"] * 4)) == "no_major_or_minor_chord_in_target"


def test_a_longer_edit_is_scored_over_the_target():
    spans = np.array([[0, 2.0], [2, 4]])
    assert chord_accuracy.score((spans * 2, ["C:maj", "A:min"]), (spans, ["C:maj", "C:maj"])) == 1


@given(shift=st.integers(1, 11))
def test_a_transposition_lowers_the_overlap_of_pitch_classes(shift):
    sums = np.zeros(88)
    sums[[3, 7, 10, 15]] = (4, 2, 2, 1)
    assert pitch_class_overlap.score(np.roll(sums, 12), sums) == pytest.approx(1)
    assert pitch_class_overlap.score(np.roll(sums, shift), sums) < 0.8
    assert pitch_class_overlap.score(np.zeros(88), sums) == 0
    assert pitch_class_overlap.score(np.zeros(88), np.zeros(88)) == "no_pitches"


def test_direction_is_the_cosine_of_both_moves():
    source, target = np.zeros((4, 200)), np.eye(200)[:1] * 3
    half = target / 2 + np.eye(200)[1:2] * 1.5
    assert direction.score(half, target, source) == pytest.approx(np.sqrt(0.5))
    assert direction.score(source, target, source) == 0
    assert direction.score(target, source, source) == "target_is_source"


def test_loudness_of_silence_is_no_number():
    assert Sound(np.zeros(48000, np.float32)).lufs == float("-inf")
    assert Sound(tones((69,), 1)).lufs == pytest.approx(Sound(2 * tones((69,), 1)).lufs - 6.02, abs=0.01)
    assert not Sound(np.zeros(48000, np.float32)).levelled.any()


def test_controls_are_at_the_levels_that_they_name():
    made = dict(controls("a", BED + DRUMS, BED, DRUMS[:1000], 0.0))
    assert list(made) == list(CONTROLS)
    for name, level_db in (("noise-30", -30), ("noise-20", -20), ("rest-20", -20)):
        rest = made[name] - BED
        assert 10 * np.log10(np.mean(rest**2) / np.mean(BED**2)) == pytest.approx(level_db, abs=0.01)
    np.testing.assert_allclose(np.corrcoef(made["rest-20"] - BED, DRUMS)[0, 1], 1, atol=1e-4)
    assert made["shuffled"].shape == BED.shape


@pytest.mark.skipif(not note_network.available(), reason="weights of notes are not fetched")
def test_notes_of_a_played_chord_are_found_and_a_transposition_is_noticed():
    played = Sound(chords())
    found = played.notes
    assert {48 + 12, 52 + 12, 55 + 12} <= set(found.pitches[found.spans_s[:, 0] < 1].tolist())
    values = features(chords(transpose=1), chords(), chords() + DRUMS)
    scored = scoring.score_edit(values, ["note_f", "pitch_class_overlap"])
    assert scored["note_f"] < 0.2 and scored["pitch_class_overlap"] < 0.6


def test_densities_of_values_overlap_as_their_integral_says():
    from scipy.integrate import quad
    from scipy.stats import gaussian_kde

    one, other = (np.random.default_rng(seed).dirichlet(np.ones(12)) for seed in (0, 1))
    first, second = gaussian_kde(one), gaussian_kde(other)
    ends = min(one.min(), other.min()), max(one.max(), other.max())
    expected = quad(lambda x: min(first(x)[0], second(x)[0]), *ends, limit=200)[0]
    assert kde_overlap.overlap(one, other) == pytest.approx(expected, abs=2e-3)
    assert kde_overlap.overlap(one, np.roll(other, 3)) == pytest.approx(kde_overlap.overlap(one, other))
    assert (kde_overlap.overlap(np.ones(12), np.ones(12)), kde_overlap.overlap(np.ones(12), one)) == (1, 0)


def test_bars_without_notes_are_no_bars_and_with_notes_of_one_side_count_zero():
    notes = note_network.RecognisedNotes(np.array([[0.0, 0.5], [0.5, 1.0], [4.5, 5.0]]), np.array([60, 64, 67]))
    first = note_network.RecognisedNotes(notes.spans_s[:2], notes.pitches[:2])
    alone = kde_overlap.mean_overlap(first, first, pch_kde.shares)
    assert kde_overlap.mean_overlap(first, notes, pch_kde.shares) == pytest.approx(alone / 2)
    assert ioi_kde.score(note_network.RecognisedNotes(np.zeros((0, 2)), np.zeros(0, int)), first) == 0
    assert pch_kde.score(*[note_network.RecognisedNotes(np.zeros((0, 2)), np.zeros(0, int))] * 2) == "no_notes"
