"""Check whether a chord chart fits the audio: a wrong chart fits better in another key or at another start.

The tones of the chart are compared with the pitch classes of the audio. Charts of 186 mixes fit best as they are. No other key
fits as well. No other start fits better, except after whole rounds of a loop. The same is asked of each part: a chart may be
slower than the audio, lack a verse, or miss a change of key.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.chord_labels import parse
from instructme.dataset_tools.midi.offset_check import FRAMES_HZ, semitone_levels

Floats = npt.NDArray[np.float64]
STEP_FRAMES = 5
STEPS_HZ = FRAMES_HZ // STEP_FRAMES
NEAR_S, SHORTEST_S = 1.5, 10.0
LEAST_LIKENESS = 0.9
"""Of the likeness at the best other key or start; right charts reach 0.97."""
PART_S, PART_NEAR_S, PART_FAR_S = 15, 1.0, 4.0
"""In parts of this length, other starts are tried between these distances: farther ones may be rounds of a loop."""
LEAST_PART_LIKENESS, LEAST_PART_RIVAL = 0.85, 0.2
"""The same two bounds as for whole charts, in parts."""
LEAST_CHANGE = 0.25
"""Variance of the pitch classes over time: 0.49 or more in songs, 0 of one tone, which contradicts no chart."""
LEAST_RIVAL = 0.15
"""Likeness of what fits best elsewhere, below which nothing is harmony; right charts reach 0.41, drums 0.14."""


def fits(starts_s: Sequence[float], labels: Sequence[str], mix: Samples, rate_hz: int) -> bool:
    """Tell whether chords, each until the next one starts, may be those of audio `(T,)`; also where too little is heard."""
    heard = _pitch_classes(mix, rate_hz)
    chart = _tones(starts_s, labels, len(heard))
    sounding = np.flatnonzero(chart.any(axis=1))
    changes = 1 - float(np.square(heard.mean(axis=0)).sum())
    if len(sounding) < SHORTEST_S * STEPS_HZ or changes < LEAST_CHANGE:
        return True
    end = int(sounding[-1]) + 1
    spectra = np.fft.rfft(heard[:end], axis=0) * np.fft.rfft(chart[:end], axis=0).conj()
    starts = np.fft.irfft(spectra.sum(axis=1), end) / len(sounding)
    near = round(NEAR_S * STEPS_HZ)
    others = [float((heard * np.roll(chart, key, axis=1)).sum()) / len(sounding) for key in range(1, 12)]
    rival = max(*others, float(starts[near : end - near].max()))
    if rival >= LEAST_RIVAL and starts[0] < LEAST_LIKENESS * rival:
        return False
    count = max(1, (end - int(sounding[0])) // (PART_S * STEPS_HZ))
    return all(_part_fits(heard, chart, part) for part in np.array_split(np.arange(sounding[0], end), count))


def _part_fits(heard: Floats, chart: Floats, part: npt.NDArray[np.int64]) -> bool:
    """Tell whether no other key and no other start near it fit a part of a chart better."""
    tones, far, near = chart[part], round(PART_FAR_S * STEPS_HZ), round(PART_NEAR_S * STEPS_HZ)
    around = np.pad(heard, ((far, far), (0, 0)))
    starts = np.array([(around[part + far + lag] * tones).sum() for lag in range(-far, far + 1)])
    keys = [(heard[part] * np.roll(tones, key, axis=1)).sum() for key in range(1, 12)]
    rival = max(*keys, starts[: far - near + 1].max(), starts[far + near :].max())
    little = rival < LEAST_PART_RIVAL * tones.any(axis=1).sum()
    return bool(little or starts[far] >= LEAST_PART_LIKENESS * rival)


def _pitch_classes(mix: Samples, rate_hz: int) -> Floats:
    """Measure the level of each pitch class against the others, (steps, 12), each step of length 1."""
    classes = semitone_levels(mix, rate_hz)[::STEP_FRAMES, :48].reshape(-1, 4, 12).sum(axis=1)
    return _of_length_1(classes - classes.mean(axis=1, keepdims=True))


def _tones(starts_s: Sequence[float], labels: Sequence[str], steps: int) -> Floats:
    """Lay out the tones of chords like `_pitch_classes`; steps without a chord are zeros."""
    tones = np.zeros((steps, 12))
    stops_s = [*starts_s, steps / STEPS_HZ][1:]
    for start_s, stop_s, label in zip(starts_s, stops_s, labels, strict=True):
        classes = list(parse(label).pitch_classes)
        row = -np.full(12, len(classes) / 12)
        row[classes] += 1
        tones[int(start_s * STEPS_HZ) : int(stop_s * STEPS_HZ)] = row
    return _of_length_1(tones)


def _of_length_1(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, rows / np.maximum(lengths, 1e-6), 0.0)
