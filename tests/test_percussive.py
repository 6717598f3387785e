"""Struck and held sound: against librosa's own filters, and on a click and a tone."""

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from instructme.model.percussive import percussive_share


def spectrum(sound: np.ndarray) -> torch.Tensor:
    return torch.stft(torch.from_numpy(sound).float(), 2048, 512, window=torch.hann_window(2048), return_complex=True)[None]


def test_it_is_librosas_percussive_mask_on_averaged_bins() -> None:
    sound = spectrum(librosa.chirp(fmin=100, fmax=4000, sr=24_000, duration=2) + np.random.default_rng(0).normal(0, 0.1, 48_000))
    joined = functional.avg_pool2d(sound.abs(), (2, 1), ceil_mode=True)[0].numpy()
    _, mask = librosa.decompose.hpss(joined, kernel_size=(17, 15), power=2.0, mask=True)
    ours = percussive_share(sound)[0, ::2].numpy()
    inside = (slice(8, -8), slice(9, -9))
    np.testing.assert_allclose(ours[inside], mask[inside], atol=1e-4)


def test_a_click_is_struck_and_a_tone_is_held() -> None:
    click, tone = np.zeros(24_000), np.sin(2 * np.pi * 1000 * np.arange(24_000) / 24_000)
    click[12_000] = 1.0
    loud = lambda sound: sound.abs()[0] > 0.1 * sound.abs().max()  # noqa: E731
    for sound, low, high in ((click, 0.9, 1.0), (tone, 0.0, 0.1)):
        made = spectrum(sound)
        inside = loud(made) & (torch.arange(made.shape[-1]) > 8) & (torch.arange(made.shape[-1]) < made.shape[-1] - 8)
        share = percussive_share(made)[0][inside]
        assert low <= share.min() and share.max() <= high


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.01, 100))
def test_it_is_a_share_of_any_spectrum_at_any_level(bins: int, frames: int, gain: float) -> None:
    sound = torch.from_numpy(np.random.default_rng(bins).normal(size=(2, bins, frames))).to(torch.complex64)
    share = percussive_share(sound)
    assert share.shape == sound.shape and share.min() >= 0 and share.max() <= 1
    torch.testing.assert_close(percussive_share(gain * sound), share, atol=1e-4, rtol=1e-3)


def test_silence_has_no_struck_sound() -> None:
    assert not percussive_share(torch.zeros(1, 9, 5, dtype=torch.complex64)).any()


@pytest.mark.parametrize("channels", [1, 2])
def test_channels_do_not_hear_each_other(channels: int) -> None:
    sound = torch.randn(channels, 33, 20, dtype=torch.complex64)
    torch.testing.assert_close(percussive_share(sound)[:1], percussive_share(sound[:1]))
