"""Find stems that are copies of others, or their opposites: at another level, bit depth or rate, or without silence."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stored import Stored

SAME = 0.9995
"""Correlation of a stem and its copy at another level, bit depth or sample rate."""
_SKETCH_SAMPLES, _SKETCH_S = 64, 600
"""Stems are compared by the means of so many samples, over so many seconds."""
_MOVED_S = 0.2
"""What lies so much later in a file of the same length is no copy. A latency is shorter."""
_LOUD = 0.05
"""Share of the loudest piece of a sketch over which a stem sounds."""
_NEARLY_SAME = 0.96
"""Correlation of white noise and a copy that is late by part of a sample: 0.97 at least."""
_ECHO_S, _ECHO_SHARE = 5.0, 0.25
"""A copy that is later by no more than this, and by no more than this share of what sounds, may be an echo or a wrong offset."""


class StemSketch(NamedTuple):
    """A stem that was summed: its instrument, its sketch, its first sound and its length in samples."""

    instrument: str
    sketch: Samples
    start: int
    length: int


def listen(instrument: str, samples: Stored, least: float, rate_hz: int) -> StemSketch:
    """Find the first sound over `least`, and reduce a stem from there to means of short pieces: a copy may lack the silence."""
    loud = (
        start + np.flatnonzero(np.abs(block).reshape(len(block), -1).max(axis=1) > least) for start, block in samples.blocks()
    )
    start = next(int(places[0]) for places in loud if len(places))
    pieces = [
        block[: len(block) // _SKETCH_SAMPLES * _SKETCH_SAMPLES].reshape(-1, _SKETCH_SAMPLES, samples.channels).mean(axis=1)
        for _, block in samples.blocks(start=start, stop=start + _SKETCH_S * rate_hz)
    ]
    return StemSketch(instrument, np.concatenate(pieces).reshape(-1).astype(np.float32), start, len(samples))


def find(own: StemSketch, heard: Mapping[str, StemSketch], rate_hz: int, sign: int = 1) -> str | None:
    """Find the path of a stem that is the same sound, or with `sign` -1 its opposite; None if there is none."""
    sketch = sign * own.sketch
    return next((path for path, other in heard.items() if not _moved(own, other, rate_hz) and _alike(sketch, other.sketch)), None)


def find_later(own: StemSketch, heard: Mapping[str, StemSketch], rate_hz: int) -> tuple[str, str] | None:
    """Find a stem that is the same sound at another time, while it still sounds, and say which one and when.

    Copies at one time, or late by whole samples, are for `find`. A copy that is late by part of a sample is only nearly the same.
    """
    loud = np.flatnonzero(np.abs(own.sketch) > _LOUD * np.abs(own.sketch).max(initial=0.0))
    sounding = (own.length - own.start) * (loud[-1] + 1) / len(own.sketch) if len(loud) else 0
    for path, other in heard.items():
        later = own.start - other.start
        near = abs(later) < min(_ECHO_S * rate_hz, _ECHO_SHARE * sounding)
        if later and near and _alike(own.sketch, other.sketch, _NEARLY_SAME):
            same = f"nearly the same sound as {path}, {when(later / rate_hz)}"
            return path, f"{same}: it is heard twice, unless it is an echo or a microphone"
    return None


def when(late_s: float) -> str:
    """Say how much later something is, in words."""
    return f"{abs(late_s):.3g} s {'later' if late_s > 0 else 'earlier'}"


def _moved(one: StemSketch, other: StemSketch, rate_hz: int) -> bool:
    """Tell one sound at two places of a song, such as two crashes of one sample, from a copy that lacks silence: by lengths."""
    later = abs(one.start - other.start)
    return later > _MOVED_S * rate_hz and 2 * abs(one.length - other.length) < later


def _alike(one: Samples, other: Samples, least: float = SAME) -> bool:
    """Tell copies: most of the longer one is there in the shorter one, and in proportion."""
    length = min(len(one), len(other))
    powers = [float(np.vdot(each[:length], each[:length])) for each in (one, other)]
    wholes = [float(np.vdot(each, each)) for each in (one, other)]
    if not length or min(powers) <= 0 or any(part < 0.99 * whole for part, whole in zip(powers, wholes, strict=True)):
        return False
    return float(np.vdot(one[:length], other[:length])) > least * float(np.sqrt(powers[0] * powers[1]))
