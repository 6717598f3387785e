"""The constant-Q transform with kept filters gives what librosa's gives."""

import librosa
import numpy as np
import pytest

from instructme.dataset_tools.recognisers import constant_q

TONES_HZ = 55 * 2 ** (np.array([0, 7, 16, 26, 40, 52, 70]) / 12)


@pytest.mark.parametrize(("seconds", "tuning"), [(2.0, 0.0), (3.3, 0.49), (5.0, -0.5), (4.7, 0.13)])
def test_magnitudes_are_those_of_librosa(seconds: float, tuning: float) -> None:
    times_s = np.arange(int(seconds * 22050)) / 22050
    tones = np.sin(2 * np.pi * np.outer(TONES_HZ * 2 ** (tuning / 36), times_s)).sum(axis=0)
    audio = (tones + np.random.default_rng(1).normal(0, 0.1, len(times_s))).astype(np.float32)
    lowest_hz = librosa.note_to_hz("F#0")
    wanted = librosa.hybrid_cqt(audio, sr=22050, hop_length=512, bins_per_octave=36, fmin=lowest_hz, n_bins=288, tuning=None)
    found = constant_q.magnitudes(audio)
    assert found.shape == (1 + len(audio) // 512, 288) and found.dtype == np.float32
    assert np.abs(found - np.abs(wanted).T).max() < 1e-5 * found.max()


def test_tones_of_another_tuning_have_other_filters() -> None:
    constant_q._filters.cache_clear()
    times_s = np.arange(2 * 22050) / 22050
    for tuning in (0.0, 0.3, 0.0):
        constant_q.magnitudes(np.sin(2 * np.pi * 440 * 2 ** (tuning / 36) * times_s).astype(np.float32))
    assert constant_q._filters.cache_info()[:2] == (1, 2)  # found, built


def test_silence_is_silent() -> None:
    assert not constant_q.magnitudes(np.zeros(44100, np.float32)).any()
