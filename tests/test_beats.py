"""Check the beat networks' surroundings on made signals, and beats from audio where weights are at hand."""

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructme.dataset_tools import audio, rhythm
from instructme.dataset_tools.recognisers import beats, weights

RATE_HZ = 24000
needs_weights = pytest.mark.skipif(not weights.available("beatnet"), reason="run 'instructme models fetch beatnet'")


def answers(beats_s, positions, clear=0.9):
    """Make a network's answer that hears these beats, position 1 as downbeat."""
    activation = np.tile(np.array([0.02, 0.01, 0.97], np.float32), (round(beats_s[-1] * 50) + 60, 1))
    for time, position in zip(beats_s, positions, strict=True):
        share = clear if position == 1 else 1 - clear
        activation[round(time * 50 + beats.DELAY_FRAMES)] = [0.9 * (1 - share), 0.9 * share, 0.1]
    return activation


@settings(max_examples=40, deadline=None)
@given(bar=st.sampled_from(beats.BEATS_PER_BAR), first=st.integers(0, 3), bpm=st.floats(50, 220), clear=st.floats(0.6, 0.98))
def test_bars_are_counted_from_any_start(bar, first, bpm, clear):
    beats_s = 1.0 + np.arange(48) * 60 / bpm
    truth = (np.arange(48) + first) % bar + 1
    positions, found, lead = beats.count_bars(answers(beats_s, truth, clear), beats_s)
    assert found == bar
    assert positions.tolist() == truth.tolist()
    assert lead == pytest.approx(2 * clear - 1, abs=0.02)


def test_wrong_answers_on_single_beats_are_outvoted():
    beats_s = 1.0 + np.arange(64) * 0.5
    truth = np.arange(64) % 4 + 1
    heard = truth.copy()
    heard[[9, 22, 35]] = 1
    heard[[16, 40]] = 3
    positions, bar, _ = beats.count_bars(answers(beats_s, heard, 0.8), beats_s)
    assert bar == 4
    assert positions.tolist() == truth.tolist()


def test_a_cut_bar_moves_the_count():
    beats_s = 1.0 + np.arange(66) * 0.5
    truth = np.concatenate([np.arange(34) % 4, np.arange(32) % 4]) + 1
    positions, _, _ = beats.count_bars(answers(beats_s, truth, 0.95), beats_s)
    assert (positions == 1).tolist() == (truth == 1).tolist()


def test_no_preference_gives_no_lead():
    beats_s = 1.0 + np.arange(64) * 0.5
    assert beats.count_bars(answers(beats_s, np.zeros(64), 0.5), beats_s)[2] < 0.05


def test_features_of_a_tone_lie_in_its_band():
    time = np.arange(22050) / beats.RATE_HZ
    found = beats.features(np.sin(2 * np.pi * 440 * time).astype(np.float32))
    assert found.shape == (50, 272)
    assert found.dtype == np.float32
    assert beats._filters().shape == (705, 136)
    np.testing.assert_allclose(beats._filters().sum(axis=0), 1, rtol=1e-5)
    band = int(found[25, :136].argmax())
    column = beats._filters()[:, band]
    assert column.argmax() * beats.RATE_HZ / (beats.FRAME - 1) == pytest.approx(440, abs=20)
    assert found[10:40, 136:].max() < 0.05  # a steady tone doesn't rise
    assert beats.features(np.zeros(100, np.float32)).shape == (1, 272)


def clicks(bpm: float, bars: int, bar: int) -> tuple[audio.Samples, np.ndarray]:
    """Play kick and bass on the downbeat, a tick on the other beats and between them."""
    generator = np.random.default_rng(1)
    beats_s = 0.5 + np.arange(bars * bar) * 60 / bpm
    mix = np.zeros(round((beats_s[-1] + 1) * RATE_HZ), np.float32)
    time = np.arange(6000) / RATE_HZ
    kick = np.sin(2 * np.pi * 60 * time) * np.exp(-time * 15)
    tick = generator.normal(0, 1, 6000) * np.exp(-time * 80)
    for index, start in enumerate(np.rint(beats_s * RATE_HZ).astype(int)):
        mix[start : start + 6000] += (0.6 * kick + 0.1 * tick if index % bar == 0 else 0.15 * tick)[: len(mix) - start]
    return mix, beats_s


def test_beats_without_weights(monkeypatch):
    """Librosa alone: right beats, no downbeats, not trusted."""
    monkeypatch.setattr(weights, "available", lambda name: False)
    mix, truth = clicks(112, 12, 4)
    grid = rhythm.find([], mix, RATE_HZ)
    found = grid.beats_samples / RATE_HZ
    assert mir_eval.beat.f_measure(truth, found) > 0.95
    assert grid.tempo_bpm == pytest.approx(112, rel=0.01)
    assert grid.confidence > rhythm.LEAST_AGREEMENT
    assert (grid.source, grid.trusted, grid.downbeat_known, grid.meter) == ("audio", False, False, None)
    assert grid.recogniser and grid.recogniser.startswith("librosa ")
    assert np.median(np.abs(found[:, None] - truth[None]).min(axis=1)) < 0.012
    assert "downbeats unknown" in str(grid.reason)


def test_weights_without_torch_are_not_used(monkeypatch):
    monkeypatch.setattr(weights, "available", lambda name: True)
    assert beats.available()
    monkeypatch.setattr(beats, "find_spec", lambda name: None)
    assert not beats.available()
    mix, _ = clicks(112, 12, 4)
    assert "BeatNet" not in str(rhythm.find([], mix, RATE_HZ).recogniser)


def test_silence_and_noise_are_not_trusted(monkeypatch):
    monkeypatch.setattr(weights, "available", lambda name: False)
    assert rhythm.find([], np.zeros(RATE_HZ * 5, np.float32), RATE_HZ).reason == "no sound"
    assert rhythm.find([], np.zeros(10, np.float32), RATE_HZ).source == "none"
    assert rhythm.find([], np.zeros(0, np.float32), RATE_HZ).source == "none"
    noise = np.random.default_rng(0).normal(0, 0.1, RATE_HZ * 20).astype(np.float32)
    assert rhythm.find([], noise, RATE_HZ).confidence < rhythm.LEAST_AGREEMENT


@needs_weights
def test_downbeats_with_weights(shared_data):
    track = shared_data / "rendered_examples" / "Track90001"
    mix, truth = audio.read(track / "mix.flac", RATE_HZ), np.loadtxt(track / "beats.txt")
    grid = rhythm.find([], mix, RATE_HZ, "audio")
    assert mir_eval.beat.f_measure(truth[:, 0], grid.beats_samples / RATE_HZ) > 0.95
    ours = grid.beats_samples[grid.beat_positions == 1] / RATE_HZ
    assert mir_eval.beat.f_measure(truth[truth[:, 1] == 1, 0], ours) > 0.9
    assert (grid.trusted, grid.meter) == (True, "4/4")
    assert grid.recogniser and "BeatNet 1.1.3 (1ecfa17bdcbe" in grid.recogniser


@needs_weights
def test_activations_dont_depend_on_threads():
    import torch

    wave = np.random.default_rng(0).normal(0, 0.1, 22050 * 4).astype(np.float32)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two = beats.activations(wave)
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        np.testing.assert_array_equal(two, beats.activations(wave))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(two.sum(axis=1), 1, atol=1e-5)
