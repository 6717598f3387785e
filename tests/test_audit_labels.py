"""Labels that lie are found: by plugin, by MIDI, by the sound itself, by what is known of the dataset."""

import made_songs
import numpy as np
import pretty_midi
import pytest
from audited import findings, item
from made_songs import SECONDS, Song, notes, parts, play, write_midi

from instructme.dataset_tools.audit import audit, midi_files
from instructme.dataset_tools.audit.report import Finding
from instructme.manifests import tables
from instructme.manifests.rows import Part


def found(work, title: str, *, audio: bool = False) -> Finding:
    (one,) = (each for each in findings(audit(work, audio=audio), "labels") if title in each.title)
    return one


def test_a_plugin_of_another_family_is_found(tmp_path):
    slakh = {"program": 0, "label": "Acoustic Grand Piano"}
    stems = {
        "piano": {**slakh, "plugin": "nylon_guitar.nkm"},
        "drums": {"program": 128, "label": "Drums", "plugin": "funk_kit.nkm"},
    }
    songs = [
        Song("a", "train", parts(1), stems=stems),
        Song("b", "test", parts(2), stems={"piano": {**slakh, "plugin": "grand_piano.nkm"}}),
    ]
    one = found(made_songs.write(tmp_path, songs, stage="scan"), "plugin")
    assert one.level == "warning" and one.title.startswith("1 stem ")
    assert dict(zip(one.table.columns, one.table.rows[0], strict=True))["by plugin"] == "acoustic guitar"
    assert "For 3 stems, both program and plugin" in one.detail


def test_plugins_that_say_nothing_are_no_evidence(tmp_path):
    stems = {"piano": {"program": 0, "label": "Acoustic Grand Piano", "plugin": "FluidR3_GM.sf2"}}
    one = found(made_songs.write(tmp_path, [Song("a", "train", parts(1), stems=stems)], stage="scan"), "plugin")
    assert one.level == "note" and "0 stems" in one.detail


def test_known_faults_and_bleed_are_listed(tmp_path):
    stems = {"piano": {"known_bad": "wrong pitch"}, "drums": {"bleed": True, "flagged_rendered": False}}
    songs = [
        Song("a", "test", parts(1), stems=stems),
        Song("b", "train", parts(2), {"bleed": True}),
        Song("c", "train", parts(3), {"bleed": False}),
    ]
    work = made_songs.write(tmp_path, songs, stage="scan")
    assert found(work, "known to be wrong").table.rows == (("a", "piano", "piano", "wrong pitch", "test"),)
    bleed = found(work, "Bleed")
    assert bleed.level == "warning" and bleed.title == "Bleed in 4 of 9 stems" and sum(row[3] for row in bleed.table.rows) == 4
    assert found(work, "that the dataset says do not exist").title.startswith("1 stem ")


def test_one_sound_under_two_names_is_found(tmp_path):
    twice = {**parts(1), "flute": parts(1)["piano"]}
    one = found(made_songs.write(tmp_path, [Song("a", "train", twice), Song("b", "test", parts(2))]), "two names")
    assert one.level == "error" and one.table.rows == (("a", "flute, piano"),)


def sounding(work, tune, heard) -> Song:
    """Make a song whose piano has the notes of `tune` and the sound of `heard`."""
    write_midi(work / "data/a.mid", tune)
    return Song(
        "a", "train", {"piano": play(heard), "drums": parts(1)["drums"]}, stems={"piano": {"midi_path": "a.mid", "program": 0}}
    )


def test_sound_that_follows_its_notes_is_fine(tmp_path):
    one = found(made_songs.write(tmp_path, [sounding(tmp_path, notes(1), notes(1))]), "agrees with its notes", audio=True)
    assert one.level == "fine" and "1 parts compared" in one.detail


def test_shares_of_notes_and_sound_are_told_in_percent(tmp_path):
    early = [note for note in notes(1) if note[1] < SECONDS / 4]
    songs = [sounding(tmp_path, notes(1), early), Song("b", "test", parts(2), stems={"piano": {"midi_path": "b.mid"}})]
    write_midi(tmp_path / "data/b.mid", notes(2))
    work = made_songs.write(tmp_path, songs)
    report = audit(work)
    (table,) = (line for line in item(report, "Notes against sound by instrument").rows)
    (case,) = next(each for each in findings(report, "labels") if "disagree" in each.title).table.rows
    _, _, notes_s, sound_s, of_notes, of_sound = case
    midi = midi_files.read(tmp_path / "data/a.mid")
    active = next(each.activity for each in tables.read_rows(work / "parts.parquet", Part) if each.instrument == "piano")
    on = midi_files.frames(midi.times_s, len(active))
    assert (notes_s, sound_s) == (pytest.approx(on.sum() / 10), pytest.approx(sum(active) / 10))
    assert of_notes == pytest.approx(100 * np.mean(np.array(active)[on]), abs=0.051) and of_sound == 100
    assert table[:2] == ("piano", 2) and table[3] == of_notes and table[4] == 100
    assert table[2] == pytest.approx((of_notes + 100) / 2, abs=3), "the median of a part that agrees and one that doesn't"
    assert all(round(value, 1) == value for value in table[2:]), "tenths of a percent are fine enough"


@pytest.mark.parametrize("which", ["notes without sound", "sound without notes"])
def test_sound_that_contradicts_its_notes_is_found(tmp_path, which):
    early = [note for note in notes(1) if note[1] < SECONDS / 4]
    late = [(on + wait, off + wait, pitch) for on, off, pitch in early for wait in (SECONDS / 2, SECONDS * 3 / 4)]
    tune, heard = (notes(1), early) if which == "notes without sound" else (early, [*early, *late])
    one = found(made_songs.write(tmp_path, [sounding(tmp_path, tune, heard)]), "disagree", audio=True)
    assert one.level == "warning" and one.table.rows[0][:2] == ("a", "piano")
    assert one.table.rows[0][4 if which == "notes without sound" else 5] < 50


def test_a_midi_file_of_another_program_is_found(tmp_path):
    song = sounding(tmp_path, notes(1), notes(1))
    write_midi(tmp_path / "data/a.mid", notes(1), program=73)
    one = found(made_songs.write(tmp_path, [song], stage="scan"), "states another instrument", audio=True)
    assert one.table.rows == (("a", "piano", "piano", "piano", "flute"),)


def test_midi_that_cannot_be_read_is_counted(tmp_path):
    songs = [sounding(tmp_path, notes(1), notes(1)), Song("b", "test", parts(2), stems={"piano": {"midi_path": "b.mid"}})]
    (tmp_path / "data/b.mid").write_bytes(b"MThd")
    assert "1 MIDI files can't be read" in found(made_songs.write(tmp_path, songs), "agrees with", audio=True).detail


def test_frames_of_notes_are_those_of_pretty_midi(tmp_path):
    write_midi(tmp_path / "x.mid", notes(7), tempo=93)
    song = pretty_midi.PrettyMIDI(str(tmp_path / "x.mid"))
    times = sorted((note.start, note.end) for note in song.instruments[0].notes)
    expected, last = np.zeros(200, bool), -np.inf
    for on, off in times:
        expected[int((last if on - last <= 0.5 else on) * 10) : int(np.ceil(off * 10 - 1e-6))] = True
        last = max(last, off)
    found_frames = midi_files.frames(midi_files.read(tmp_path / "x.mid").times_s, 200)
    assert (found_frames != expected).sum() <= 2  # a note that ends on the edge of a frame


def test_the_same_notes_are_the_same_at_another_tempo_and_after_a_rest(tmp_path):
    tune = [(0.5 * beat, 0.5 * beat + 0.4, 60 + beat % 5) for beat in range(20)]
    swung = [(on + 0.1 * (place % 2), off, pitch) for place, (on, off, pitch) in enumerate(tune)]
    late = [(on + 2, off + 2, pitch) for on, off, pitch in tune]
    higher = [(on, off, pitch + 1) for on, off, pitch in tune]
    digests = []
    for number, (which, tempo) in enumerate(((tune, 120), (tune, 93), (late, 120), (swung, 120), (higher, 120))):
        write_midi(tmp_path / f"{number}.mid", which, tempo=tempo)
        digests.append(midi_files.read(tmp_path / f"{number}.mid").digest)
    assert len(set(digests[:3])) == 1 and len(set(digests)) == 3


def test_a_midi_file_without_notes_has_no_program(tmp_path):
    write_midi(tmp_path / "empty.mid", [])
    empty = midi_files.read(tmp_path / "empty.mid")
    assert (empty.count, empty.program, len(empty.times_s)) == (0, None, 0)


def test_without_a_folder_of_the_dataset_nothing_is_compared(tmp_path):
    work = made_songs.write(tmp_path, [sounding(tmp_path, notes(1), notes(1))])
    (work / "data/a.mid").unlink()
    (work / "data").rmdir()
    report = audit(work)
    assert "No part could be compared with notes" in {each.title for each in findings(report, "labels")}
    assert item(report, "By split").rows[0][2] == 1
