"""Compute constant-Q magnitudes as librosa's hybrid transform does, and keep the filters for the next sound.

librosa builds the filters in every call. For ten seconds of music, this takes longer than all the rest.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples

RATE_HZ, HOP_SAMPLES = 22050, 512
BINS, PER_OCTAVE, LOWEST = 288, 36, "F#0"
_SPARSITY = 0.01


class _Filters(NamedTuple):
    """Spectra of filters, each sparse (filters, bins of the FFT) with the length of its FFT.

    octaves: from the highest down; each reads the sound at half the rate of the one before, the first at half of `RATE_HZ`.
    scale: of the bins of all octaves, from the lowest up, (bins, 1).
    short: the filters above, whose phase doesn't matter.
    """

    octaves: list[tuple[Any, int]]
    scale: npt.NDArray[np.float64]
    short: tuple[Any, int]


def magnitudes(audio: Samples) -> npt.NDArray[np.float32]:
    """Compute the magnitudes of (T,) at 22,050 Hz, at least 2 s, in the tuning of the music: (1 + T // 512, 288)."""
    import librosa

    filters = _filters(float(librosa.estimate_tuning(y=audio, sr=RATE_HZ, bins_per_octave=PER_OCTAVE)))
    spectra, length = filters.short
    high = spectra.dot(np.abs(librosa.stft(audio, n_fft=length, hop_length=HOP_SAMPLES))) / np.sqrt(length)
    octaves: list[Any] = []
    lower, hop = audio, HOP_SAMPLES
    for spectra, length in filters.octaves:
        lower, hop = librosa.resample(lower, orig_sr=2, target_sr=1, res_type="soxr_hq", scale=True), hop // 2
        octaves.insert(0, spectra.dot(librosa.stft(lower, n_fft=length, hop_length=hop, window="ones")))
    frames = 1 + len(audio) // HOP_SAMPLES
    low = np.abs(np.concatenate([octave[:, :frames] for octave in octaves])) / filters.scale
    return np.concatenate([low, high]).T.astype(np.float32)


@lru_cache(maxsize=128)
def _filters(tuning: float) -> _Filters:
    """Build the filters for a tuning, in bins. librosa rounds it to hundredths, so that a hundred of them are all there are."""
    import librosa

    fmin = float(librosa.note_to_hz(LOWEST))
    frequencies_hz = librosa.cqt_frequencies(BINS, fmin=fmin, bins_per_octave=PER_OCTAVE, tuning=tuning)
    lengths, _ = librosa.filters.wavelet_lengths(freqs=frequencies_hz, sr=RATE_HZ)
    is_short = 2.0 ** np.ceil(np.log2(lengths)) < 2 * HOP_SAMPLES
    low_hz, octaves = frequencies_hz[~is_short], []
    for number in range(-(-len(low_hz) // PER_OCTAVE)):
        stop = len(low_hz) - PER_OCTAVE * number
        spectra, length = _spectra(low_hz[max(stop - PER_OCTAVE, 0) : stop], RATE_HZ / 2 ** (1 + number))
        octaves.append((spectra * np.float32(2 ** (number / 2)), length))
    spectra, length = _spectra(frequencies_hz[is_short], RATE_HZ, 2 * HOP_SAMPLES)
    return _Filters(octaves, np.sqrt(lengths[~is_short, None] / 2), (np.abs(spectra), length))


def _spectra(frequencies_hz: npt.NDArray[np.float64], rate_hz: float, shortest: int = 1) -> tuple[Any, int]:
    """Compute the spectra of filters, without their small values, and the length of the FFT."""
    import librosa

    waves, lengths = librosa.filters.wavelet(freqs=frequencies_hz, sr=rate_hz, norm=1, pad_fft=True)
    length = max(waves.shape[1], shortest)
    spectra = np.fft.fft(waves * (lengths[:, None] / length), n=length, axis=1)[:, : length // 2 + 1]
    return librosa.util.sparsify_rows(spectra, quantile=_SPARSITY, dtype=np.complex64), length
