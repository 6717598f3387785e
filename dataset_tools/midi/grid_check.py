"""Ask notes and audio whether a MIDI tempo map is the grid of the music.

A file recorded without a click plays back right and still has beats that mean nothing. Three questions tell: do note
onsets gather on beats or their usual subdivisions, is the beat the strongest place among them, and do notes and the
onsets of the audio fall together. Thresholds are set on 150 General MIDI songs written by people.
"""

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.midi.tempo_map import TempoMap
from instructme.dataset_tools.stored import Stored, mono

STRETCH_BEATS = 32
"""Notes are asked anew in every stretch of so many beats."""
FEWEST_NOTES = 16
LEAST_CONCENTRATION = 0.35
"""Of the 150 songs, those off their grid reach 0.13 over the whole song, those on it 0.49 or more."""
LARGEST_LAG_S = 0.035
"""Half of the 70 ms by which a beat may usually be off and still be counted as right."""
NEIGHBOUR_LAG_S = 0.08
"""Less than a sixteenth at usual tempi: among lags this small, the highest must lie within `LARGEST_LAG_S`."""
ENVELOPE_HZ = 100
REACH_FRAMES = ENVELOPE_HZ // 5
BLOCK_S = 20
PART_S, FEWEST_PARTS, LARGEST_DRIFT_S = 6, 3, 0.05
"""Over 19 songs of half a minute, lags of right MIDI drift by 17 ms at most; of 38 drifts of 0.25 %, 36 are beyond the bound."""
LEAST_HEIGHT = 0.85
"""Of the highest correlation of a part, for another lag that fits as well."""
LEAST_CORRELATION = 0.1
LEAST_PEAK = 0.5
"""Of the highest correlation at any lag; right grids reach 0.55 and more, a real chart that is 45 ms off no more than 0.25."""


def phases(
    tempo_map: TempoMap, onsets: npt.NDArray[np.float64] | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Place onsets, by default all: beats since the start of the time signature, beats per bar there, and seconds per beat."""
    onsets, segments = tempo_map.onsets if onsets is None else onsets, np.array(tempo_map.segments())
    start, unit, bar = segments[np.searchsorted(segments[:, 0], onsets + 1e-6, side="right") - 1].T
    quarter = np.clip(np.searchsorted(tempo_map.tempo_quarters, onsets, side="right") - 1, 0, None)
    return (onsets - start) / unit, bar.astype(np.int64), unit * tempo_map.quarter_s[quarter]


def share_on_grid(tempo_map: TempoMap) -> float:
    """Measure the share of onsets in stretches whose onsets gather on the beat or its halves, thirds, quarters or sixths.

    Gathering is the length of the mean of exp(2 pi i k phase) for one of k = 1, 2, 3, 4, 6; its angle is the lag.
    """
    beats, _, beat_s = phases(tempo_map)
    _, stretch, notes = np.unique(beats // STRETCH_BEATS, return_inverse=True, return_counts=True)
    stretch_beat_s = np.bincount(stretch, beat_s) / notes
    least = np.maximum(LEAST_CONCENTRATION, 2 / np.sqrt(notes))  # a few notes gather by chance
    good = np.zeros(len(notes), bool)
    for k in (1, 2, 3, 4, 6):
        wave = np.exp(2j * np.pi * k * beats)
        mean = (np.bincount(stretch, wave.real) + 1j * np.bincount(stretch, wave.imag)) / notes
        good |= (np.abs(mean) >= least) & (np.abs(np.angle(mean)) / (2 * np.pi * k) * stretch_beat_s <= LARGEST_LAG_S)
    return float(notes[good].sum() / notes.sum())


def beat_weight(tempo_map: TempoMap) -> float:
    """Compare the notes on the beat with those at the fullest other twelfth of it; 1 means as many."""
    beats, _, _ = phases(tempo_map)
    counts = np.bincount(np.floor(beats * 12 + 0.5).astype(np.int64) % 12, minlength=12)
    return float(counts[0] / max(1, counts[1:].max()))


def onset_envelope(mix: Samples | Stored, rate_hz: int) -> npt.NDArray[np.float32]:
    """Measure how fast the spectrum of the mean of the channels rises, 100 frames/s: log-magnitude flux over all frequencies."""
    from scipy.fft import rfft  # twice as fast as numpy's on many short windows

    hop, size = rate_hz // ENVELOPE_HZ, 1 << (rate_hz // 25).bit_length() - 1
    count = len(mix) // hop + 1
    window = np.hanning(size).astype(np.float32)
    flux = np.zeros(count, np.float32)
    before = None
    for start in range(0, count, 1000):  # bounded memory
        heard = mono(mix, start * hop - size // 2, (min(start + 1000, count) - 1) * hop + size // 2)
        frames = np.lib.stride_tricks.sliding_window_view(heard, size)[::hop]
        levels = np.log1p(1000 * np.abs(rfft(frames * window)) / size)
        joined = levels if before is None else np.concatenate([before, levels])
        rise = np.maximum(np.diff(joined, axis=0), 0).sum(axis=1)
        flux[start + len(levels) - len(rise) : start + len(levels)] = rise
        before = levels[-1:]
    return flux


def pulses(onsets_s: npt.NDArray[np.float64], frames: int) -> npt.NDArray[np.float64]:
    """Lay out notes as `onset_envelope` lays out the audio: the root of their number in each frame."""
    at = np.rint(onsets_s * ENVELOPE_HZ).astype(np.int64)
    return np.sqrt(np.bincount(at[(at >= 0) & (at < frames)], minlength=frames).astype(np.float64))


def share_in_audio(onsets_s: npt.NDArray[np.float64], envelope: npt.NDArray[np.float32]) -> float:
    """Measure the share of notes, in blocks of 20 s, that fall together with onsets of the audio (`onset_envelope`).

    Where they do, the correlation of notes and onset envelope has its height at no lag, among lags up to 0.2 s. Lags of
    whole beats can be higher still (a backbeat), so a grid that is off by whole beats is not found out.
    """
    struck = pulses(onsets_s, len(envelope))
    near = int(LARGEST_LAG_S * ENVELOPE_HZ)
    agreeing = heard = 0.0
    for start in range(0, len(envelope), BLOCK_S * ENVELOPE_HZ):
        notes = struck[start : start + BLOCK_S * ENVELOPE_HZ]
        sound = envelope[start : start + BLOCK_S * ENVELOPE_HZ]
        if (notes > 0).sum() < FEWEST_NOTES or len(sound) < ENVELOPE_HZ * 2:
            continue
        heard += notes.sum()
        heights = _heights(notes, sound)
        if heights is not None:
            here, around = (
                heights[REACH_FRAMES - side : REACH_FRAMES + side + 1].max()
                for side in (near, int(NEIGHBOUR_LAG_S * ENVELOPE_HZ))
            )
            agreeing += notes.sum() * (here >= LEAST_PEAK * heights.max() and here >= around)
    return float(agreeing / heard) if heard else 0.0


def _heights(notes: npt.NDArray[np.float64], sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float64] | None:
    """Correlate notes and onset envelope at lags up to 0.2 s, the middle one none; None where they have nothing in common."""
    sound = sound.astype(np.float64)
    heights = np.correlate(np.pad(sound - sound.mean(), REACH_FRAMES), notes - notes.mean(), "valid")
    return heights if heights.max() > LEAST_CORRELATION * len(sound) * sound.std() * notes.std() else None


def drift_s(onsets_s: npt.NDArray[np.float64], envelope: npt.NDArray[np.float32]) -> float:
    """Find by how much the audio falls behind its notes from start to end, by the lags of parts of 6 s; 0 where too few tell.

    Steady notes fit at several lags: that nearest to the part before is taken. The slope is the median of those of all pairs
    of parts (Theil and Sen), so that a part that errs moves it little.
    """
    from scipy.signal import find_peaks
    from scipy.stats import theilslopes

    struck = pulses(onsets_s, len(envelope))
    places, lags = list[float](), list[int]()
    for part in np.array_split(np.arange(len(envelope)), max(1, len(envelope) // (PART_S * ENVELOPE_HZ))):
        if (struck[part] > 0).sum() < FEWEST_NOTES // 2:
            continue
        heights = _heights(struck[part], envelope[part])
        if heights is not None:
            peaks = find_peaks(np.pad(heights, 1), height=LEAST_HEIGHT * heights.max())[0] - 1 - REACH_FRAMES
            places.append(float(part.mean()))
            lags.append(min(peaks, key=lambda lag: abs(lag - (lags[-1] if lags else 0))))
    if len(lags) < FEWEST_PARTS:
        return 0.0
    return float(theilslopes(lags, places).slope) * len(envelope) / ENVELOPE_HZ


def agreement(frames: npt.NDArray[np.int64], envelope: npt.NDArray[np.float64]) -> float:
    """Measure the share of beats that meet an onset and keep time.

    An onset: the envelope within 20 ms is among the upper 30 % of what any moment of the track has within 20 ms; beats
    tracked in noise meet few of them. Time: the interval before the beat is within 10 % of the median of its neighbours.
    """
    near = np.lib.stride_tricks.sliding_window_view(np.pad(envelope, 2, mode="edge"), 5).max(axis=1)
    meets = near[frames] > np.percentile(near, 70)
    intervals = np.diff(frames, prepend=2 * frames[0] - frames[1]).astype(np.float64)
    neighbours = np.lib.stride_tricks.sliding_window_view(np.pad(intervals, 4, mode="reflect"), 9)
    return float((meets & (np.abs(intervals / np.median(neighbours, axis=1) - 1) <= 0.1)).mean())
