"""Check whether beats fit the audio: beats of another song, another tempo or another start do not.

Beats give each moment of a recording a phase: 0 at one beat, 1 at the next. If the beats are right, onsets have one phase in
every stretch of the song, on beats or half-beats. If the beats are wrong, the phase drifts from stretch to stretch, even if the
tempi are close. A shift is found from BeatNet's probability of a beat, averaged at lags around all beats.
"""

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.midi import grid_check
from instructme.dataset_tools.recognisers import beat_network

Floats = npt.NDArray[np.float64]
STRETCH_BEATS = 8
PART_BEATS, FEWEST_PARTS = 32, 3
"""In 189 recordings, no part of right beats is heard elsewhere; in 85 of 100, a part of beats that drift by 0.25 % is."""
FEWEST_BEATS = 8
"""A network needs a few beats to find its way."""
LEAST_PULSE = 0.6
"""Right beats of 185 recordings reach 0.78 or more; of grids of other songs of similar tempo, 98 of 100 stay below 0.4."""
STEADY = 0.8
"""Onsets of one part alone may gather between the beats all through the song, which grids of other songs hardly do."""
NEAR_S = 0.02
LARGEST_LAG_S = 0.045
"""Of 406 right sides, beats are heard within 20 ms in all that have drums; a remix may be off by 25 ms."""
LEAST_ACTIVATION = 0.3
LEAST_RATIO, LEAST_PART_RATIO = 1.5, 2.0
"""Height of the activation at another lag, against that near the beats, of a recording and of its parts."""
WIDEST = 0.4
"""Of a beat: music without drums may accent its off-beats, half a beat away."""
FARTHEST_S = 0.2
"""Of the shifts of annotations: where every other beat is annotated, off-beats are a quarter away."""
STEP_S = 0.01
BIAS_S = -0.01
"""Where the network hears right beats, on average."""

SHORT, LONG = 0.65, 1.55
"""Of the times around it, for a time between beats beside which a beat is too many, or missing."""
FEWEST_ODD, LEAST_ODD = 3, 0.01
"""Of 162 right annotations, one has one such time, where a bar counts on."""
OCTAVES = (0.85, 1.15)
"""Change of tempo from 8 beats to the next 8: right annotations change by half an octave at most, trackers sometimes by one."""


def uneven(beats_s: Floats, positions: npt.NDArray[np.int64]) -> str | None:
    """Say how annotated beats contradict themselves: beats are missing or too many, or their tempo halves or doubles.

    `positions` are those in the bar, 0 where unknown: over a gap in an annotation they do not count on.
    """
    steps_s = np.diff(beats_s)
    if len(steps_s) < 2 * STRETCH_BEATS:
        return None
    around = np.lib.stride_tricks.sliding_window_view(np.pad(steps_s, 4, mode="reflect"), 9)
    ratio = steps_s / np.median(around, axis=1)
    count_on = (positions[1:] == positions[:-1] + 1) | (positions[1:] <= 1)
    odd = count_on & ((ratio < SHORT) | (ratio > LONG))
    if odd.sum() >= max(FEWEST_ODD, LEAST_ODD * len(odd)):
        return f"{odd.sum()} times between these beats are far shorter or longer than those around: beats are missing or too many"
    tempi = np.median(np.lib.stride_tricks.sliding_window_view(steps_s, STRETCH_BEATS), axis=1)
    change = np.abs(np.log2(tempi[STRETCH_BEATS:] / tempi[:-STRETCH_BEATS]))
    changed = np.flatnonzero((change >= OCTAVES[0]) & (change <= OCTAVES[1]))
    if len(changed):
        return f"these beats change to half or twice their tempo near {beats_s[changed[0] + STRETCH_BEATS]:.0f} s"
    return None


def against(beats_s: Floats, activation: beat_network.Floats, onsets: Floats) -> str | None:
    """Say how the audio contradicts annotated beats in seconds; None if they fit, or if too few lie in the recording.

    `activation` is that of `beat_network.activations`, `onsets` are `grid_check.onset_envelope` of the same audio.
    """
    times_s = np.arange(len(onsets)) / grid_check.ENVELOPE_HZ
    beats_s = beats_s[(beats_s >= 0) & (beats_s < len(onsets) / grid_check.ENVELOPE_HZ)]
    if len(beats_s) < 2 * STRETCH_BEATS:
        return None
    heard = beat_network.onset_envelope(activation, times_s + BIAS_S)
    means = [*_means(heard, times_s, beats_s), *_means(onsets, times_s, beats_s)]
    if max(mean.real for mean in means) < LEAST_PULSE and max(map(abs, means)) < STEADY:
        return "the onsets of the audio do not fit these beats: the beats may be those of another recording"
    lag = lag_s(activation, beats_s, WIDEST)
    if 0 < abs(lag) <= FARTHEST_S:
        return f"beats are heard {1000 * lag:+.0f} ms off these: they may be those of another version"
    return _drift(beats_s, activation)


def _drift(beats_s: Floats, activation: beat_network.Floats) -> str | None:
    """Say where in the recording beats are heard elsewhere: a clock or a cut moves some of them only."""
    size = max(FEWEST_BEATS, min(PART_BEATS, len(beats_s) // FEWEST_PARTS))
    for part in np.array_split(beats_s, max(1, len(beats_s) // size)):
        lag = lag_s(activation, part, WIDEST, LEAST_PART_RATIO)
        if 0 < abs(lag) <= FARTHEST_S:
            place = f"beats at {part[0]:.0f} s are heard {1000 * lag:+.0f} ms off these"
            return f"{place}: they may drift, or be those of another version"
    return None


def _means(curve: Floats, times_s: Floats, beats_s: Floats) -> list[complex]:
    """Average the phase of onsets over the stretches, in the beat and in the half-beat: 1 on the beats, 0 by chance."""
    inside = (times_s >= beats_s[0]) & (times_s < beats_s[-1])
    phase = np.interp(times_s[inside], beats_s, np.arange(len(beats_s)))
    stretch = (phase // STRETCH_BEATS).astype(np.int64)
    means = []
    for parts in (1, 2):
        wave = curve[inside] * np.exp(2j * np.pi * parts * phase)
        sums = np.bincount(stretch, wave.real) + 1j * np.bincount(stretch, wave.imag)
        means.append(complex(sums.sum() / max(1e-9, np.abs(sums).sum())))
    return means


def lag_s(activation: beat_network.Floats, beats_s: Floats, widest: float, ratio: float = LEAST_RATIO) -> float:
    """Find how far the beats heard lie from those stated in seconds, up to `widest` beats; 0 where nothing else is clear."""
    if len(beats_s) < FEWEST_BEATS:
        return 0.0
    lags_s, heights = profile(activation, beats_s)
    best = int(heights.argmax())
    near = heights[np.abs(lags_s) <= NEAR_S].max()
    clear = heights[best] >= max(LEAST_ACTIVATION, ratio * near)
    possible = LARGEST_LAG_S <= abs(lags_s[best]) <= widest * float(np.median(np.diff(beats_s))) + STEP_S
    return float(lags_s[best]) if clear and possible else 0.0


def profile(activation: beat_network.Floats, beats_s: Floats) -> tuple[Floats, Floats]:
    """Average the activation over all beats, at lags up to half a beat to either side: lags in s, and heights 0 to 1."""
    reach = round(float(np.median(np.diff(beats_s))) / 2 / STEP_S)
    lags_s = np.arange(-reach, reach + 1) * STEP_S
    at = beats_s[:, None] + lags_s + BIAS_S
    heights = beat_network.onset_envelope(activation, at.ravel()).reshape(at.shape).mean(axis=0)
    return np.asarray(lags_s, np.float64), np.asarray(heights, np.float64)
