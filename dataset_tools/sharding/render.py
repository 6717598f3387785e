"""Render a recipe: sum the parts of both windows, stretch the target's in time, scale and round both sides."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from instructme.dataset_tools.audio import STEP, Pcm, Samples, peak
from instructme.manifests.rows import DataError, Triplet

NORMALISATIONS = ("joint", "side")
"""One gain for both sides, or each side brought to the ceiling on its own."""
CEILING = 10 ** (-1 / 20)
"""Highest sample peak of a scaled side: -1 dBFS."""


class Window(NamedTuple):
    """A window of one part: the arguments of `read_window`."""

    track_id: str
    instrument: str
    start_samples: int
    length_samples: int


class Rendered(NamedTuple):
    """Both sides of a triplet, `(T,)` or `(T, 2)` on the 16-bit grid, and the gains that were applied."""

    source: Samples
    target: Samples
    gain: float
    target_gain: float


ReadWindow = Callable[[str, str, int, int], Pcm]


def windows(recipe: Triplet) -> list[Window]:
    """List the part windows that `render` reads for a recipe, in its order; what sounds on both sides is read twice."""
    return [*_source(recipe), *_target(recipe), *_turned(recipe)]


def render(recipe: Triplet, read_window: ReadWindow, normalise: str = "joint", rate_hz: int = 24000) -> Rendered:
    """Render source and target of a recipe.

    `read_window(track_id, instrument, start_samples, length_samples)` reads a part. With `joint`, one gain for both
    sides, min(1, ceiling / peak of both), keeps what the edit doesn't touch at its level and never amplifies. With
    `side`, the peak of each side is brought to the ceiling, up or down, as in the demo files of the paper's authors.

    Raises:
        DataError: `normalise` is neither.
    """
    source = _sum(_source(recipe), read_window)
    target = stretch(_sum(_target(recipe), read_window), recipe.target_stretch, rate_hz)[: recipe.length_samples]
    if turned := _turned(recipe):
        target = target + np.float32(10 ** ((recipe.gain_db or 0) / 20) - 1) * _sum(turned, read_window)
    peaks = peak(source), peak(target)
    if normalise == "joint":
        gains = [min(1.0, CEILING / max(*peaks, CEILING))] * 2
    elif normalise == "side":
        gains = [CEILING / highest if highest else 1.0 for highest in peaks]
    else:
        raise DataError(f"no such normalisation: {normalise}: choose joint or side")
    return Rendered(_scale(source, gains[0]), _scale(target, gains[1]), *gains)


def exchanged(recipe: Triplet, read_window: ReadWindow, gain: float) -> tuple[Samples, Samples]:
    """Render what a `replace` takes out and what it brings in, as long as its sides, with the gain and the rounding of its sides.

    Raises:
        DataError: the recipe has no such parts.
    """
    gone = [window for window in _source(recipe) if window.instrument not in recipe.target_instruments]
    brought = [window for window in _target(recipe) if window.instrument not in recipe.source_instruments]
    if not gone or not brought:
        raise DataError(f"{recipe.triplet_id} replaces nothing: run pair again")
    return _scale(_sum(gone, read_window), gain), _scale(_sum(brought, read_window), gain)


def stretch(samples: Samples, factor: float, rate_hz: int) -> Samples:
    """Play `(T,)` or `(T, 2)` faster by `factor` at the same pitch: at least floor(T / factor) samples; 1 returns the input.

    Signalsmith Stretch through python-stretch, seeded. What sounds at t comes out within 1 ms of t / factor.
    """
    if factor == 1.0:
        return samples
    from python_stretch import Signalsmith

    stretcher = Signalsmith.Stretch(0)
    stretcher.preset(1, rate_hz)
    stretcher.setTimeFactor(factor)
    stretched = np.asarray(stretcher.process(np.ascontiguousarray(np.atleast_2d(samples.T))), dtype=np.float32)
    return stretched.reshape(*samples.shape[1:], -1).T


def _source(recipe: Triplet) -> list[Window]:
    return [
        Window(recipe.source_track, instrument, recipe.source_start_samples, recipe.length_samples)
        for instrument in recipe.source_instruments
    ]


def _target(recipe: Triplet) -> list[Window]:
    length = math.ceil(recipe.length_samples * recipe.target_stretch)
    return [
        Window(recipe.target_track, instrument, recipe.target_start_samples, length) for instrument in recipe.target_instruments
    ]


def _turned(recipe: Triplet) -> list[Window]:
    """List the parts that both sides have at different levels."""
    return [window for window in _source(recipe) if recipe.gain_db and window.instrument in recipe.named]


def _sum(parts: Sequence[Window], read_window: ReadWindow) -> Samples:
    """Sum the windows; exact, because float32 holds any sum of 256 16-bit samples.

    Scaled once, after the sum: windows that become float one by one take eight times as long.
    """
    total = read_window(*parts[0]).astype(np.float32)
    for window in parts[1:]:
        total += read_window(*window)
    total *= np.float32(STEP)
    return total


def _scale(samples: Samples, gain: float) -> Samples:
    """Apply a gain and round to 16 bit."""
    scaled = samples * np.float32(gain / STEP)
    np.rint(scaled, out=scaled)
    scaled *= np.float32(STEP)
    return scaled
