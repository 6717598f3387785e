"""Check the beat networks' surroundings on made signals, and beats from audio."""

import hashlib

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructme.dataset_tools import audio
from instructme.dataset_tools.beats import rhythm
from instructme.dataset_tools.recognisers import beat_network

RATE_HZ = 24000


def answers(beats_s, positions, clear=0.9):
    """Make a network's answer that hears these beats, position 1 as downbeat."""
    activation = np.tile(np.array([0.02, 0.01, 0.97], np.float32), (round(beats_s[-1] * 50) + 60, 1))
    for time, position in zip(beats_s, positions, strict=True):
        share = clear if position == 1 else 1 - clear
        activation[round(time * 50 + beat_network.DELAY_FRAMES)] = [0.9 * (1 - share), 0.9 * share, 0.1]
    return activation


@settings(max_examples=40, deadline=None)
@given(
    bar=st.sampled_from(beat_network.BEATS_PER_BAR), first=st.integers(0, 3), bpm=st.floats(50, 220), clear=st.floats(0.6, 0.98)
)
def test_bars_are_counted_from_any_start(bar, first, bpm, clear):
    beats_s = 1.0 + np.arange(48) * 60 / bpm
    truth = (np.arange(48) + first) % bar + 1
    positions, found, lead = beat_network.count_bars(answers(beats_s, truth, clear), beats_s)
    assert found == bar
    assert positions.tolist() == truth.tolist()
    assert lead == pytest.approx(2 * clear - 1, abs=0.02)


def test_wrong_answers_on_single_beats_are_outvoted():
    beats_s = 1.0 + np.arange(64) * 0.5
    truth = np.arange(64) % 4 + 1
    heard = truth.copy()
    heard[[9, 22, 35]] = 1
    heard[[16, 40]] = 3
    positions, bar, _ = beat_network.count_bars(answers(beats_s, heard, 0.8), beats_s)
    assert bar == 4
    assert positions.tolist() == truth.tolist()


def test_a_cut_bar_moves_the_count():
    beats_s = 1.0 + np.arange(66) * 0.5
    truth = np.concatenate([np.arange(34) % 4, np.arange(32) % 4]) + 1
    positions, _, _ = beat_network.count_bars(answers(beats_s, truth, 0.95), beats_s)
    assert (positions == 1).tolist() == (truth == 1).tolist()


def test_no_preference_gives_no_lead():
    beats_s = 1.0 + np.arange(64) * 0.5
    assert beat_network.count_bars(answers(beats_s, np.zeros(64), 0.5), beats_s)[2] < 0.05


def test_features_of_a_tone_lie_in_its_band():
    time = np.arange(22050) / beat_network.RATE_HZ
    found = beat_network.features(np.sin(2 * np.pi * 440 * time).astype(np.float32))
    assert found.shape == (50, 272)
    assert found.dtype == np.float32
    assert beat_network._filters().shape == (705, 136)
    np.testing.assert_allclose(beat_network._filters().sum(axis=0), 1, rtol=1e-5)
    band = int(found[25, :136].argmax())
    column = beat_network._filters()[:, band]
    assert column.argmax() * beat_network.RATE_HZ / (beat_network.FRAME - 1) == pytest.approx(440, abs=20)
    assert found[10:40, 136:].max() < 0.05  # a steady tone doesn't rise
    assert beat_network.features(np.zeros(100, np.float32)).shape == (1, 272)


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


def test_clicks_give_beats_and_bars_at_any_level():
    mix, truth = clicks(112, 12, 4)
    grids = [rhythm.find([], mix * np.float32(gain), RATE_HZ) for gain in (1.0, 0.5, 0.01)]
    found = grids[0].beats_samples / RATE_HZ
    assert mir_eval.beat.f_measure(truth, found) > 0.95
    assert grids[0].tempo_bpm == pytest.approx(112, rel=0.01)
    assert grids[0].confidence > rhythm.LEAST_AGREEMENT
    assert grids[0].source == "audio"
    assert grids[0].recogniser and grids[0].recogniser.startswith("librosa ")
    assert np.median(np.abs(found[:, None] - truth[None]).min(axis=1)) < 0.015  # a frame and a half
    for grid in grids[1:]:
        assert grid.beats_samples.tolist() == grids[0].beats_samples.tolist()
        assert (grid.trusted, grid.beat_positions.tolist()) == (grids[0].trusted, grids[0].beat_positions.tolist())


def test_the_network_in_numpy_answers_as_in_torch():
    """The same layers in torch, with the packaged weights."""
    torch = pytest.importorskip("torch")
    weights = {name: torch.from_numpy(value) for name, value in beat_network._weights().items()}
    frames = beat_network.features(np.random.default_rng(0).normal(0, 0.1, 22050 * 3).astype(np.float32))
    lstm = torch.nn.LSTM(150, 150, num_layers=2, batch_first=True)
    lstm.load_state_dict({name.removeprefix("lstm."): value for name, value in weights.items() if name.startswith("lstm.")})
    with torch.inference_mode():
        bands = torch.nn.functional.conv1d(torch.from_numpy(frames)[:, None], weights["conv1.weight"], weights["conv1.bias"])
        bands = torch.nn.functional.max_pool1d(torch.relu(bands), 2).flatten(1)
        hidden = lstm((bands @ weights["linear0.weight"].T + weights["linear0.bias"])[None])[0][0]
        wanted = torch.softmax(hidden @ weights["linear.weight"].T + weights["linear.bias"], dim=1).numpy()
    np.testing.assert_allclose(beat_network._run(frames), wanted, atol=1e-5)


def test_the_packaged_weights_are_the_published_ones_and_credited():
    digest = hashlib.sha256(beat_network.FILE.read_bytes()).hexdigest()
    assert f"({digest[:12]})" in beat_network.LABEL
    credit = beat_network.FILE.with_name("BEATNET.md").read_text()
    assert all(word in credit for word in ("CC-BY-4.0", "Heydari", "Changes", "github.com/mjhydri/BeatNet"))


def test_silence_and_noise_are_not_trusted():
    assert rhythm.find([], np.zeros(RATE_HZ * 5, np.float32), RATE_HZ).reason == "no sound"
    assert rhythm.find([], np.zeros(10, np.float32), RATE_HZ).source == "none"
    assert rhythm.find([], np.zeros(0, np.float32), RATE_HZ).source == "none"
    noise = np.random.default_rng(0).normal(0, 0.1, RATE_HZ * 20).astype(np.float32)
    assert rhythm.find([], noise, RATE_HZ).confidence < rhythm.LEAST_AGREEMENT


def test_downbeats_with_weights(shared_data):
    track = shared_data / "rendered_examples" / "Track90001"
    mix, truth = audio.read(track / "mix.flac", RATE_HZ), np.loadtxt(track / "beats.txt")
    grid = rhythm.find([], mix, RATE_HZ, "audio")
    assert mir_eval.beat.f_measure(truth[:, 0], grid.beats_samples / RATE_HZ) > 0.95
    ours = grid.beats_samples[grid.beat_positions == 1] / RATE_HZ
    assert mir_eval.beat.f_measure(truth[truth[:, 1] == 1, 0], ours) > 0.9
    assert (grid.trusted, grid.meter) == (True, "4/4")
    assert grid.recogniser and "BeatNet 1.1.3" in grid.recogniser


def test_activations_are_probabilities_of_any_level():
    wave = np.random.default_rng(0).normal(0, 0.1, 22050 * 4).astype(np.float32)
    loud, soft = beat_network.activations(wave), beat_network.activations(wave * np.float32(0.001))
    np.testing.assert_allclose(loud, soft, atol=1e-4)
    np.testing.assert_allclose(loud.sum(axis=1), 1, atol=1e-5)
