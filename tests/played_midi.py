"""MIDI files of steady notes, by feel and by chords."""

from pathlib import Path

import numpy as np
import pretty_midi

RATE_HZ = 24000
FEELS = {
    "straight": (0, 0.5),
    "sixteenths": (0, 0.25, 0.5, 0.75),
    "triplets": (0, 1 / 3, 2 / 3),
    "swing": (0, 2 / 3),
}


def write_midi(
    path: Path,
    onsets_s: np.ndarray,
    bpm: float = 100.0,
    signatures: tuple[tuple[int, int, float], ...] = ((4, 4, 0.0),),
    pitches: tuple[int, ...] = (60,),
    drums: bool = False,
) -> Path:
    """Write notes of 100 ms at one tempo; pretty_midi adds 4/4 unless a signature is given, so none is removed again."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=bpm, resolution=960)
    midi.time_signature_changes = [pretty_midi.TimeSignature(*each) for each in signatures]
    piano = pretty_midi.Instrument(0, is_drum=drums)
    piano.notes = [pretty_midi.Note(90, pitches[i % len(pitches)], t, t + 0.1) for i, t in enumerate(onsets_s)]
    midi.instruments = [piano]
    midi.write(str(path))
    if not signatures:
        strip_signatures(path)
    return path


def chords(onsets_s: np.ndarray, bpm: float = 100.0, bar: int = 4, first: int = 0) -> tuple[int, ...]:
    """Give each onset the pitch of its bar: another one in each; the first bar begins on beat `first`."""
    bars = np.floor((onsets_s * bpm / 60 - first + 1e-3) / bar).astype(int)
    return tuple((60, 65, 67, 62)[number % 4] for number in bars)


def strip_signatures(path: Path) -> None:
    import mido

    midi = mido.MidiFile(path)
    for track in midi.tracks:
        track[:] = [message for message in track if message.type != "time_signature"]
    midi.save(path)


def feel(name: str, beats: int = 64, bpm: float = 100.0, jitter_s: float = 0.0, seed: int = 0) -> np.ndarray:
    onsets = np.concatenate([np.arange(beats) + phase for phase in FEELS[name]])
    noise = np.random.default_rng(seed).normal(0, jitter_s, len(onsets)) if jitter_s else 0.0
    return np.sort(np.maximum(onsets * 60 / bpm + noise, 0))
