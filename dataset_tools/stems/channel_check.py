"""Doubt stereo stems that hold one instrument on the left and another on the right, such as a voice beside its band.

The two channels of one instrument share some sound, or, as two takes of a guitar, have the same spectrum.
"""

from pathlib import Path

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples

ALIKE = 0.05
"""Correlation of the channels from which on they share sound."""
MOST_COHERENT = 0.12
"""Mean coherence of channels that share nothing at any delay: two instruments have 0.1 at most, a chorus 0.7."""
LEAST_UNLIKE = 0.35
"""Share of power by which the spectra of the channels differ, 1 for no common band. Of 51 pairs of instruments of one song, 49
have more. Stereo stems and pairs of takes have 0.17 at most."""
LEVEL_DB = 15.0
"""A channel that is softer than the other one by more may be bleed."""
_STRETCHES, _STRETCH_S = 8, 4
_FRAME, _FEWEST_FRAMES = 4096, 16
_EDGES_HZ = np.geomspace(40, 8000, 25)

DETAIL = "its channels share no sound, and their spectra are unlike: if they are two instruments, export each as a file"


def differ(path: Path, likeness: float) -> bool:
    """Tell whether the two channels of a file seem to be two instruments; `likeness` is their correlation."""
    if abs(likeness) >= ALIKE:
        return False
    sides, rate_hz = _read(path)
    if len(sides) < _FEWEST_FRAMES * _FRAME:
        return False
    from scipy.signal import coherence, welch

    left, right = sides.T
    frequencies, powers = welch(sides.T, rate_hz, nperseg=_FRAME)
    if min(sums := powers.sum(axis=1)) <= 0 or abs(audio.power_db(sums[0]) - audio.power_db(sums[1])) > LEVEL_DB:
        return False
    edges = np.minimum(np.searchsorted(frequencies, _EDGES_HZ), len(frequencies) - 1)
    bands = np.add.reduceat(powers, edges, axis=1)[:, :-1]
    unlike = np.abs(np.diff(bands / np.maximum(bands.sum(axis=1, keepdims=True), 1e-20), axis=0)).sum() / 2
    weights = np.sqrt(powers[0] * powers[1])
    coherent = np.average(coherence(left, right, rate_hz, nperseg=_FRAME)[1], weights=weights) if weights.any() else 0.0
    return bool(unlike >= LEAST_UNLIKE and coherent <= MOST_COHERENT)


def _read(path: Path) -> tuple[Samples, int]:
    """Read stretches from all over a file of two channels, none twice: `(frames, 2)`, and the rate."""
    with audio.opened(path) as file:
        length = _STRETCH_S * file.samplerate
        heard, count = [], min(max(file.frames // length, 1), _STRETCHES)
        for start in np.linspace(0, max(file.frames - length, 0), count):
            file.seek(int(start))
            heard.append(file.read(length, dtype="float32", always_2d=True))
        return np.concatenate(heard), int(file.samplerate)
