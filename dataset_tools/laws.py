"""Check written audio against the part files, without `render`: what the laws of the tasks rest on."""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from dataset_tools.audio import STEP, Samples
from dataset_tools.combinations import Floats

ReadPart = Callable[[str], Samples]
"""Instrument -> the source window of that part file, `(T,)`."""
ROUNDING = STEP / 2 + 1e-6
"""Error of one side: half a 16-bit step, and what float32 sums lose."""


def total(instruments: Iterable[str], part: ReadPart, gain: float, length: int) -> Floats:
    """Sum parts in double precision and scale them, `(T,)`."""
    mixed = np.zeros(length)
    for instrument in instruments:
        mixed += part(instrument)
    return mixed * gain


def off(what: str, residual: npt.NDArray[np.floating], allowed: float) -> str | None:
    """Say by how much a residual `(T,)` leaves the allowed range; None if it doesn't."""
    largest = float(np.abs(residual).max(initial=0.0))
    return None if largest <= allowed else f"{what} is off by {largest / STEP:.1f} 16-bit steps, allowed {allowed / STEP:.1f}"
