"""Audio that begins earlier or later than its MIDI: the offset is found and applied, or the MIDI is not trusted."""

from functools import cache
from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from instructme.dataset_tools import harmony
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.beats import rhythm
from instructme.dataset_tools.midi import grid_check, offset_check, tempo_map

RATE_HZ = 8000
BEAT_S = 0.5
BARS = 16
ROOTS = (48, 53, 55, 45)
"""One chord a bar."""
LAGS_MS = (-600, -500, -250, -125, -100, -50, 0, 50, 100, 125, 250, 500, 600)
Notes = list[tuple[float, float, int]]


@cache
def tunes(loop: bool = False) -> dict[str, Notes]:
    """Draw the notes of three parts on eighths, with rests; drums are a loop of a bar or never the same."""
    random = np.random.default_rng(5)
    bass, piano, drums = [], [], []
    for bar in range(BARS):
        root, start = ROOTS[bar % 4], 4 * bar * BEAT_S
        bass.append((start, start + BEAT_S, root - 12))
        for eighth in range(1, 8):
            at = start + eighth * BEAT_S / 2
            if random.uniform() < 0.3:
                bass.append((at, at + 0.2, root - 12 + int(random.choice([0, 7]))))
            if random.uniform() < 0.6:
                piano.append((at, at + 0.3, root + int(random.choice([12, 16, 19, 24]))))
        for beat in range(4):
            drums.append((start + beat * BEAT_S, start + beat * BEAT_S + 0.1, 36 if beat == 0 else 42))
        hits = (3, 5) if loop else np.flatnonzero(random.uniform(size=8) < 0.4)
        drums += [(start + int(hit) * BEAT_S / 2, start + int(hit) * BEAT_S / 2 + 0.1, 38) for hit in hits]
    return {"bass": bass, "piano": piano, "drums": drums}


def play(notes: Notes, noise: bool) -> Samples:
    """Play notes with four harmonics, or as bursts of noise."""
    wave = np.zeros(round(4 * BARS * BEAT_S * RATE_HZ) + RATE_HZ)
    time, random = np.arange(RATE_HZ) / RATE_HZ, np.random.default_rng(0)
    for on, off, pitch in notes:
        length, at = round((off - on) * RATE_HZ), round(on * RATE_HZ)
        hz = 440 * 2 ** ((pitch - 69) / 12)
        tone = sum(np.sin(2 * np.pi * n * hz * time[:length]) / n for n in range(1, 5) if n * hz < RATE_HZ / 2)
        sound = random.standard_normal(length) if noise else tone
        wave[at : at + length] += 0.1 * sound * np.exp(-time[:length] * (40 if noise else 4))
    return wave.astype(np.float32)


def write(path: Path, notes: Notes, drums: bool) -> Path:
    song = pretty_midi.PrettyMIDI(initial_tempo=60 / BEAT_S)
    song.time_signature_changes = [pretty_midi.TimeSignature(4, 4, 0)]
    part = pretty_midi.Instrument(0, is_drum=drums)
    part.notes = [pretty_midi.Note(90, pitch, on, off) for on, off, pitch in notes]
    song.instruments = [part]
    song.write(str(path))
    return path


def moved(samples: Samples, lag_ms: int) -> Samples:
    lag = lag_ms * RATE_HZ // 1000
    return np.pad(samples, (lag, 0)) if lag >= 0 else samples[-lag:]


@cache
def sound(names: tuple[str, ...], loop: bool) -> dict[str, Samples]:
    return {name: play(tunes(loop)[name], name == "drums") for name in names}


def grid(folder: Path, names: tuple[str, ...], lag_ms: int, *, own: bool = True, loop: bool = False) -> rhythm.Grid:
    files = [write(folder / f"{name}.mid", tunes(loop)[name], name == "drums") for name in names]
    heard = [moved(samples, lag_ms) for samples in sound(names, loop).values()]
    parts = [([file], grid_check.onset_envelope(samples, RATE_HZ)) for file, samples in zip(files, heard, strict=True)]
    return rhythm.from_midi(files, np.sum(heard, axis=0, dtype=np.float32), RATE_HZ, parts if own else ())


def error_s(found: rhythm.Grid, lag_ms: int) -> float:
    """Measure how far beats and their places in the bar lie from the truth, a bar being longer than any lag."""
    counted = np.arange(4 * BARS) * BEAT_S + lag_ms / 1000
    beats_s = found.beats_samples / RATE_HZ
    nearest = np.abs(beats_s[:, None] - counted).argmin(axis=1)
    assert (nearest % 4 + 1 == found.beat_positions).all()
    return float(np.abs(beats_s - counted[nearest]).max())


@pytest.mark.parametrize("lag_ms", LAGS_MS)
def test_an_offset_is_found_applied_and_told(tmp_path: Path, lag_ms: int) -> None:
    found = grid(tmp_path, ("bass", "piano", "drums"), lag_ms)
    assert (found.source, found.trusted) == ("midi", True)
    assert error_s(found, lag_ms) <= 0.015
    assert found.offset_s == pytest.approx(lag_ms / 1000, abs=0.015)
    assert (found.reason is None) == (lag_ms == 0)
    assert lag_ms == 0 or "the beats were moved by" in str(found.reason)


@pytest.mark.parametrize("lag_ms", LAGS_MS)
@pytest.mark.parametrize("names", [("bass", "piano", "drums"), ("drums",)])
def test_a_mix_or_drums_alone_are_trusted_right_or_not_at_all(tmp_path: Path, names: tuple[str, ...], lag_ms: int) -> None:
    found = grid(tmp_path, names, lag_ms, own=len(names) == 1)
    assert not found.trusted or error_s(found, lag_ms) <= 0.035


def test_drums_that_never_repeat_tell_the_offset_and_a_loop_does_not(tmp_path: Path) -> None:
    assert grid(tmp_path, ("drums",), 0).trusted
    looped = grid(tmp_path, ("drums",), 0, loop=True)
    assert (looped.source, looped.trusted) == ("midi", False)
    assert "whole beats off" in str(looped.reason)


def test_chords_move_with_the_beats(tmp_path: Path) -> None:
    found = grid(tmp_path, ("bass", "piano", "drums"), 250)
    stems = [(tmp_path / "bass.mid", 0), (tmp_path / "piano.mid", 0)]
    chords = harmony.from_midi(stems, 4 * BARS * RATE_HZ // 2, RATE_HZ, found)
    assert chords is not None
    bars = np.arange(1, BARS) * 4 * BEAT_S + 0.25
    changes = chords.starts_samples[1:] / RATE_HZ
    assert (np.abs(bars[:, None] - changes).min(axis=1) < 0.02).mean() > 0.8


def test_a_reprise_that_the_midi_lacks_does_not_doubt_its_place(tmp_path: Path) -> None:
    """The audio ends as it begins, which is no lag of a second."""
    onsets_s = np.sort(np.random.default_rng(3).uniform(0.05, 0.95, 20))
    midi = tempo_map.read([write(tmp_path / "a.mid", [(at, at + 0.02, 38) for at in onsets_s], True)])
    heard = grid_check.pulses(np.concatenate([onsets_s, onsets_s + 9]), 10 * grid_check.ENVELOPE_HZ).astype(np.float32)
    found = offset_check.find(midi, np.zeros(10 * RATE_HZ, np.float32), RATE_HZ, [(onsets_s, heard)])
    assert found.sure and abs(found.lag_s) < 0.02


def test_silence_has_no_levels() -> None:
    assert not offset_check.semitone_levels(np.zeros(RATE_HZ, np.float32), RATE_HZ).any()
