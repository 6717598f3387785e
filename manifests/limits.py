"""Check the arguments of Python calls as the command line checks its options."""

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

from instructme.manifests.rows import DataError


def whole(name: str, value: Any, least: int, most: float = math.inf) -> None:
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
