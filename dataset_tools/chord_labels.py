"""Read chord labels in Harte syntax (ISMIR 2005): `root:shorthand(degrees)/bass`, `N` for no chord, `X` for unknown.

mir_eval reads the syntax. `mir_eval.chord.encode` loses degrees above the octave (the 9 of `C:9`), so `parse` adds them up here.

Two chords agree here when root and third agree, as in mir_eval's `thirds`: sevenths, inversions and added notes don't
count, and a chord without a minor third counts as major. `codes` gives one integer per chord.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from instructme.manifests.rows import DataError

Codes = npt.NDArray[np.int8]
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
"""Spelling of the twelve roots in every label and key that we write."""
_MISSING = {"maj11": ("maj7", {"9", "11"}), "aug7": ("aug", {"b7"})}
"""Shorthands that mir_eval's syntax allows and its tables lack: a shorthand that it knows, and more degrees."""


class Chord(NamedTuple):
    """Pitch classes of a label: those of `N` and `X` are empty, with root and bass -1."""

    root: int
    pitch_classes: frozenset[int]
    bass: int


def semitones(shorthand: str) -> list[int]:
    """List the semitones above the root of a shorthand without degrees above the octave, such as `min7`."""
    import mir_eval  # takes a second

    return [int(step) for step in np.flatnonzero(mir_eval.chord.quality_to_bitmap(shorthand))]


@cache
def parse(label: str) -> Chord:
    """Read one label; the bass belongs to the chord.

    Raises:
        DataError: the label isn't in Harte syntax.
    """
    if label in ("N", "X"):
        return Chord(-1, frozenset(), -1)
    import mir_eval

    try:
        root, shorthand, degrees, bass = mir_eval.chord.split(label, reduce_extended_chords=True)
    except mir_eval.chord.InvalidChordException:
        raise DataError(f"not a chord label: {label!r}: write it in Harte syntax such as C:maj, F#:min7/b3 or N") from None

    def steps(names: set[str]) -> set[int]:
        return {mir_eval.chord.scale_degree_to_semitone(name) % 12 for name in names}

    shorthand, more = _MISSING.get(shorthand, (shorthand, set()))
    omitted = {name for name in degrees if name.startswith("*")}
    chord = {*semitones(shorthand), *steps((degrees | more) - omitted)} if shorthand else {0, *steps(degrees - omitted)}
    tonic, lowest = mir_eval.chord.pitch_class_to_semitone(root), steps({bass}).pop()
    pitches = chord - steps({name[1:] for name in omitted}) | {lowest}
    return Chord(tonic % 12, frozenset((tonic + step) % 12 for step in pitches), (tonic + lowest) % 12)


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


def merge(starts_samples: npt.NDArray[np.int64], labels: Sequence[str]) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Join neighbours with the same label."""
    kept = [i for i, label in enumerate(labels) if i == 0 or label != labels[i - 1]]
    return np.asarray(starts_samples, dtype=np.int64)[kept], [labels[i] for i in kept]
