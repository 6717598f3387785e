"""Turn a song of the plan into General MIDI: MMA's accompaniment and our melody."""

import os
import subprocess
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import mido
import numpy as np

from instructme.dataset_tools.corpus import lead, midi_score
from instructme.dataset_tools.corpus.charts import QUALITIES, Chart, ChartChord
from instructme.dataset_tools.corpus.songs import Song
from instructme.manifests.rows import DataError

_DOWN_AN_OCTAVE = (26, 27, 28, 57, 66)
"""Programs that sound better an octave below the written melody: jazz and clean guitars, trombone, tenor sax."""


_LEAD_LUFS, _DRUMS_LUFS, _BASS_LUFS, _OTHER_LUFS = -20.0, -20.0, -22.0, -25.0
_SPREAD_DB = 1.5


def score(song: Song) -> tuple[midi_score.Score, dict[int, float]]:
    """Write a song: one stem per General MIDI program, in a constant tempo from the first beat at time 0.

    Returns:
        The score, and how loud each program is to be in LUFS: MMA's own volumes leave drums inaudible in some grooves.

    Raises:
        DataError: MMA refuses the groove or a chord.
    """
    accompaniment = midi_score.split(_mma(song))
    meter = mido.MetaMessage("time_signature", numerator=song.chart.beats_per_bar, denominator=4)
    conductor = [(0, meter), (0, mido.MetaMessage("set_tempo", tempo=song.microseconds_per_beat))]
    stems = dict(accompaniment.stems)
    program = next((program for program in song.groove.leads if program not in stems), song.groove.leads[0])
    stems[program] = _lead(song, program, accompaniment)
    rng = np.random.default_rng(song.seed)
    levels = {other: _level_lufs(other, program) + float(rng.normal(0, _SPREAD_DB)) for other in sorted(stems)}
    return midi_score.Score(accompaniment.ticks_per_beat, conductor, dict(sorted(stems.items())), program), levels


def levels(programs: Iterable[int]) -> dict[int, float]:
    """Say how loud each program of a song without a known lead is to be, in LUFS."""
    return {program: _level_lufs(program, -1) for program in programs}


def _level_lufs(program: int, lead_program: int) -> float:
    if program in (lead_program, midi_score.DRUMS):
        return _LEAD_LUFS if program == lead_program else _DRUMS_LUFS
    return _BASS_LUFS if program in midi_score.BASSES else _OTHER_LUFS


def _mma(song: Song) -> mido.MidiFile:
    lines = [f"RndSeed {np.random.SeedSequence(song.seed).generate_state(1)[0]}"]
    lines += [f"Time {song.chart.beats_per_bar}", f"Tempo {song.chart.tempo_bpm}", f"Groove {song.groove.name}"]
    chords = song.chart.beats(song.bars)
    for bar in range(song.bars):
        beats = chords[bar * song.chart.beats_per_bar : (bar + 1) * song.chart.beats_per_bar]
        symbols = ["/" if beat and chord == beats[beat - 1] else _symbol(song.chart, chord) for beat, chord in enumerate(beats)]
        lines.append(f"{bar + 1} {' '.join(symbols)}")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "song.mma", Path(folder) / "song.mid"
        source.write_text("\n".join(lines) + "\n", encoding="ascii")
        # MMA draws chance from Python's generator, and may walk over sets.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        command = ["mma", "-w", "-m", "9999", "-f", str(target), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode or not target.exists():
            message = " ".join(done.stdout.split("Error:")[-1].split())
            raise DataError(f"MMA can't play groove {song.groove.name} for {song.chart.name}: {message}: check its libraries")
        return midi_score.read(target)


def _symbol(chart: Chart, chord: ChartChord) -> str:
    return chart.spell(chord.root) + QUALITIES[chord.quality].mma


def _lead(song: Song, program: int, accompaniment: midi_score.Score) -> list[midi_score.Event]:
    rng = np.random.default_rng([zlib.crc32(song.chart.name.encode()), song.take, song.seed[0]])
    notes = lead.melody(song.chart, song.bars, rng)
    notes = lead.swung(notes) if song.groove.swings else notes
    taken = {message.channel for events in accompaniment.stems.values() for _, message in events}
    channel = next(channel for channel in range(16) if channel not in taken and channel != midi_score.DRUM_CHANNEL)
    octave = -12 if program in _DOWN_AN_OCTAVE else 0
    events: list[midi_score.Event] = [(0, mido.Message("program_change", channel=channel, program=program))]
    for note in notes:
        start = round(note.onset * accompaniment.ticks_per_beat)
        # A breath before the next note keeps repeated notes apart.
        end = round((note.onset + note.duration * 0.94) * accompaniment.ticks_per_beat)
        pitch = note.pitch + octave
        events.append((start, mido.Message("note_on", channel=channel, note=pitch, velocity=note.velocity)))
        events.append((end, mido.Message("note_off", channel=channel, note=pitch)))
    return sorted(events, key=lambda event: (event[0], event[1].type != "note_off"))
