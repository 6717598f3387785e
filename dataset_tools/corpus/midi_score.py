"""Split General MIDI into one file per instrument, and write such files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np

from instructme.dataset_tools.midi.tempo_map import DRUM_CHANNEL as DRUM_CHANNEL
from instructme.dataset_tools.midi.tempo_map import DRUMS as DRUMS
from instructme.dataset_tools.midi.tempo_map import timed
from instructme.manifests.rows import DataError

BASSES = range(32, 40)
_BANKS = (0, 32)
_CONDUCTOR = ("set_tempo", "time_signature", "key_signature")
Event = tuple[int, mido.Message]
"""Absolute time in ticks, and the message."""


@dataclass(frozen=True)
class Score:
    """A piece of music: ticks per quarter note, tempo and meter events, the events of each program, and which one leads."""

    ticks_per_beat: int
    conductor: list[Event]
    stems: dict[int, list[Event]]
    lead_program: int | None = None


def read(path: Path) -> mido.MidiFile:
    """Parse a MIDI file; data bytes above 127 are clipped.

    Raises:
        DataError: not MIDI, damaged, or with independent tracks (type 2) or SMPTE time.
    """
    try:
        file = mido.MidiFile(path, clip=True)
    except (OSError, EOFError, ValueError, LookupError, mido.KeySignatureError) as error:
        raise DataError(f"can't read MIDI: {path.name}: {error}") from None
    if file.type == 2 or not 0 < file.ticks_per_beat < 0x8000:
        raise DataError(f"can't use MIDI: {path.name}: its tracks have no common beat")
    return file


def split(file: mido.MidiFile) -> Score:
    """Sort the notes by the program that plays them, all of channel 10 together as DRUMS.

    A stem keeps all controllers and pitch bends of its channels. Banks are dropped: the label says which General MIDI
    program sounds. Drum kits may change.
    """
    conductor: list[Event] = []
    notes: dict[int, list[tuple[int, Event]]] = {}
    others: dict[int, list[tuple[int, Event]]] = {channel: [] for channel in range(16)}
    current = [0] * 16
    sounding: dict[tuple[int, int], int] = {}
    merged = sorted((event for track in file.tracks for event in timed(track)), key=lambda event: event[0])
    for order, (tick, message) in enumerate(merged):
        event = (order, (tick, message))
        if message.type in _CONDUCTOR:
            conductor.append((tick, message))
        elif message.is_meta or message.type == "sysex" or not hasattr(message, "channel"):
            continue
        elif message.type in ("note_on", "note_off"):
            channel, key = message.channel, (message.channel, message.note)
            if message.type == "note_on" and message.velocity:
                sounding[key] = DRUMS if channel == DRUM_CHANNEL else current[channel]
                notes.setdefault(sounding[key], []).append(event)
            elif key in sounding:
                notes[sounding[key]].append(event)
        elif message.type == "program_change" and message.channel != DRUM_CHANNEL:
            current[message.channel] = message.program
        elif not (message.type == "control_change" and message.control in _BANKS):
            others[message.channel].append(event)
    stems = {}
    for program, played in sorted(notes.items()):
        channels = sorted({message.channel for _, (_, message) in played})
        events = sorted(played + [event for channel in channels for event in others[channel]], key=lambda event: event[0])
        stems[program] = [*_voices(program, channels), *(event for _, event in events)]
    return Score(file.ticks_per_beat, conductor, stems)


def _voices(program: int, channels: Iterable[int]) -> list[Event]:
    if program == DRUMS:
        return []
    return [(0, mido.Message("program_change", channel=channel, program=program)) for channel in channels]


def seconds(score: Score, ticks: Sequence[int]) -> list[float]:
    """Convert ticks to seconds through the tempo map, 120 bpm before its first event."""
    changes = [(0, 500_000), *((tick, message.tempo) for tick, message in score.conductor if message.type == "set_tempo")]
    starts = np.array([tick for tick, _ in changes])
    rates = np.array([tempo for _, tempo in changes]) / (1e6 * score.ticks_per_beat)
    times = np.concatenate([[0.0], np.cumsum(np.diff(starts) * rates[:-1])])
    index = np.searchsorted(starts, ticks, side="right") - 1
    return list(times[index] + (np.asarray(ticks) - starts[index]) * rates[index])


def cut(score: Score, end_s: float) -> Score:
    """Drop what begins at or after a time, and end there the notes that still sound."""

    def shortened(events: list[Event]) -> list[Event]:
        times = seconds(score, [tick for tick, _ in events])
        kept = [event for event, time in zip(events, times, strict=True) if time < end_s]
        sounding: dict[tuple[int, int], int] = {}
        for _, message in kept:
            if message.type in ("note_on", "note_off"):
                started = message.type == "note_on" and message.velocity > 0
                key = (message.channel, message.note)
                sounding[key] = sounding.get(key, 0) + 1 if started else 0
        last = kept[-1][0] if kept else 0
        ends = [key for key, count in sounding.items() if count]
        return kept + [(last, mido.Message("note_off", channel=channel, note=note)) for channel, note in ends]

    stems = {program: shortened(events) for program, events in score.stems.items()}
    return Score(score.ticks_per_beat, shortened(score.conductor), stems)


def write(path: Path, score: Score, programs: Sequence[int]) -> None:
    """Write the conductor track and one track per program as a type 1 file."""
    file = mido.MidiFile(type=1, ticks_per_beat=score.ticks_per_beat)
    for events in (score.conductor, *(score.stems[program] for program in programs)):
        track = mido.MidiTrack()
        before = 0
        for tick, message in events:
            track.append(message.copy(time=tick - before))
            before = tick
        file.tracks.append(track)
    file.save(path)
