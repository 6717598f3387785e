"""Check written audio against the part files, without `render`: what the laws of the tasks rest on."""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import STEP, Pcm, Samples, mono
from instructme.dataset_tools.pairing.combinations import Floats, Ints

ReadPart = Callable[[str], Pcm]
"""Instrument -> the source window of that part file, `(T,)` or `(T, 2)`. All laws hold in each channel."""
ROUNDING = STEP / 2 + 1e-6
"""Error of one side: half a 16-bit step, and what float32 sums lose."""
SEGMENTS, MOST_DB = 10, 0.5
"""How levels of a stretched side are compared: see `off_the_levels`."""


def total(instruments: Iterable[str], part: ReadPart, gain: float) -> Floats:
    """Sum parts as integers and scale them in double precision: as long and of as many channels as a part."""
    mixed = sum((part(instrument).astype(np.int32) for instrument in instruments), np.zeros((), dtype=np.int32))
    return mixed * np.float64(gain * STEP)


def louder_by(gain_db: float | None) -> float:
    """Compute the multiple of a part that raises its level when it is added; below 0 it lowers it."""
    return float(10 ** ((gain_db or 0) / 20) - 1)


def off(what: str, residual: npt.NDArray[np.floating], allowed: float) -> str | None:
    """Say by how much a residual leaves the allowed range; None if it doesn't."""
    largest = float(np.abs(residual).max(initial=0.0))
    return None if largest <= allowed else f"{what} is off by {largest / STEP:.1f} 16-bit steps, allowed {allowed / STEP:.1f}"


def off_the_levels(samples: Samples, mixed: Floats) -> str | None:
    """Compare the levels of a target that was stretched in time with those of its parts, which were not; None if they agree.

    Both are cut into SEGMENTS of equal share. Of remixes of 50 songs, the third largest difference was below 0.2 dB, and below
    0.25 dB of bursts and clicks. Of other music it is above 0.5 dB in 98 of 100.
    """
    levels, of_parts = (_levels_db(mono(each)) for each in (samples, mixed.astype(np.float32)))
    difference = float(np.sort(np.abs(levels - of_parts))[-3])
    return None if difference <= MOST_DB else f"target has other levels than its parts, by {difference:.1f} dB"


def _levels_db(samples: npt.NDArray[np.floating]) -> Floats:
    """Measure the RMS of each segment; what is 20 dB below the loudest counts as that."""
    rms = np.array([np.sqrt(np.mean(np.square(each, dtype=np.float64))) for each in np.array_split(samples, SEGMENTS)])
    return np.asarray(20 * np.log10(np.maximum(rms, max(float(rms.max()) / 10, STEP))))


def off_the_beat(samples: Samples, beats: Ints, rate_hz: int) -> str | None:
    """Say how far the onsets of a side lie from the beats; None if they don't lie elsewhere.

    Onset strength (spectral flux, log magnitude) is averaged over all beats at lags up to 100 ms, or a quarter of the beat
    where that is less, so that the next sixteenth is out of reach. Broken only if onsets are far stronger at another lag
    than within 30 ms of the beats: a shift of 50 ms or more of music with clear attacks is found; slow attacks, sparse
    onsets and shifts by whole sixteenths are not.
    """
    if len(beats) < 4:
        return None
    strength, hop = _onsets(mono(samples), rate_hz), rate_hz // 200
    reach = min(0.1, 0.25 * float(np.median(np.diff(beats))) / rate_hz - 0.01)
    lags = np.arange(-int(reach * 200), int(reach * 200) + 1)
    frames = np.rint(beats / hop).astype(np.int64)[:, None] + lags
    inside = ((frames >= 0) & (frames < len(strength))).all(axis=1)
    score = strength[frames[inside]].mean(axis=0) if inside.any() else np.zeros(len(lags))
    near = np.abs(lags) * 5 <= 30
    best = int(lags[score.argmax()]) * 5
    if near.all() or score.max() <= 2 * max(score[near].max(), strength.mean()):
        return None
    return f"onsets lie {best:+d} ms off the source's beats"


def _onsets(samples: Samples, rate_hz: int) -> Floats:
    """Measure onset strength in frames of 5 ms, smoothed over three; a step at t peaks at t."""
    from scipy.fft import rfft  # four times as fast as numpy's on many short windows

    hop, size = rate_hz // 200, 512
    padded = np.pad(samples, (size // 2, size))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][: len(samples) // hop + 1]
    spectrum = np.log1p(100 * np.abs(rfft(windows * np.hanning(size).astype(np.float32))))
    rise = np.maximum(spectrum[2:] - spectrum[:-2], 0).sum(axis=1)
    return np.convolve(np.pad(rise, 1), np.ones(3) / 3, mode="same")
