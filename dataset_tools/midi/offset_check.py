"""Find by how much a MIDI file runs ahead of its audio, from the pitches of its notes.

Rhythms repeat from beat to beat, so onsets alone can't tell a grid from one that is a beat off. Melodies and chords repeat less.
The notes are laid out as levels and as attacks of semitones, and compared with those of the audio at all lags up to two seconds.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.midi.tempo_map import DRUMS, TempoMap

Floats = npt.NDArray[np.float64]
FRAMES_HZ = 50
PITCHES = np.arange(48, 97)
"""MIDI pitches that the spectrum tells apart; lower notes are looked for in the octave above them."""
LONGEST_LAG_S = 2.0
NEAR_S = 0.1
"""Lags within it count as the same place: the spectra are 0.17 s long, and notes swell."""
DECAY_S = 0.7
FEWEST_NOTES = 16
LEAST_LIKENESS = 0.2
"""Of levels at the best lag; songs of the standard corpus reach 0.33 or more."""
LARGEST_SECOND = 0.9
"""Height of the best lag elsewhere, against the best one; songs of the standard corpus reach 0.78 at most."""


@dataclass(frozen=True)
class Offset:
    """Lag of the audio behind the MIDI, and how sure it is: likeness of levels, and height of the next best lag elsewhere."""

    lag_s: float
    likeness: float
    second: float

    @property
    def sure(self) -> bool:
        """Tell whether the lag is beyond doubt."""
        return self.likeness >= LEAST_LIKENESS and self.second <= LARGEST_SECOND

    @property
    def zero(self) -> bool:
        """Tell whether the lag is none; `grid_check.share_in_audio` knows more of what is smaller than `NEAR_S`."""
        return abs(self.lag_s) <= NEAR_S


def find(tempo_map: TempoMap, mix: Samples, rate_hz: int) -> Offset:
    """Find the offset of a MIDI file to its audio `(T,)`; without pitched notes or sound nothing is sure."""
    notes = [voice.notes for voice in tempo_map.voices if voice.program != DRUMS]
    heard = _levels(mix, rate_hz)
    if sum(map(len, notes)) < FEWEST_NOTES or not heard.any():
        return Offset(0.0, 0.0, 1.0)
    played, struck = _rolls(tempo_map, np.concatenate(notes), len(heard))
    rise = np.maximum(np.diff(heard, axis=0, prepend=heard[:1]), 0)
    levels, attacks = _correlate(heard, played), _correlate(rise, struck)
    both = levels / max(levels.max(), 1e-9) + attacks / max(attacks.max(), 1e-9)
    lags_s = (np.arange(len(both)) - len(both) // 2) / FRAMES_HZ
    best = int(both.argmax())
    elsewhere = np.abs(lags_s - lags_s[best]) > NEAR_S
    second = both[elsewhere].max() / both[best] if elsewhere.any() else 1.0
    return Offset(float(lags_s[best]), float(levels[best]), float(second))


def _levels(mix: Samples, rate_hz: int) -> Floats:
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


def _correlate(audio: Floats, midi: Floats) -> Floats:
    """Correlate two layouts at lags up to `LONGEST_LAG_S`, the middle one none; 1 means equal."""
    audio, midi = audio - audio.mean(axis=0), midi - midi.mean(axis=0)
    size, reach = 2 * len(audio), min(int(LONGEST_LAG_S * FRAMES_HZ), len(audio) - 1)
    spectrum = (np.fft.rfft(audio, size, axis=0) * np.fft.rfft(midi, size, axis=0).conj()).sum(axis=1)
    scale = max(1e-9, float(np.linalg.norm(audio) * np.linalg.norm(midi)))
    return np.asarray(np.fft.irfft(spectrum, size)[np.arange(-reach, reach + 1)] / scale)
