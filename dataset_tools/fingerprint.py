"""Tell the same recording by its sound: bits that survive another level, a lossy codec and another start.

After Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002: 32 bits for each frame say whether the
difference of neighbouring bands between 300 and 2,000 Hz grew since the last one. Two frames in equal places of one recording
differ in few bits; of different ones, in half of them. Chromaprint does the same, but pip does not install its C library.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples, resample

Print = npt.NDArray[np.uint32]
RATE_HZ = 5000
"""Rate at which sound is compared."""
HOP_SAMPLES = 64
"""12.8 ms: half of it is the worst misalignment of two recordings."""
_WINDOW_SAMPLES = 2048
_EDGES_HZ = np.geomspace(300, 2000, 34)
_FAINT = 1e-6
"""Frames this far under the loudest one (in power) say nothing."""
_COMMON = 40
"""Values that occur more often say nothing, such as those of held notes."""
_FEWEST_HITS = 6
FEWEST_FRAMES = round(4 * RATE_HZ / HOP_SAMPLES)
"""Shorter overlaps are chance: 4 s."""
SAME = 0.35
"""Most wrong bits of one recording, the paper's bound. Measured on 72 songs: copies at another level, 7 ms later or as MP3 at
most 0.10; songs with a part left out 0.17 in the median; other songs 0.42 at least."""


class SameSound(NamedTuple):
    """Two names whose sound is the same: `late_s` is how much later it begins in the second one."""

    first: str
    second: str
    late_s: float
    wrong_bits: float
    seconds: float


def fingerprint(samples: Samples, rate_hz: int) -> Print:
    """Compute a word of 32 bits for each frame of `(T,)`: (frames,) uint32, 0 where nothing sounds."""
    sound = resample(samples, rate_hz, RATE_HZ)
    if len(sound) < _WINDOW_SAMPLES + HOP_SAMPLES:
        return np.zeros(0, dtype=np.uint32)
    windows = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW_SAMPLES)[::HOP_SAMPLES]
    edges = np.rint(_EDGES_HZ * _WINDOW_SAMPLES / RATE_HZ).astype(int)
    energy = np.concatenate([_energy(windows[at : at + 512], edges) for at in range(0, len(windows), 512)])
    contrast = np.diff(energy, axis=1)
    bits = np.diff(contrast, axis=0) < 0
    words = np.packbits(bits, axis=1).view(">u4")[:, 0].astype(np.uint32)
    heard = energy[1:].sum(axis=1) > _FAINT * energy.sum(axis=1).max()
    return np.where(heard, words, 0).astype(np.uint32)


def _energy(windows: npt.NDArray[np.float32], edges: npt.NDArray[np.int_]) -> npt.NDArray[np.float32]:
    from scipy.fft import rfft

    spectrum = rfft(windows * np.hanning(_WINDOW_SAMPLES).astype(np.float32), axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    return np.asarray(np.add.reduceat(power, edges, axis=1)[:, :-1])


def matches(prints: Mapping[str, Print], most_wrong: float = SAME, groups: Mapping[str, str] | None = None) -> list[SameSound]:
    """Find all pairs of names whose words agree at some lag, the most alike first; with `groups`, pairs of two groups only.

    Lags are those at which several words are equal to the bit; then all words that overlap are compared.
    """
    names = [name for name, words in prints.items() if len(words)]
    codes = {group: code for code, group in enumerate(sorted({groups[name] for name in names}))} if groups else {}
    owned = np.array([codes[groups[name]] if groups else code for code, name in enumerate(names)], dtype=np.int64)
    found = []
    for first, second, lag in _candidates([prints[name] for name in names], owned):
        wrong, frames = _wrong(prints[names[first]], prints[names[second]], lag)
        if frames >= FEWEST_FRAMES and wrong <= most_wrong:
            hop_s = HOP_SAMPLES / RATE_HZ
            found.append(SameSound(names[first], names[second], lag * hop_s, wrong, frames * hop_s))
    best: dict[tuple[str, str], SameSound] = {}
    for match in sorted(found, key=lambda match: (match.wrong_bits, match)):
        best.setdefault((match.first, match.second), match)
    return list(best.values())


def _candidates(prints: list[Print], groups: npt.NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """List (first, second, lag in frames) of pairs of two groups that have several equal words at one lag."""
    if not prints:
        return []
    owners = np.repeat(np.arange(len(prints), dtype=np.int64), [len(words) for words in prints])
    places = np.concatenate([np.arange(len(words), dtype=np.int64) for words in prints])
    words = np.concatenate(prints)
    order = np.argsort(words, kind="stable")
    order = order[words[order] != 0]
    words = words[order]
    starts = np.flatnonzero(np.diff(words, prepend=-1))
    sizes = np.diff(starts, append=len(words))
    rank = np.arange(len(words)) - np.repeat(starts, sizes)
    rare = np.repeat(sizes <= _COMMON, sizes)
    room = np.repeat(sizes, sizes) - rank
    hits = []
    for ahead in range(1, _COMMON):
        left = np.flatnonzero(rare & (room > ahead))
        one, other = order[left], order[left + ahead]
        apart = groups[owners[one]] != groups[owners[other]]
        one, other = one[apart], other[apart]
        lags = places[other] - places[one] + (1 << 30)
        hits.append((owners[one] * len(prints) + owners[other] << 31) | lags)
    keys, counts = np.unique(np.concatenate(hits), return_counts=True)
    keys = keys[counts >= _FEWEST_HITS]
    pairs, lags = keys >> 31, (keys & (1 << 31) - 1) - (1 << 30)
    return list(zip((pairs // len(prints)).tolist(), (pairs % len(prints)).tolist(), lags.tolist(), strict=True))


def _wrong(one: Print, other: Print, lag: int) -> tuple[float, int]:
    """Count the share of bits that differ where both sound, and the frames of this, with `other` moved back by `lag`."""
    one, other = one[max(-lag, 0) :], other[max(lag, 0) :]
    length = min(len(one), len(other))
    one, other = one[:length], other[:length]
    both = (one != 0) & (other != 0)
    bits = np.unpackbits((one[both] ^ other[both]).view(np.uint8))
    return (float(bits.mean()) if len(bits) else 1.0), int(both.sum())
