"""Find sums of stems at another time: a bounce that is late by its plug-ins, by the encoder of an MP3, or by a count-in.

Each stem is compared with the sum of the others at all lags, then the lag is moved until they explain most. What is found is
only worth a look: `mixtures` says whether it is a sum.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems import song_spectra
from instructme.dataset_tools.stems.song_spectra import Spectra
from instructme.dataset_tools.stored import BLOCK_FRAMES, Stored

HEIGHT = 8.0
"""The correlation at the lag is so many times the standard deviation of all: sums have 16 at least."""
WORTH = 0.3
"""Share of a stem that the others explain at the lag, from which on it is looked at again."""
_TAPS = 16


def lags(stems: Mapping[str, Spectra]) -> dict[str, float]:
    """Find the stems that may be sums of others at another time, and how much later they are than these, in seconds."""
    powers = {name: song_spectra.power(each) for name, each in stems.items()}
    unit = {name: each / np.float32(np.sqrt(powers[name])) for name, each in stems.items() if powers[name] > 0}
    whole = sum(unit.values(), np.complex64(0))
    found = {}
    for name, own in unit.items():
        lag_s = song_spectra.lag_s(own, whole - own, HEIGHT)
        others = [each for other, each in unit.items() if other != name]
        lag_s, share = (0.0, 0.0) if lag_s is None else song_spectra.nearest(own, others, lag_s)
        if share >= WORTH and abs(lag_s) > song_spectra.SHORTEST_S:
            found[name] = lag_s
    return found


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
