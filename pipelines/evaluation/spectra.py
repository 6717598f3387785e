"""Compute the loudness and the spectra that the metrics compare: short-time Fourier transforms and mel bands, in float32."""

import warnings
from functools import cache

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.recognisers import turns

RATE_HZ = 24000
"""Rate of everything that is scored."""
Levels = npt.NDArray[np.float32]
_TINY = 1e-10
_SHORTEST_S = 0.4
"""A block of ITU-R BS.1770."""


def loudness_lufs(samples: Samples, rate_hz: int = RATE_HZ) -> float:
    """Measure the integrated loudness of (T,) (ITU-R BS.1770-4, pyloudnorm); -inf for silence or less than 0.4 s."""
    import pyloudnorm

    if len(samples) < _SHORTEST_S * rate_hz or not samples.any():
        return float("-inf")
    with warnings.catch_warnings(action="ignore"):
        return float(pyloudnorm.Meter(rate_hz).integrated_loudness(samples.astype(np.float64)))


def stft(samples: Samples, window_samples: int, hop_samples: int) -> npt.NDArray[np.complex64]:
    """Transform (T,) with a Hann window, centred, reflected at both ends: (1 + T // hop, 1 + window / 2) complex.

    A signal shorter than half a window is padded with silence.
    """
    from scipy.fft import rfft

    half = window_samples // 2
    padded = np.pad(np.pad(samples, (0, max(half + 1 - len(samples), 0))), half, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, window_samples)[::hop_samples]
    return np.asarray(rfft(frames * _hann(window_samples), axis=1), dtype=np.complex64)


def decibels(magnitude: npt.NDArray[np.floating]) -> Levels:
    """Convert magnitudes to dB, -200 at least."""
    return np.asarray(20 * np.log10(np.maximum(magnitude, np.float32(_TINY))), dtype=np.float32)


@cache
def _hann(window_samples: int) -> Levels:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window_samples) / window_samples)).astype(np.float32)


@cache
def mel_filters(window_samples: int, bands: int, rate_hz: int = RATE_HZ, *, htk: bool = False) -> Levels:
    """Build mel filters from 0 Hz to half of the rate, (1 + window / 2, bands), as librosa does: Slaney's, or HTK's of height 1.

    A band that is narrower than a bin may be empty.
    """
    with turns.first_use("mel"), warnings.catch_warnings(action="ignore"):
        import librosa

        filters = librosa.filters.mel(
            sr=rate_hz, n_fft=window_samples, n_mels=bands, fmin=0.0, fmax=rate_hz / 2, htk=htk, norm=None if htk else "slaney"
        )
    return np.ascontiguousarray(filters.T, dtype=np.float32)
