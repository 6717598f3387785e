"""Read chord labels in Harte syntax (ISMIR 2005): `root:shorthand(degrees)/bass`, `N` for no chord, `X` for unknown.

Two chords agree here when root and third agree, as in mir_eval's `thirds`: sevenths, inversions and added notes don't
count, and a chord without a minor third counts as major. `codes` states this as one integer per chord.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from instructme.manifests.rows import DataError

Codes = npt.NDArray[np.int8]
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
"""Spelling of the twelve roots in every label and key that we write."""

_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_DEGREES = {1: 0, 2: 2, 3: 4, 4: 5, 5: 7, 6: 9, 7: 11, 8: 12, 9: 14, 10: 16, 11: 17, 12: 19, 13: 21}
_TRIADS = {"maj": (0, 4, 7), "min": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "sus2": (0, 2, 7), "sus4": (0, 5, 7)}
_SEVENTHS = {"maj7": (0, 4, 7, 11), "7": (0, 4, 7, 10), "min7": (0, 3, 7, 10), "minmaj7": (0, 3, 7, 11)}
SHORTHANDS: dict[str, tuple[int, ...]] = {
    **_TRIADS,
    **_SEVENTHS,
    "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10),
    "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
    "1": (0,),
    "5": (0, 7),
    "9": (*_SEVENTHS["7"], 2),
    "maj9": (*_SEVENTHS["maj7"], 2),
    "min9": (*_SEVENTHS["min7"], 2),
    "11": (*_SEVENTHS["7"], 2, 5),
    "maj11": (*_SEVENTHS["maj7"], 2, 5),
    "min11": (*_SEVENTHS["min7"], 2, 5),
    "13": (*_SEVENTHS["7"], 2, 5, 9),
    "maj13": (*_SEVENTHS["maj7"], 2, 5, 9),
    "min13": (*_SEVENTHS["min7"], 2, 5, 9),
}
"""Semitones above the root, modulo 12, of each shorthand."""

_SYNTAX = re.compile(
    r"(?P<root>[A-G][#b]*)(:(?=[^/])(?P<shorthand>[a-z]*\d*)(\((?P<degrees>[*#b\d, ]+)\))?)?(/(?P<bass>[#b]*\d+))?"
)


class Chord(NamedTuple):
    """Pitch classes of a label: those of `N` and `X` are empty, with root and bass -1."""

    root: int
    pitch_classes: frozenset[int]
    bass: int


def _semitones(degree: str) -> int:
    number = int(degree.strip("#b"))
    if number not in _DEGREES:
        raise ValueError(degree)
    return (_DEGREES[number] + degree.count("#") - degree.count("b")) % 12


@cache
def parse(label: str) -> Chord:
    """Read one label; the bass belongs to the chord.

    Raises:
        DataError: the label isn't in Harte syntax.
    """
    if label in ("N", "X"):
        return Chord(-1, frozenset(), -1)
    match = _SYNTAX.fullmatch(label)
    try:
        if match is None:
            raise ValueError(label)
        return _chord(**match.groupdict())
    except (ValueError, KeyError):
        raise DataError(f"not a chord label: {label!r}: write it in Harte syntax such as C:maj, F#:min7/b3 or N") from None


def _chord(root: str, shorthand: str | None, degrees: str | None, bass: str | None) -> Chord:
    tonic = (_NATURALS[root[0]] + root.count("#") - root.count("b")) % 12
    intervals = {0} if degrees and not shorthand else set(SHORTHANDS[shorthand or "maj"])
    for degree in (degrees or "").replace(" ", "").split(",") if degrees else ():
        if degree.startswith("*"):
            intervals.discard(_semitones(degree[1:]))
        else:
            intervals.add(_semitones(degree))
    lowest = _semitones(bass) if bass else 0
    return Chord(tonic, frozenset((tonic + step) % 12 for step in intervals | {lowest}), (tonic + lowest) % 12)


@cache
def _code(label: str) -> int:
    chord = parse(label)
    if chord.root < 0:
        return 0
    thirds = {(pitch - chord.root) % 12 for pitch in chord.pitch_classes} & {3, 4}
    return 1 + chord.root + (12 if thirds == {3} else 0)


def codes(labels: Sequence[str]) -> Codes:
    """Reduce labels to integers: 0 for `N` and `X`, 1 to 12 for C major to B major, 13 to 24 for C minor to B minor.

    A chord with a minor third and no major one is minor (so are dim, hdim7, min7); every other chord is major.

    Raises:
        DataError: a label isn't in Harte syntax.
    """
    return np.array([_code(label) for label in labels], dtype=np.int8)


def codes_at(starts_samples: npt.NDArray[np.int64], labels: Sequence[str], at_samples: npt.NDArray[np.int64]) -> Codes:
    """Reduce a chord sequence to its code at each of some positions; 0 before the first chord."""
    sounding = np.searchsorted(starts_samples, at_samples, side="right")
    return np.concatenate([np.zeros(1, np.int8), codes(labels)])[sounding]


def agreement(
    starts_a: npt.NDArray[np.int64],
    labels_a: Sequence[str],
    starts_b: npt.NDArray[np.int64],
    labels_b: Sequence[str],
    length: int,
) -> float:
    """Measure the share of a window in which two chord sequences have the same code, 0 to 1.

    Starts count from the beginning of each one's window, and may lie outside it: a window of a track is
    `(starts - window_start) / stretch`. No chord agrees with no chord, and with nothing else; what comes before the first
    chord is no chord. An empty window agrees by 0.
    """
    edges = np.unique(np.clip(np.concatenate([starts_a, starts_b, [0, length]]), 0, length))
    same = codes_at(starts_a, labels_a, edges[:-1]) == codes_at(starts_b, labels_b, edges[:-1])
    return float(np.diff(edges)[same].sum() / length) if length > 0 else 0.0


def merge(starts_samples: npt.NDArray[np.int64], labels: Sequence[str]) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Join neighbours with the same label."""
    kept = [i for i, label in enumerate(labels) if i == 0 or label != labels[i - 1]]
    return np.asarray(starts_samples, dtype=np.int64)[kept], [labels[i] for i in kept]
