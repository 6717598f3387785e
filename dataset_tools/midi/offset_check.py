"""Find by how much the audio lies after its MIDI: whole beats from pitches, milliseconds from onsets.

Rhythms repeat from beat to beat, so onsets alone can't tell a grid from one that is a beat off. Melodies and chords repeat less.
The notes are laid out as levels and as attacks of semitones, and compared with those of the audio at all lags up to two seconds.
Near the best of these, the notes of each part are compared with the onsets of that part alone: its rests break the period.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.midi.grid_check import ENVELOPE_HZ, pulses
from instructme.dataset_tools.midi.tempo_map import DRUMS, TempoMap

Floats = npt.NDArray[np.float64]
Envelope = npt.NDArray[np.float32]
PartNotes = tuple[Floats, Envelope]
"""Onsets in seconds of some notes, and `grid_check.onset_envelope` of what plays them."""
FRAMES_HZ = 50
PITCHES = np.arange(48, 97)
"""MIDI pitches that the spectrum tells apart; lower notes are looked for in the octave above them."""
LONGEST_LAG_S = 2.0
NEAR_S = 0.1
"""Lags within it count as the same place for pitches: the spectra are 0.17 s long, and notes swell."""
PEAK_S = 0.04
"""Half of the width of a peak of onsets."""
ONSET_DELAY_S = 0.008
"""By how much the onset envelope is late: 4 to 10 ms on songs whose MIDI is right."""
DECAY_S = 0.7
FEWEST_NOTES = 16
LEAST_LIKENESS = 0.2
"""Of levels at the best lag; songs of the standard corpus reach 0.33 or more."""
LARGEST_SECOND = 0.9
"""Height of the best lag elsewhere, against the best one; songs of the standard corpus reach 0.78 at most."""
LARGEST_SECOND_ONSET = 0.85
"""The same for onsets. Near the lag of the pitches, parts of right songs reach 0.3, their mix 1.0."""
LEAST_ONSETS = 0.75
"""Correlation of onsets at the lag, against the best one at any lag; right songs reach 0.94, by their mix 0.79."""


@dataclass(frozen=True)
class Offset:
    """Lag of the audio behind the MIDI to some 5 ms, 0 where nothing tells it, and whether it is beyond doubt."""

    lag_s: float
    sure: bool


def find(tempo_map: TempoMap, mix: Samples, rate_hz: int, heard: Sequence[PartNotes]) -> Offset:
    """Find the offset of a MIDI file to its audio `(T,)`, whose parts, or the mix itself, are in `heard`.

    Without pitched notes the lag is sure only where the onsets leave no second choice.
    """
    curve = np.mean([_onsets(*each) for each in heard if len(each[0]) >= FEWEST_NOTES] or [np.zeros(1)], axis=0)
    lags_s = (np.arange(len(curve)) - len(curve) // 2) / ENVELOPE_HZ - ONSET_DELAY_S
    pitched = _pitched(tempo_map, mix, rate_hz)
    if not curve.any() or (pitched and not pitched.sure):
        return Offset(0.0, False)
    possible = np.abs(lags_s - pitched.lag_s) <= NEAR_S if pitched else np.ones(len(lags_s), bool)
    best = int(np.where(possible, curve, -1.0).argmax())
    elsewhere = possible & (np.abs(lags_s - lags_s[best]) > PEAK_S)
    second = curve[elsewhere].max(initial=0.0)
    sure = second <= LARGEST_SECOND_ONSET * curve[best] and curve[best] >= LEAST_ONSETS * curve.max()
    return Offset(float(lags_s[best]) + _between(curve, best) / ENVELOPE_HZ if sure or pitched else 0.0, bool(sure))


def _between(curve: Floats, best: int) -> float:
    """Lay a parabola through a peak and its neighbours: where its top is, in frames from the peak."""
    if not 0 < best < len(curve) - 1:
        return 0.0
    before, top, after = curve[best - 1 : best + 2]
    return float(np.clip((before - after) / 2 / min(before - 2 * top + after, -1e-9), -0.5, 0.5))


def _onsets(onsets_s: Floats, envelope: Envelope) -> Floats:
    """Correlate notes and onsets at lags up to `LONGEST_LAG_S`, the middle one none; 1 means equal."""
    struck = pulses(onsets_s, len(envelope))
    return _correlate(envelope[:, None].astype(np.float64), struck[:, None], ENVELOPE_HZ)


def _pitched(tempo_map: TempoMap, mix: Samples, rate_hz: int) -> Offset | None:
    """Find the lag that the pitches of the notes tell; None without pitched notes."""
    notes = [voice.notes for voice in tempo_map.voices if voice.program != DRUMS]
    if sum(map(len, notes)) < FEWEST_NOTES:
        return None
    heard = semitone_levels(mix, rate_hz)
    played, struck = _rolls(tempo_map, np.concatenate(notes), len(heard))
    rise = np.maximum(np.diff(heard, axis=0, prepend=heard[:1]), 0)
    levels, attacks = _correlate(heard, played, FRAMES_HZ), _correlate(rise, struck, FRAMES_HZ)
    both = levels / max(levels.max(), 1e-9) + attacks / max(attacks.max(), 1e-9)
    lags_s = (np.arange(len(both)) - len(both) // 2) / FRAMES_HZ
    best = int(both.argmax())
    elsewhere = np.abs(lags_s - lags_s[best]) > NEAR_S
    second = both[elsewhere].max() / both[best] if elsewhere.any() and both[best] > 0 else 1.0
    return Offset(float(lags_s[best]), bool(levels[best] >= LEAST_LIKENESS and second <= LARGEST_SECOND))


def semitone_levels(mix: Samples, rate_hz: int) -> Floats:
    """Measure the level of each semitone against the others, (frames, semitones), whatever the level of the mix."""
    from scipy.fft import rfft

    hop, size = rate_hz // FRAMES_HZ, 1 << (rate_hz // 6).bit_length()
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(mix, (size // 2, size // 2)), size)[::hop]
    window = np.hanning(size).astype(np.float32)
    bins = np.rint(440 * 2 ** ((PITCHES - 69) / 12) * size / rate_hz).astype(np.int64)
    magnitudes = np.concatenate([np.abs(rfft(frames[at : at + 500] * window))[:, bins] for at in range(0, len(frames), 500)])
    usual = float(np.percentile(magnitudes, 90))
    levels = np.log1p(10 * magnitudes / usual) if usual > 0 else np.zeros_like(magnitudes)
    return np.asarray(levels - levels.mean(axis=1, keepdims=True), np.float64)


def _rolls(tempo_map: TempoMap, notes: Floats, count: int) -> tuple[Floats, Floats]:
    """Lay out notes as levels that decay and as attacks: (frames, semitones) each."""
    played, struck = np.zeros((2, count, len(PITCHES)))
    on, off = (np.rint(tempo_map.seconds(notes[:, side]) * FRAMES_HZ).astype(np.int64) for side in (0, 1))
    pitch = notes[:, 2].astype(np.int64)
    places = np.where(pitch < PITCHES[0], pitch % 12, pitch - PITCHES[0])  # the lowest of PITCHES is a C
    fade = np.exp(-np.arange(count) / FRAMES_HZ / DECAY_S)
    for start, end, place in zip(on, np.maximum(off, on + 1), places, strict=True):
        if start < count and place < len(PITCHES):
            cell = played[start:end, place]
            np.maximum(cell, fade[: len(cell)], out=cell)
            struck[start, place] = 1.0
    return played, struck


def _correlate(audio: Floats, midi: Floats, frames_hz: int) -> Floats:
    """Correlate two layouts `(frames, bands)` at lags up to `LONGEST_LAG_S`, the middle one none; 1 means equal."""
    audio, midi = audio - audio.mean(axis=0), midi - midi.mean(axis=0)
    size, longest = 2 * len(audio), round(LONGEST_LAG_S * frames_hz)
    spectrum = (np.fft.rfft(audio, size, axis=0) * np.fft.rfft(midi, size, axis=0).conj()).sum(axis=1)
    scale = max(1e-9, float(np.linalg.norm(audio) * np.linalg.norm(midi)))
    lags = np.arange(-longest, longest + 1)
    return np.where(np.abs(lags) < len(audio), np.fft.irfft(spectrum, size)[lags % size], 0.0) / scale
