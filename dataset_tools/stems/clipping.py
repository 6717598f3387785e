"""Tell of stems that are clipped: a program or a converter has cut their waves off at one level, so that these have flat tops.

Only tops that are flat to the sample are told. A limiter, an amplifier, a lossy codec and resampling round them.
"""

from pathlib import Path

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stored import Stored

FLAT = 0.3
"""Share of power in flat tops that is told. Of 2,563 recordings and parts, those of 15 s or more have 0.01. Music that was
cut by 12 dB has 0.2 to 0.5, by 20 dB 0.38 to 0.76. Cut by 3 dB, as a loud master, it has 0.02, and drums alone 0.26."""
NEAR = 5e-4
"""Of the highest sample: dither and rounding lie within it."""
LOUD, LEAST_LOUD = 0.35, 0.65
"""Share of power above 0.35 of the peak, without which there are no flat tops, also in the mean of two channels. A fifth of all
stems has more, and only their files are read again."""
FEWEST_VALUES = 64
"""Waves of fewer different samples are a synthesizer's, such as those of a games console."""
STRETCH_S = 4
"""The loudest stretch of this length is measured."""


def detail(path: Path, samples: Stored, rate_hz: int) -> str | None:
    """Say how much of a stem lies in flat tops; None if it is not clipped. `samples` are those of its file, resampled."""
    stretches = ((_power(block), start) for start, block in samples.blocks(STRETCH_S * rate_hz))
    power, start = max(stretches)
    block = samples[start : start + STRETCH_S * rate_hz]
    if not power or _power(block[np.abs(block) > LOUD * audio.peak(block)]) < LEAST_LOUD * power:
        return None
    if not (share := flat(_stretch(path, start / rate_hz))):
        return None
    return f"{share:.0%} of its power lies in flat tops of its wave: it is clipped; export it again at a lower level"


def flat(samples: Samples) -> float:
    """Measure the share of power of `(frames, channels)` that stays at the highest or lowest sample; 0 if it is small."""
    near, power = NEAR * audio.peak(samples), _power(samples)
    tops = samples >= samples.max(initial=0) - near, samples <= samples.min(initial=0) + near
    share = sum(_power(samples[:-1][each[:-1] & each[1:]]) for each in tops) / max(power, 1e-20)
    return share if share >= FLAT and len(np.unique(audio.to_int16(samples))) > FEWEST_VALUES else 0.0


def _stretch(path: Path, start_s: float) -> Samples:
    with audio.opened(path) as file:
        file.seek(min(round(start_s * file.samplerate), file.frames))
        return np.asarray(file.read(STRETCH_S * file.samplerate, dtype="float32", always_2d=True))


def _power(samples: Samples) -> float:
    values = samples.ravel()
    return float(np.dot(values, values))
