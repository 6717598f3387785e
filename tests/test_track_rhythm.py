"""Where the rhythm of a track comes from: its own beats, MIDI of single stems, or audio; and what is reported of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
from test_parts import make_stem, noise
from test_prepare import make_track

from instructme.dataset_tools import harmony, track_rhythm
from instructme.dataset_tools.beats import rhythm
from instructme.dataset_tools.track_rhythm import RhythmFinder
from instructme.manifests.rows import DataError, Stem

RATE_HZ = 100
OWN = {"beats_path": "a.beats"}


@pytest.fixture
def finder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RhythmFinder]:
    """Make finders of tracks of zeros, whose grids say where they are from."""

    def find(files: list[Path], mix: object, rate_hz: int, mode: str, played: object) -> rhythm.Grid:
        return replace(rhythm.nothing(), source="none" if mode == "none" else "midi" if files else "audio")

    monkeypatch.setattr(rhythm, "from_annotation", lambda *_: replace(rhythm.nothing(), source="annotation"))
    monkeypatch.setattr(rhythm, "find", find)
    monkeypatch.setattr(harmony, "find", lambda chart, midi, *_: harmony.Harmony("midi" if midi else "none"))

    def make(seconds: float = 10, beats_from: str = "auto", stems: tuple[Stem, ...] = (), **fields: object) -> RhythmFinder:
        mix = np.zeros(round(seconds * RATE_HZ), np.float32)
        return RhythmFinder(make_track("a", **fields), stems, tmp_path, mix, RATE_HZ, beats_from, "auto")

    return make


@pytest.fixture
def stems(tmp_path: Path) -> Callable[..., tuple[Stem, ...]]:
    """Make stems with the MIDI files that are named; `bad.mid` is none."""
    for name in ("one.mid", "two.mid"):
        notes = pretty_midi.PrettyMIDI()
        notes.instruments.append(pretty_midi.Instrument(0))
        notes.instruments[0].notes.append(pretty_midi.Note(90, 60, 0.0, 1.0))
        notes.write(str(tmp_path / name))
    (tmp_path / "bad.mid").write_bytes(b"no MIDI")

    def make(*files: str) -> tuple[Stem, ...]:
        made = [make_stem(tmp_path, f"stem{number}", "piano", noise(1, seed=number)) for number in range(len(files))]
        return tuple(replace(stem, midi_path=file) for stem, file in zip(made, files, strict=True))

    return make


def told(found: RhythmFinder) -> list[tuple[str, str]]:
    found.row([])
    return [(reject.item, reject.reason) for reject in found.rejects]


@pytest.mark.parametrize(
    ("beats_from", "fields", "source"),
    [
        ("auto", OWN, "annotation"),
        ("auto", {}, "audio"),
        ("auto", {**OWN, "aligned": False}, "none"),
        ("audio", OWN, "audio"),
        ("midi", OWN, "audio"),
        ("none", OWN, "none"),
    ],
)
def test_own_beats_count_in_aligned_tracks_unless_others_are_asked_for(finder, beats_from, fields, source) -> None:
    assert finder(beats_from=beats_from, **fields).row([]).source == source


def test_own_beats_that_can_not_be_read_are_reported(finder, monkeypatch) -> None:
    def unreadable(*_: object) -> None:
        raise DataError("no beats")

    monkeypatch.setattr(rhythm, "from_annotation", unreadable)
    found = finder(**OWN)
    assert told(found) == [("a.beats", "bad_beats")] and found.row([]).source == "audio"


@pytest.mark.parametrize(
    ("seconds", "files", "minutes"), [(600, (), None), (601, (), "10"), (3000, (), "50"), (3000, ("one.mid",), None)]
)
def test_beats_and_chords_of_long_audio_are_reported_as_found_in_stretches(finder, stems, seconds, files, minutes) -> None:
    found = finder(seconds, stems=stems(*files))
    found.row([])
    wanted = f"{minutes} minutes long: beats and chords of audio are found in stretches of at most 10"
    assert [reject.detail for reject in found.rejects] == ([wanted] if minutes else [])


def test_midi_of_a_single_stem_is_its_own_and_a_shared_or_broken_file_is_not(stems, tmp_path) -> None:
    assert track_rhythm.own_midi(stems("one.mid", "two.mid"), tmp_path) == {
        "stem0": tmp_path / "one.mid",
        "stem1": tmp_path / "two.mid",
    }
    assert track_rhythm.own_midi(stems("one.mid", "one.mid", "bad.mid"), tmp_path) == {}


def test_a_broken_midi_file_beside_good_ones_is_reported(finder, stems) -> None:
    assert told(finder(stems=stems("one.mid", "bad.mid"))) == [("bad.mid", "midi_refused")]
