"""MIDI files written by hand, event by event."""

from pathlib import Path

import mido
import numpy as np
import pytest

from instructme.dataset_tools.midi import tempo_map
from instructme.manifests.rows import DataError


def write(path: Path, *messages: mido.Message | mido.MetaMessage, kind: int = 0) -> Path:
    file = mido.MidiFile(type=kind, ticks_per_beat=480)
    file.tracks.append(mido.MidiTrack(messages))
    file.save(path)
    return path


def note(pitch: int, channel: int = 0) -> tuple[mido.Message, mido.Message]:
    """Play a quarter note; the next one follows it at once."""
    return (
        mido.Message("note_on", note=pitch, velocity=80, channel=channel),
        mido.Message("note_off", note=pitch, channel=channel, time=480),
    )


def metre(numerator: int, denominator: int) -> mido.MetaMessage:
    return mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)


def test_low_notes_and_kicks_are_bass(tmp_path: Path) -> None:
    """A low tom has a low number and is none."""
    found = tempo_map.read_file(write(tmp_path / "a.mid", *note(47), *note(48)))
    assert found.bass.tolist() == [True, False]
    found = tempo_map.read_file(write(tmp_path / "b.mid", *(each for pitch in (35, 36, 41, 60) for each in note(pitch, 9))))
    assert found.bass.tolist() == [True, True, False, False]
    assert {voice.program for voice in found.voices} == {tempo_map.DRUMS}


def test_files_of_one_tempo_and_two_metres_are_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{beats}.mid", metre(beats, 4), *note(60)) for beats in (3, 4)]
    with pytest.raises(DataError, match="differ"):
        tempo_map.read(paths)
    assert tempo_map.read(paths[:1]).meter() == "3/4"


def test_tracks_of_several_songs_are_no_song(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no musical time"):
        tempo_map.read_file(write(tmp_path / "a.mid", *note(60), kind=2))


def test_a_file_without_events_has_no_notes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no notes"):
        tempo_map.read([write(tmp_path / "a.mid")])


def test_a_note_of_days_is_refused_and_one_of_hours_is_read(tmp_path: Path) -> None:
    def held(quarters: int) -> Path:
        ends = [mido.Message("note_off", note=60, time=480 * quarters)]
        return write(tmp_path / f"{quarters}.mid", mido.Message("note_on", note=60), *ends)

    assert tempo_map.read_file(held(100_000)).lengths.tolist() == [100_000]
    with pytest.raises(DataError, match="no musical time"):
        tempo_map.read_file(held(100_001))


def test_beats_of_two_metres_are_counted_from_where_each_begins(tmp_path: Path) -> None:
    """A bar of 4/4 at 120 bpm, then one of 6/8, whose two beats are dotted quarters."""
    first = [metre(4, 4), *(each for _ in range(4) for each in note(60))]
    found = tempo_map.read_file(write(tmp_path / "a.mid", *first, metre(6, 8), *(each for _ in range(4) for each in note(60))))
    beats_s, positions = found.beats()
    np.testing.assert_allclose(beats_s, [0, 0.5, 1, 1.5, 2, 2.75, 3.5])
    assert positions.tolist() == [1, 2, 3, 4, 1, 2, 1]
