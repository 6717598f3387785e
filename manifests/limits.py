"""Check the arguments of Python calls as the command line checks its options."""

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any, NamedTuple

from instructme.manifests.rows import DataError


class NumberRange(NamedTuple):
    """The numbers that an argument may be, both ends included."""

    least: float
    most: float = math.inf
    whole: bool = False


RANGES = {
    "balance": NumberRange(0, 1),
    "channels": NumberRange(1, 2, whole=True),
    "clip_seconds": NumberRange(1),
    "eval_count": NumberRange(0, whole=True),
    "length_tolerance_s": NumberRange(0),
    "limit": NumberRange(1, whole=True),
    "max_under_mix_db": NumberRange(0),
    "min_active": NumberRange(0, 1),
    "min_lufs": NumberRange(-100, 0),
    "paraphrase": NumberRange(0, 1),
    "per_shard": NumberRange(1, whole=True),
    "remix_harmony": NumberRange(0, 1),
    "rounds": NumberRange(1, 5, whole=True),
    "sample": NumberRange(0, whole=True),
    "sample_rate_hz": NumberRange(8000, 192_000, whole=True),
    "seconds": NumberRange(1, 600, whole=True),
    "shard_size_mb": NumberRange(0.001),
    "tempo_tolerance": NumberRange(0, 0.5),
    "total": NumberRange(1, whole=True),
}
"""Of the arguments that both the command line and Python calls take."""
SOURCES = ("auto", "midi", "audio", "none")
"""Of beats, and of chords."""


def check(**values: Any) -> None:
    """Check arguments by the `RANGES` of their names; None is no value.

    Raises:
        DataError: one is out of its range, or not a number.
    """
    for name, value in values.items():
        if value is not None:
            least, most, is_whole = RANGES[name]
            (whole if is_whole else number)(name, value, least, most)


def whole(name: str, value: Any, least: float, most: float = math.inf) -> None:
    """Check that an argument is a whole number of a range.

    Raises:
        DataError: it isn't.
    """
    if not isinstance(value, Integral) or not least <= float(value) <= most:
        raise DataError(f"{name} can't be {value!r}: give a whole number {_range(least, most)}")


def number(name: str, value: Any, least: float, most: float = math.inf) -> None:
    """Check that an argument is a finite number of a range.

    Raises:
        DataError: it isn't.
    """
    if not isinstance(value, Real) or not math.isfinite(value) or not least <= float(value) <= most:
        raise DataError(f"{name} can't be {value!r}: give a number {_range(least, most)}")


def one_of(name: str, value: Any, known: Collection[str]) -> None:
    """Check that an argument is one of some words.

    Raises:
        DataError: it isn't.
    """
    if value not in known:
        raise DataError(f"{name} can't be {value!r}: choose from {', '.join(known)}")


def _range(least: float, most: float) -> str:
    return f"from {least:g} to {most:g}" if most < math.inf else f"of {least:g} or more"
