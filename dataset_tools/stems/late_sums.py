"""Find sums of stems at another time: a bounce that is late by its plug-ins, by the encoder of an MP3, or by a count-in.

Each stem is correlated with the sum of the others by a matched filter, in which each frequency counts the less, the louder the
stem is there. The place of the peak is the lag. There the levels of the others are fitted, and the lag is moved until they
explain most. What is found is only worth a look: `mixtures` says whether it is a sum.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stored import BLOCK_FRAMES, Stored, mono

FARTHEST_S = 2.0
"""A sum is looked for so much earlier and later."""
HEIGHT = 8.0
"""The correlation at the lag is so many times the standard deviation of all: sums have 16 at least."""
WORTH = 0.3
"""Share of a stem that the others explain at the lag, from which on it is looked at again."""
_SHORTEST_S = 1e-5
"""Sums that are nearer in time are found as they are."""
_RATE_HZ = 4000
_STRETCHES, _STRETCH_S = 8, 8
"""So many seconds in so many places of a song are compared."""
_LENGTH = round((_STRETCH_S + FARTHEST_S) * _RATE_HZ)
_SMOOTH = 64
_FAINT = 1e-6
_TAPS = 16

Spectra = npt.NDArray[np.complex64]


def spectra(sound: Stored, rate_hz: int, length: int) -> Spectra:
    """Transform stretches of a stem, at the same places in all stems of a song of this length: `(stretches, frequencies)`."""
    from scipy.fft import rfft

    size = _STRETCH_S * rate_hz
    count = min(_STRETCHES, max(1, -(-length // size)))
    rows = np.zeros((count, _STRETCH_S * _RATE_HZ), np.float32)
    for row, start in zip(rows, np.linspace(0, max(length - size, 0), count).astype(int), strict=True):
        heard = audio.resample(mono(sound, start, start + size), rate_hz, _RATE_HZ)[: len(row)]
        row[: len(heard)] = heard
    return np.asarray(rfft(rows, _LENGTH, axis=1), dtype=np.complex64)


def lags(stems: Mapping[str, Spectra]) -> dict[str, float]:
    """Find the stems that may be sums of others at another time, and how much later they are than these, in seconds."""
    powers = {name: float(np.vdot(each, each).real) for name, each in stems.items()}
    unit = {name: each / np.float32(np.sqrt(powers[name])) for name, each in stems.items() if powers[name] > 0}
    whole = sum(unit.values(), np.complex64(0))
    found = {}
    for name, own in unit.items():
        lag_s = _peak_s(own, whole - own)
        others = [each for other, each in unit.items() if other != name]
        lag_s, share = (0.0, 0.0) if lag_s is None else _nearest(own, others, lag_s)
        if share >= WORTH and abs(lag_s) > _SHORTEST_S:
            found[name] = lag_s
    return found


def _peak_s(own: Spectra, others: Spectra) -> float | None:
    """Find the lag in seconds at which a stem is most like the sum of the others; None if no lag stands out."""
    from scipy.fft import irfft

    power = np.square(np.abs(own)).sum(axis=0)
    edges = np.arange(0, len(power), _SMOOTH)
    power = np.add.reduceat(power, edges) / np.diff(edges, append=len(power))
    power = np.repeat(np.maximum(power, _FAINT * power.max()), _SMOOTH)[: own.shape[1]]
    heights = np.abs(irfft((own * np.conj(others)).sum(axis=0) / power, _LENGTH))
    far = round(FARTHEST_S * _RATE_HZ)
    near = np.concatenate([heights[-far:], heights[: far + 1]])
    at = int(near.argmax())
    return (at - far) / _RATE_HZ if near[at] > HEIGHT * np.sqrt(np.mean(np.square(near))) else None


def _nearest(own: Spectra, others: list[Spectra], lag_s: float) -> tuple[float, float]:
    """Move a lag until the others explain most of a stem of power 1: the lag, and this share."""
    rows = np.stack([each.ravel() for each in others])
    among = np.linalg.pinv((rows @ rows.conj().T).real.astype(np.float64), rcond=1e-6)
    shared = np.stack([(own * np.conj(each)).sum(axis=0) for each in others])
    turn = 2j * np.pi * _RATE_HZ / _LENGTH * np.arange(own.shape[1])

    def share(late_s: float) -> float:
        levels = (shared @ np.exp(turn * late_s)).real
        return float(levels @ among @ levels)

    step_s = 1 / _RATE_HZ
    while step_s > _SHORTEST_S / 10:
        step_s /= 4
        lag_s = max((lag_s + step * step_s for step in range(-4, 5)), key=share)
    return lag_s, share(lag_s)


def earlier(sound: Stored, by_s: float, rate_hz: int, scratch: Path) -> Stored:
    """Play a sound earlier, also by a part of a sample (a windowed sinc); later, if `by_s` is negative."""
    whole, part = divmod(by_s * rate_hz, 1)
    places = np.arange(-_TAPS, _TAPS + 1)
    taps = np.sinc(places - part) * np.cos(np.pi / 2 * (places - part) / (_TAPS + 1)) ** 2
    taps = taps[::-1] / taps.sum()
    moved = Stored(scratch, sound.channels)
    for start in range(0, len(sound), BLOCK_FRAMES):
        first, stop = start + int(whole) - _TAPS, min(start + BLOCK_FRAMES, len(sound)) + int(whole) + _TAPS
        moved.put(start, _filtered(sound, first, stop, taps))
    return moved


def _filtered(sound: Stored, first: int, stop: int, taps: npt.NDArray[np.float64]) -> Samples:
    """Filter a piece; silence lies before and behind the sound."""
    inside = sound[max(first, 0) : max(stop, 0)].reshape(-1, sound.channels)
    before = min(max(-first, 0), stop - first)
    piece = np.pad(inside, ((before, stop - first - before - len(inside)), (0, 0)))
    heard = np.stack([np.convolve(channel, taps, "valid") for channel in piece.T], axis=1)
    return np.asarray(heard[:, 0] if sound.channels == 1 else heard, dtype=np.float32)
