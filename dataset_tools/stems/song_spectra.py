"""Compare the sounds of a song at all lags, by the spectra of stretches at the same places in all of them.

In the correlation, each frequency counts the less, the louder one of the sounds is there (a matched filter).
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stored import Stored, mono

FARTHEST_S = 2.0
"""Sounds are compared so much earlier and later."""
RATE_HZ = 4000
SHORTEST_S = 1e-5
"""Lags are found about so exactly."""
_STRETCHES, _STRETCH_S = 8, 8
"""So many seconds in so many places of a song are compared."""
_PLACE_S = 0.02
"""Stretches begin at multiples of it: whole samples at every usual rate."""
LENGTH = round((_STRETCH_S + FARTHEST_S) * RATE_HZ)
_SMOOTH = 64
_FAINT = 1e-6
_SILENT = np.float32(1e-30)
_TIE = 1e-6
"""Sounds that differ less, against the loudest, get the same level."""

Spectra = npt.NDArray[np.complex64]
Weights = npt.NDArray[np.float32]
Real = npt.NDArray[np.float64]


def of(sound: Stored, rate_hz: int, length: int) -> Spectra:
    """Transform stretches of a stem, at the same places in all sounds of a song of this length: `(stretches, frequencies)`."""
    starts = [round(start_s * rate_hz) for start_s in _starts_s(length / rate_hz)]
    return _transform((mono(sound, start, start + _STRETCH_S * rate_hz) for start in starts), rate_hz, len(starts))


def read(path: Path, length_s: float, late_s: float = 0.0) -> Spectra:
    """Transform the same stretches of a file, in a song of this length that begins so much later in the file.

    Raises:
        DataError: the file can't be read.
    """
    with audio.opened(path) as file:
        rate_hz, frames = int(file.samplerate), int(file.frames)
    starts = [round((start_s + late_s) * rate_hz) for start_s in _starts_s(length_s)]

    def heard(start: int) -> Samples:
        first, stop = max(start, 0), min(max(start + _STRETCH_S * rate_hz, 0), frames)
        try:
            inside = audio.read(path, None, first, stop - first) if stop > first else audio.silence(0, 1)
        except audio.OppositeChannelsError:
            inside = audio.silence(0, 1)
        return np.pad(inside, (min(first - start, _STRETCH_S * rate_hz), 0))

    return _transform(map(heard, starts), rate_hz, len(starts))


def _starts_s(length_s: float) -> npt.NDArray[np.float64]:
    count = min(_STRETCHES, max(1, math.ceil(length_s / _STRETCH_S)))
    return _PLACE_S * np.floor(np.linspace(0, max(length_s - _STRETCH_S, 0), count) / _PLACE_S)


def _transform(stretches: Iterable[Samples], rate_hz: int, count: int) -> Spectra:
    from scipy.fft import rfft

    rows = np.zeros((count, _STRETCH_S * RATE_HZ), np.float32)
    for row, stretch in zip(rows, stretches, strict=True):
        heard = audio.resample(stretch, rate_hz, RATE_HZ)[: len(row)]
        row[: len(heard)] = heard
    return np.asarray(rfft(rows, LENGTH, axis=1), dtype=np.complex64)


def weights(sound: Spectra) -> Weights:
    """Weigh each frequency the less, the louder a sound is there: `(frequencies,)`."""
    power = np.square(np.abs(sound)).sum(axis=0)
    edges = np.arange(0, len(power), _SMOOTH)
    power = np.add.reduceat(power, edges) / np.diff(edges, append=len(power))
    return np.repeat(1 / (np.maximum(power, _FAINT * power.max()) + _SILENT), _SMOOTH)[: sound.shape[1]]


def correlate(own: Spectra, other: Spectra, weighed: Weights) -> npt.NDArray[np.float32]:
    """Correlate two sounds at all lags, from the farthest at which the first is earlier to the farthest at which it is later."""
    from scipy.fft import irfft

    heights = irfft((own * np.conj(other)).sum(axis=0) * weighed, LENGTH)
    far = round(FARTHEST_S * RATE_HZ)
    return np.concatenate([heights[-far:], heights[: far + 1]])


def lag_s(own: Spectra, other: Spectra, height: float) -> float | None:
    """Find how much later a sound is than another; None if no lag stands out from all by so many standard deviations."""
    heights = np.abs(correlate(own, other, weights(own)))
    at = int(heights.argmax())
    certain = heights[at] > height * np.sqrt(np.mean(np.square(heights)))
    return at / RATE_HZ - FARTHEST_S if certain else None


def nearest(own: Spectra, others: Sequence[Spectra], late_s: float) -> tuple[float, float]:
    """Move a lag until others explain most of a sound of power 1: the lag in seconds, and this share."""
    rows = np.stack([each.ravel() for each in others])
    among = (rows @ rows.conj().T).real.astype(np.float64)
    shared = np.stack([(own * np.conj(each)).sum(axis=0) for each in others])
    turn = _turn(own)

    def share(moved_s: float) -> float:
        return explained(among, (shared @ np.exp(turn * moved_s)).real)

    step_s = 1 / RATE_HZ
    while step_s > SHORTEST_S / 10:
        step_s /= 4
        late_s = max((late_s + step * step_s for step in range(-4, 5)), key=share)
    return late_s, share(late_s)


def levels(among: Real, shared: Real) -> Real:
    """Fit the levels of sounds in a mix, by their products with each other `(n, n)` and with it `(n,)`."""
    return np.asarray(np.linalg.pinv(among, rcond=_TIE) @ shared)


def explained(among: Real, shared: Real) -> float:
    """Find how much power of a mix sounds explain."""
    return float(levels(among, shared) @ shared)


def earlier(sound: Spectra, by_s: float) -> Spectra:
    """Move a sound to an earlier time."""
    return np.asarray(sound * np.exp(_turn(sound) * by_s), dtype=np.complex64)


def _turn(sound: Spectra) -> npt.NDArray[np.complex128]:
    """Give the phase by which each frequency turns in a second: `(frequencies,)`."""
    return np.asarray(2j * np.pi * RATE_HZ / LENGTH * np.arange(sound.shape[1]))


def power(sound: Spectra) -> float:
    """Measure the power of all stretches."""
    return float(np.vdot(sound, sound).real)
