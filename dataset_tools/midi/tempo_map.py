"""Read tempo, metre and notes of MIDI files: one reader, so that beats and chords have the same clock.

Times are quarter notes, as in MIDI files; `seconds` converts. mido parses the files. Beats agree with pretty_midi's, save that
a 6/4 bar has six beats here. pretty_midi reads tempi from the first track only; here they count wherever they are.
"""

import io
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from instructme.manifests.rows import DataError

Floats = npt.NDArray[np.float64]
DRUMS = 128
"""Program of everything on the drum channel."""
DRUM_CHANNEL = 9
LOW_PITCH = 48
"""Notes below it, and kicks, count as bass."""
KICKS = (35, 36)
DENOMINATORS = (1, 2, 4, 8, 16, 32)
LONGEST_QUARTERS = 100_000
"""Some eight hours: a damaged file must not ask for all the memory."""
_KEY_SIGNATURE = re.compile(rb"\xff\x59\x02..", re.DOTALL)
"""mido refuses a file for a malformed key signature, which we don't use."""


@dataclass(frozen=True)
class Voice:
    """The notes that one program plays on one channel of one track."""

    program: int
    """General MIDI program, 128 for drums."""
    notes: Floats
    """(notes, 4): start and end in quarter notes, MIDI pitch, velocity."""


@dataclass(frozen=True)
class TempoMap:
    """Tempi, time signatures, and notes sorted by onset that the MIDI files of a track share."""

    tempo_quarters: Floats
    tempo_s: Floats
    quarter_s: Floats
    signatures: tuple[tuple[float, int, int], ...]
    onsets: Floats
    lengths: Floats
    bass: npt.NDArray[np.bool_]
    voices: tuple[Voice, ...] = ()

    def seconds(self, quarters: Floats) -> Floats:
        """Convert quarter notes to seconds."""
        index = np.clip(np.searchsorted(self.tempo_quarters, quarters, side="right") - 1, 0, None)
        return np.asarray(self.tempo_s[index] + (quarters - self.tempo_quarters[index]) * self.quarter_s[index])

    def segments(self) -> list[tuple[float, float, int]]:
        """List (start, quarters per beat, beats per bar) of each time signature; no signature known is 0 beats per bar.

        A compound metre (6/8, 9/8, 12/8) has dotted beats.
        """
        known = []
        for start, numerator, denominator in self.signatures:
            compound = numerator % 3 == 0 and numerator > 3 and denominator >= 8
            unit = 4 / denominator * (3 if compound else 1)
            known.append((start, unit, numerator // 3 if compound else numerator))
        return known if known and known[0][0] <= 0 else [(0.0, 1.0, 0), *known]

    def meter(self) -> str | None:
        """Name the time signature that holds for most notes, such as `4/4`; None if it is not stated, or is a bar of one."""
        starts = [-np.inf, *(start for start, _, _ in self.signatures)]
        index = np.searchsorted(starts, self.onsets + 1e-6, side="right") - 1
        most = int(np.bincount(index, minlength=1).argmax())
        return "{1}/{2}".format(*self.signatures[most - 1]) if most and self.signatures[most - 1][1] > 1 else None

    def beats(self) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Lay beats from the start to the end of the last note, less a quarter by which notes ring on.

        Returns:
            Seconds, and position in the bar from 1 (0 where no time signature is known).
        """
        segments, last = self.segments(), float((self.onsets + np.maximum(self.lengths - 0.25, 0)).max())
        quarters, positions = [], []
        for (start, unit, bar), (end, _, _) in zip(segments, [*segments[1:], (last + 1e-5, 0.0, 0)], strict=True):
            grid = np.arange(start, end - 1e-6, unit)
            grid = grid[grid <= last]
            quarters.append(grid)
            positions.append(np.arange(len(grid)) % bar + 1 if bar > 1 else np.zeros(len(grid), np.int64))
        return self.seconds(np.concatenate(quarters)), np.concatenate(positions).astype(np.int64)


def read(paths: Sequence[Path]) -> TempoMap:
    """Join the MIDI files of a track, which must share one tempo map.

    Raises:
        DataError: unreadable, without notes, or with tempo maps that differ by more than 5 ms.
    """
    maps = [read_file(path) for path in sorted(set(paths))]
    if not any(len(each.onsets) for each in maps):
        raise DataError("MIDI holds no notes")
    joined = _join(maps[0], [voice for each in maps for voice in each.voices])
    probe = np.linspace(0.0, joined.onsets[-1] + 1.0, 256)
    for other in maps[1:]:
        if other.signatures != maps[0].signatures or np.abs(other.seconds(probe) - maps[0].seconds(probe)).max() > 0.005:
            raise DataError("tempo maps of the MIDI files differ")
    return joined


def _join(clock: TempoMap, voices: Sequence[Voice]) -> TempoMap:
    """Give a clock the notes of some voices, by onset."""
    notes = np.concatenate([np.zeros((0, 4)), *(voice.notes for voice in voices)])
    low = [np.isin(each.notes[:, 2], KICKS) if each.program == DRUMS else each.notes[:, 2] < LOW_PITCH for each in voices]
    bass, order = np.concatenate([np.zeros(0, bool), *low]), np.argsort(notes[:, 0], kind="stable")
    on, off = notes[order, 0], notes[order, 1]
    return replace(clock, onsets=on, lengths=off - on, bass=bass[order], voices=tuple(voices))


def read_file(path: Path) -> TempoMap:
    """Read the tempo map and the notes of one file.

    Raises:
        DataError: unreadable, not MIDI, cut short, or hours long.
    """
    try:
        state = path.stat()
        return _read(path, state.st_mtime_ns, state.st_size)
    except OSError:
        raise DataError(f"can't read MIDI {path.name}") from None


@lru_cache(maxsize=32)
def _read(path: Path, mtime_ns: int, size: int) -> TempoMap:
    """Read a file once for beats and chords; a changed file is read again."""
    file = _parse(path)
    events = [(track, *event) for track, messages in enumerate(file.tracks) for event in timed(messages)]
    if max((tick for _, tick, _ in events), default=0) > LONGEST_QUARTERS * file.ticks_per_beat:
        raise DataError(f"MIDI {path.name} has no musical time")
    tempi = {0.0: 0.5}  # 120 bpm until a tempo is stated, as the MIDI standard says
    stated = {}
    for _, tick, message in events:
        if message.type == "set_tempo" and message.tempo > 0:
            tempi[tick / file.ticks_per_beat] = message.tempo / 1e6
        elif message.type == "time_signature":
            stated[tick / file.ticks_per_beat] = (message.numerator, message.denominator)
    quarters = np.array(sorted(tempi))
    quarter_s = np.array([tempi[quarter] for quarter in quarters])
    starts_s = np.concatenate([[0.0], np.cumsum(np.diff(quarters) * quarter_s[:-1])])
    signatures = tuple(
        (time, *sign) for time, sign in sorted(stated.items()) if sign[0] in range(1, 65) and sign[1] in DENOMINATORS
    )
    clock = TempoMap(quarters, starts_s, quarter_s, signatures, np.zeros(0), np.zeros(0), np.zeros(0, bool))
    return _join(clock, _voices(events, file.ticks_per_beat))


def _parse(path: Path) -> Any:
    import mido

    data = _KEY_SIGNATURE.sub(b"\xff\x59\x02\x00\x00", path.read_bytes())
    try:
        file = mido.MidiFile(file=io.BytesIO(data), clip=True)
    except (OSError, EOFError, ValueError, LookupError, struct.error):
        raise DataError(f"MIDI {path.name} is cut short or not MIDI") from None
    if file.type == 2 or not 0 < file.ticks_per_beat < 0x8000:
        raise DataError(f"MIDI {path.name} has no musical time")
    return file


def timed(messages: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """Give the messages of a track with their absolute ticks."""
    tick = 0
    for message in messages:
        tick += message.time
        yield tick, message


def _voices(events: Sequence[tuple[int, int, Any]], ticks_per_beat: int) -> list[Voice]:
    """Pair the beginnings and ends of notes. A key struck again ends its former note; notes without an end are left out."""
    programs: dict[tuple[int, int], int] = {}
    sounding: dict[tuple[int, int, int], list[tuple[int, int, int]]] = {}
    notes: dict[tuple[int, int, int], list[tuple[int, int, int, int]]] = {}
    for track, tick, message in events:
        if message.type == "program_change":
            programs[track, message.channel] = message.program
        elif message.type in ("note_on", "note_off"):
            channel, pitch = message.channel, message.note
            held = sounding.setdefault((track, channel, pitch), [])
            for start, velocity, program in [each for each in held if each[0] < tick]:
                notes.setdefault((program, channel, track), []).append((start, tick, pitch, velocity))
            held[:] = [each for each in held if each[0] == tick]
            if message.type == "note_on" and message.velocity:
                program = DRUMS if channel == DRUM_CHANNEL else programs.get((track, channel), 0)
                held.append((tick, message.velocity, program))
    scale = np.array([ticks_per_beat, ticks_per_beat, 1, 1])
    return [Voice(program, np.array(rows) / scale) for (program, _, _), rows in notes.items()]
