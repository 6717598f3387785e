"""Where bars begin, by the bass and the chords of MIDI."""

from pathlib import Path

import numpy as np
import pytest
from played_midi import RATE_HZ, chords, feel, write_midi

from instructme.dataset_tools.beats import rhythm
from instructme.dataset_tools.midi import bar_check, tempo_map


def test_without_time_signature_nothing_is_known_of_bars(tmp_path):
    path = write_midi(tmp_path / "a.mid", feel("straight"), signatures=())
    grid = rhythm.from_midi([path], None, RATE_HZ)
    assert (grid.source, grid.trusted, grid.downbeat_known, grid.meter) == ("midi", False, False, None)
    assert grid.reason == "no time signature"
    assert not grid.beat_positions.any()


def test_bar_lines_that_the_bass_avoids_are_not_trusted(tmp_path):
    piano = write_midi(tmp_path / "a.mid", feel("straight", bpm=120), 120.0)
    bass = write_midi(tmp_path / "b.mid", (np.arange(16) * 4 + 1) * 0.5, 120.0, pitches=(40,))
    grid = rhythm.from_midi([piano, bass], None, RATE_HZ)
    assert (grid.source, grid.trusted, grid.downbeat_known, grid.reason) == (
        "midi",
        False,
        False,
        rhythm.NO_BARS,
    )
    bass = write_midi(tmp_path / "b.mid", (np.arange(16) * 4) * 0.5, 120.0, pitches=(40,))
    assert rhythm.from_midi([piano, bass], None, RATE_HZ).trusted


@pytest.mark.parametrize(("bar", "first", "trusted"), [(4, 0, True), (4, 1, False), (4, 2, False), (3, 0, False)])
def test_bars_are_trusted_only_where_chords_agree(tmp_path, bar, first, trusted):
    """A 4/4 grid over music with a pickup of one or two beats, and over a waltz; the bass is steady."""
    onsets = feel("straight", beats=96)
    piano = write_midi(tmp_path / "a.mid", onsets, pitches=chords(onsets, bar=bar, first=first))
    bass = write_midi(tmp_path / "b.mid", np.arange(96) * 0.6, pitches=(40,))
    grid = rhythm.from_midi([piano, bass], None, RATE_HZ)
    assert (grid.source, grid.meter) == ("midi", "4/4" if trusted else None)
    assert grid.trusted == grid.downbeat_known == trusted
    assert grid.reason == (None if trusted else rhythm.NO_BARS)


def half_a_beat_off(folder: Path, on_half: int, on_beats: int, bass: float | None = None, kicks: float | None = None) -> bool:
    """Ask of chords that change on so many half-beats and beats, with a bass and kicks at one phase of 32 beats each."""
    halves = np.arange(8 * (on_half + on_beats) + 8)
    changing = [8 * (number + 1) + (number < on_half) for number in range(on_half + on_beats)]
    bars = np.searchsorted(changing, halves, side="right")
    pitches = tuple((60, 65, 67, 62)[number % 4] for number in bars)
    files = [write_midi(folder / "a.mid", halves * 0.3, pitches=pitches)]
    if bass is not None:
        files.append(write_midi(folder / "b.mid", (np.arange(32) + bass) * 0.6, pitches=(40,)))
    if kicks is not None:
        files.append(write_midi(folder / "c.mid", (np.arange(32) + kicks) * 0.6, pitches=(36,), drums=True))
    return bar_check.is_between(tempo_map.read(files))


def test_chords_alone_tell_that_music_is_half_a_beat_off_where_most_change_there(tmp_path):
    assert half_a_beat_off(tmp_path, 16, 0)
    assert half_a_beat_off(tmp_path, 18, 6)
    assert not half_a_beat_off(tmp_path, 12, 6), "two to one is too little alone"
    assert not half_a_beat_off(tmp_path, 0, 16)
    assert not half_a_beat_off(tmp_path, 5, 0), "too few changes"


@pytest.mark.parametrize(("bass", "off"), [(0.5, True), (0.0, False), (0.25, False)])
def test_fewer_chords_tell_it_with_a_bass_that_agrees(tmp_path, bass, off):
    assert half_a_beat_off(tmp_path, 12, 6, bass) == off
    assert not half_a_beat_off(tmp_path, 6, 12, bass)


@pytest.mark.parametrize(("kicks", "off"), [(0.5, True), (0.0, False)])
def test_a_bass_that_the_kicks_contradict_tells_nothing(tmp_path, kicks, off):
    assert half_a_beat_off(tmp_path, 12, 6, bass=0.5, kicks=kicks) == off


def test_a_waltz_under_its_own_signature_is_trusted(tmp_path):
    """Its bass plays the first beat, and two chords follow."""
    beats_s = np.arange(96) * 0.6
    chord = write_midi(tmp_path / "a.mid", beats_s[np.arange(96) % 3 > 0], signatures=((3, 4, 0.0),))
    bass = write_midi(tmp_path / "b.mid", beats_s[::3], signatures=((3, 4, 0.0),), pitches=(36, 41, 43))
    grid = rhythm.from_midi([chord, bass], None, RATE_HZ)
    assert (grid.trusted, grid.meter) == (True, "3/4")


def test_where_nothing_tells_the_bars_they_are_unknown(tmp_path):
    path = write_midi(tmp_path / "a.mid", feel("sixteenths"))
    assert rhythm.from_midi([path], None, RATE_HZ).reason == rhythm.NO_BARS
