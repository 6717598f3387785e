"""The stage `prepare` on a small made dataset: its tables, what it keeps, and what it does with bad input."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi
import pytest
import soundfile
from click.testing import CliRunner

from instructme.dataset_tools.beats.rhythm import REMEDY
from instructme.manifests import tables
from instructme.manifests.rows import Clip, DataError, Part, Reject, Rhythm, Stem, Track
from instructme.pipelines.cli import main
from instructme.pipelines.processes import engine
from instructme.pipelines.stages.prepare import prepare

QUICK: dict[str, Any] = {"sample_rate_hz": 8000, "rhythm": "midi", "chords": "midi", "workers": 0}
BEAT_S = 0.5


def make_track(name: str, **fields: object) -> Track:
    track = Track(f"set-{name}", "set", "folder", name, name, None, None, "cc0", "train", False, name, name, True, *[None] * 4)
    return replace(track, **fields)


def make_stem(root: Path, name: str, instrument: str, midi_path: str | None = None) -> Stem:
    path = f"{name}/{instrument}.flac"
    header = soundfile.info(root / path)
    return Stem(
        track_id=f"set-{name}",
        stem_id=instrument,
        path=path,
        label=instrument,
        program=128 if instrument == "drums" else 0,
        plugin=None,
        instrument=instrument,
        family=instrument,
        editable=True,
        lead=False,
        rule="name",
        certain=True,
        sample_rate_hz=header.samplerate,
        channels=header.channels,
        length_samples=header.frames,
        size_bytes=(root / path).stat().st_size,
        midi_path=midi_path,
        bleed=None,
        known_bad=None,
        flagged_rendered=None,
    )


def write_tables(work: Path, tracks: list[Track], stems: list[Stem], root: Path) -> None:
    work.mkdir(exist_ok=True)
    tables.write(work / "tracks.parquet", tracks, Track)
    tables.write(work / "stems.parquet", stems, Stem)
    (work / "datasets.json").write_text(json.dumps({"set": {"root": str(root), "layout": "folder"}}))


def write_beats(root: Path, name: str, seconds: float) -> str:
    """Write drums on every beat, as audio and as MIDI; return the MIDI's path."""
    song = pretty_midi.PrettyMIDI(initial_tempo=60 / BEAT_S)
    song.time_signature_changes.append(pretty_midi.TimeSignature(4, 4, 0))
    kit = pretty_midi.Instrument(0, is_drum=True)
    wave, time = np.zeros(round(seconds * 16000)), np.arange(1600) / 16000
    for beat in range(int(seconds / BEAT_S)):
        kit.notes.append(pretty_midi.Note(100, 42 if beat % 4 else 36, beat * BEAT_S, beat * BEAT_S + 0.1))
        onset = round(beat * BEAT_S * 16000)
        hit = np.random.default_rng(beat).standard_normal(1600) * np.exp(-time * 60)
        wave[onset : onset + 1600] += 0.2 * hit[: len(wave) - onset]
    song.instruments.append(kit)
    song.write(str(root / name / "drums.mid"))
    soundfile.write(root / name / "drums.flac", wave, 16000)
    return f"{name}/drums.mid"


@pytest.fixture
def dataset(tmp_path: Path, tone: Callable[..., Path]) -> tuple[Path, list[Track], list[Stem]]:
    """Make three songs: one with MIDI drums, one plain, one that falls silent after twelve of its 32 seconds."""
    root = tmp_path / "root"
    stems = []
    for number, name in enumerate("abc"):
        for instrument, lowest_hz in (("bass", 110), ("piano", 130)):
            seconds, hz = 32 if name == "c" else 21, lowest_hz * (number + 2)
            path = tone(root / name / f"{instrument}.flac", seconds, hz=hz, channels=number % 2 + 1)
            if name == "c":
                wave, rate_hz = soundfile.read(path)
                wave[12 * rate_hz :] = 0
                soundfile.write(path, wave, rate_hz)
            stems.append(make_stem(root, name, instrument))
    stems.append(make_stem(root, "a", "drums", write_beats(root, "a", 21)))
    return root, [make_track(name) for name in "abc"], stems


@pytest.fixture
def work(tmp_path: Path, dataset: tuple[Path, list[Track], list[Stem]]) -> Path:
    root, tracks, stems = dataset
    write_tables(tmp_path / "work", tracks, stems, root)
    return tmp_path / "work"


def contents(work: Path) -> dict[str, str]:
    """Hash every file that users and later stages read."""
    files = [path for path in work.rglob("*") if path.suffix in (".flac", ".parquet")]
    return {path.relative_to(work).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def rejects(work: Path) -> list[tuple[str | None, str, int]]:
    return [(row.track_id, row.reason, row.count) for row in tables.read_rows(work / "rejects.parquet", Reject)]


def test_tables_agree_with_each_other_and_with_the_files(work: Path) -> None:
    done = prepare(work, **QUICK)
    parts = tables.read_rows(work / "parts.parquet", Part)
    clips = tables.read_rows(work / "clips.parquet", Clip)
    assert (done.tracks, done.parts, done.clips, done.kept, done.redone) == (3, 7, 5, 0, 3)
    assert [(part.track_id, part.instrument) for part in parts] == sorted((part.track_id, part.instrument) for part in parts)
    for part in parts:
        samples, rate_hz = soundfile.read(work / part.path)
        assert (rate_hz, len(samples), soundfile.info(work / part.path).subtype) == (8000, part.length_samples, "PCM_16")
        assert len(part.level_db) == len(part.activity) == np.ceil(len(samples) / 800)
    for clip in clips:
        window = slice(clip.start_samples, clip.start_samples + clip.length_samples)
        waves = {p.instrument: soundfile.read(work / p.path)[0][window] for p in parts if p.track_id == clip.track_id}
        for instrument, rms_db in zip(clip.instruments, clip.rms_db, strict=True):
            assert rms_db == pytest.approx(20 * np.log10(np.sqrt(np.mean(waves[instrument] ** 2))), abs=1e-3)
        assert clip.mix_rms_db == pytest.approx(20 * np.log10(np.sqrt(np.mean(sum(waves.values()) ** 2))), abs=1e-3)
    assert rejects(work) == [("set-c", "silent_clip", 2)]
    assert all(tables.broken_chain(work / f"{name}.parquet") == [] for name in ("parts", "rhythm", "clips"))


def test_rhythm_is_that_of_the_midi(work: Path) -> None:
    prepare(work, **QUICK)
    rhythm = {row.track_id: row for row in tables.read_rows(work / "rhythm.parquet", Rhythm)}
    assert {name: row.source for name, row in rhythm.items()} == {"set-a": "midi", "set-b": "none", "set-c": "none"}
    beats = rhythm["set-a"].beats_samples
    assert beats == [round(beat * BEAT_S * 8000) for beat in range(len(beats))]
    assert 42 <= len(beats) <= 43
    assert [clip.tempo_bpm for clip in tables.read_rows(work / "clips.parquet", Clip)][:3] == [120.0, 120.0, None]


def test_one_unreadable_midi_file_costs_only_itself(work: Path, dataset: tuple[Path, list[Track], list[Stem]]) -> None:
    root, tracks, stems = dataset
    prepare(work, **QUICK)
    (whole,) = (row for row in tables.read_rows(work / "rhythm.parquet", Rhythm) if row.track_id == "set-a")
    (root / "a" / "bass.mid").write_bytes(b"")
    with_midi = [replace(stem, midi_path="a/bass.mid") if stem.stem_id == "bass" else stem for stem in stems if "a/" in stem.path]
    write_tables(work, tracks[:1], with_midi, root)
    prepare(work, **QUICK)
    (row,) = tables.read_rows(work / "rhythm.parquet", Rhythm)
    assert (row.source, row.beats_samples) == ("midi", whole.beats_samples)
    (told,) = (row for row in tables.read_rows(work / "rejects.parquet", Reject) if row.reason == "midi_refused")
    assert (told.item, told.detail) == ("a/bass.mid", "MIDI bass.mid is cut short or not MIDI")


def test_notes_of_refused_midi_tell_no_chords(work: Path, dataset: tuple[Path, list[Track], list[Stem]]) -> None:
    root, tracks, stems = dataset
    song = pretty_midi.PrettyMIDI(initial_tempo=120)
    piano = pretty_midi.Instrument(0)
    starts = np.sort(np.random.default_rng(1).uniform(0, 20, 64))
    piano.notes = [pretty_midi.Note(90, 60 + 4 * (number % 3), start, start + 0.4) for number, start in enumerate(starts)]
    song.instruments.append(piano)
    song.write(str(root / "a" / "piano.mid"))
    with_midi = [replace(stem, midi_path=f"a/{stem.stem_id}.mid") for stem in stems if stem.path == "a/piano.flac"]
    write_tables(work, tracks[:1], with_midi, root)
    prepare(work, **QUICK)
    (row,) = tables.read_rows(work / "rhythm.parquet", Rhythm)
    assert (row.source, row.reason, row.chord_source) == ("none", "MIDI notes are off their own grid", "none")


def test_what_the_dataset_states_wins(work: Path, dataset: tuple[Path, list[Track], list[Stem]]) -> None:
    root, tracks, stems = dataset
    (root / "b" / "chords.lab").write_text("0.0\t10.0\tD:min7\n10.0\t21.0\tG:7\n")
    (root / "c" / "chords.lab").write_text("no chart at all\n")
    chart = {"set-b": "b/chords.lab", "set-c": "c/chords.lab"}
    stated = [replace(t, key="F#:min", tempo_bpm=93.0, chords_path=chart.get(t.track_id)) for t in tracks]
    write_tables(work, stated, stems, root)
    prepare(work, **{**QUICK, "chords": "auto"})
    rhythm = {row.track_id: row for row in tables.read_rows(work / "rhythm.parquet", Rhythm)}
    assert {(row.key, row.key_confidence) for row in rhythm.values()} == {("F#:min", 1.0)}
    assert rhythm["set-a"].tempo_bpm == pytest.approx(120, rel=1e-3)
    assert rhythm["set-b"].tempo_bpm == 93.0
    assert rhythm["set-b"].chord_labels[:2] == ["D:min7", "G:7"]
    assert ("set-c", "bad_chart", 1) in rejects(work)
    assert not any(str(root) in row.detail for row in tables.read_rows(work / "rejects.parquet", Reject))


def test_any_number_of_workers_writes_the_same_bytes(work: Path, tmp_path: Path) -> None:
    shutil.copytree(work, tmp_path / "two")
    prepare(tmp_path / "two", **{**QUICK, "workers": 2})
    prepare(work, **QUICK)
    assert contents(work) == contents(tmp_path / "two")


def test_only_what_changed_is_done_again(
    work: Path, dataset: tuple[Path, list[Track], list[Stem]], capsys: pytest.CaptureFixture[str]
) -> None:
    root, tracks, stems = dataset
    prepare(work, **QUICK)
    before = contents(work)
    again = prepare(work, **QUICK)
    assert (again.kept, again.redone) == (3, 0)
    assert "again" not in capsys.readouterr().err
    os.utime(root / "b" / "bass.flac", ns=(1, 1))
    touched = prepare(work, **QUICK)
    assert (touched.kept, touched.redone) == (2, 1)
    assert "prepare: makes 1 finished track again, because" in capsys.readouterr().err
    assert contents(work) == before
    regrouped = [replace(track, split="test", genre="Rock") for track in tracks]
    write_tables(work, regrouped, stems, root)
    assert prepare(work, **QUICK).redone == 0
    write_tables(work, regrouped, [replace(stem, instrument="tuba") if stem.stem_id == "bass" else stem for stem in stems], root)
    assert prepare(work, **QUICK).redone == 3
    assert not (work / "parts" / "set-a" / "bass.flac").exists()
    assert prepare(work, **{**QUICK, "clip_seconds": 5}).redone == 3


def test_a_stem_that_was_exported_again_after_scan_is_left_out_and_told(
    work: Path, dataset: tuple[Path, list[Track], list[Stem]]
) -> None:
    """`scan` has read its rate, channels and length, and compared them with those of the others."""
    path = dataset[0] / "b" / "bass.flac"
    samples, rate_hz = soundfile.read(path)
    soundfile.write(path, samples[: len(samples) // 3], 2 * rate_hz)
    prepare(work, **QUICK)
    told = [(row.item, row.reason, row.detail) for row in tables.read_rows(work / "rejects.parquet", Reject)]
    assert ("b/bass.flac", "unreadable", "the file has changed since scan: run scan again, then prepare") in told
    instruments = [row.instrument for row in tables.read_rows(work / "parts.parquet", Part) if row.track_id == "set-b"]
    assert instruments and "bass" not in instruments


def test_a_killed_run_is_taken_up_again(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(work, tmp_path / "whole")
    prepare(tmp_path / "whole", **QUICK)

    def interrupted(function: Callable, units: Sequence, **_: object) -> Iterator[tuple]:
        yield from ((unit, function(unit)) for unit in units if unit.track.track_id == "set-c")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(engine, "run", interrupted)
        prepare(work, **QUICK)
    staging = work / "parts" / ".set-b.123.tmp"
    staging.mkdir()
    (staging / "bass.flac").write_bytes(b"half a file")
    (work / "parts" / "set-a").mkdir(exist_ok=True)
    (work / "parts" / "set-a" / "done.json").write_text("{}")
    assert not (work / "parts.parquet").exists()
    done = prepare(work, **QUICK)
    assert (done.kept, done.redone) == (1, 2)
    assert contents(work) == contents(tmp_path / "whole")
    assert not list((work / "parts").glob(".*"))


@pytest.mark.parametrize("name", ["bass.flac", "clips.parquet"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"junk")])
def test_a_track_whose_files_were_lost_or_cut_is_done_again(work: Path, name: str, damage: Callable[[Path], object]) -> None:
    prepare(work, **QUICK)
    before = contents(work)
    damage(work / "parts/set-b" / name)
    done = prepare(work, **QUICK)
    assert (done.kept, done.redone) == (2, 1) and contents(work) == before


def test_tracks_that_are_gone_keep_their_parts_and_leave_the_tables(
    work: Path, dataset: tuple[Path, list[Track], list[Stem]]
) -> None:
    root, tracks, stems = dataset
    prepare(work, **QUICK)
    write_tables(work, tracks[1:], [stem for stem in stems if stem.track_id != "set-a"], root)
    assert prepare(work, **QUICK).tracks == 2
    assert (work / "parts" / "set-a" / "bass.flac").exists()
    write_tables(work, tracks, stems, root)
    assert prepare(work, **QUICK).redone == 0


def test_bad_tracks_are_counted_and_the_others_prepared(work: Path, dataset: tuple[Path, list[Track], list[Stem]]) -> None:
    root, tracks, stems = dataset
    for instrument in ("bass", "piano"):
        (root / "b" / f"{instrument}.flac").write_bytes(b"fLaC but not really")
    (root / "a" / "drums.mid").rename(root.parent / "elsewhere.mid")
    (root / "a" / "drums.mid").symlink_to(root.parent / "elsewhere.mid")
    write_tables(work, tracks, stems, root)
    assert prepare(work, **{**QUICK, "clip_seconds": 30}).tracks == 1
    assert sorted(rejects(work)) == [
        ("set-a", "unusable", 1),
        ("set-b", "no_parts", 1),
        ("set-b", "unreadable", 1),
        ("set-b", "unreadable", 1),
        ("set-c", "silent_clip", 1),
    ]
    assert not list((work / "parts" / "set-a").glob("*.flac"))


def test_stems_of_a_lower_rate_than_the_parts_are_told(work: Path, dataset: tuple[Path, list[Track], list[Stem]]) -> None:
    _, _, stems = dataset
    rates = [stem.sample_rate_hz for stem in stems]
    prepare(work, **{**QUICK, "sample_rate_hz": max(rates) + 2000})
    told = [row for row in tables.read_rows(work / "rejects.parquet", Reject) if row.reason == "low_rate"]
    assert sum(row.count for row in told) == len(stems) and len(told) == 3
    assert f"no sound above {min(rates) // 2} Hz" in told[0].detail


def test_tracks_shorter_than_a_clip_are_counted(work: Path) -> None:
    prepare(work, **{**QUICK, "clip_seconds": 30})
    assert rejects(work) == [("set-a", "too_short", 1), ("set-b", "too_short", 1), ("set-c", "silent_clip", 1)]
    length_s = {
        part.track_id: part.length_samples / part.sample_rate_hz for part in tables.read_rows(work / "parts.parquet", Part)
    }
    short = next(row for row in tables.read_rows(work / "rejects.parquet", Reject) if row.reason == "too_short")
    assert short.detail.startswith(f"{length_s['set-a']:.1f} s long")


def test_a_track_that_kills_its_workers_is_tried_again(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deadly(function: Callable, units: Sequence, lost: Callable, **_: object) -> Iterator[tuple]:
        for unit in units:
            yield unit, lost(unit) if unit.track.track_id == "set-b" else function(unit)

    with monkeypatch.context() as patched:
        patched.setattr(engine, "run", deadly)
        assert prepare(work, **QUICK).tracks == 2
    assert ("set-b", "worker_died", 1) in rejects(work)
    done = prepare(work, **QUICK)
    assert (done.kept, done.redone, done.tracks) == (2, 1, 3)
    assert "worker_died" not in [reason for _, reason, _ in rejects(work)]


def test_says_what_is_missing(work: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"tracks\.parquet"):
        prepare(tmp_path)
    shutil.move(tmp_path / "root", tmp_path / "elsewhere")
    with pytest.raises(DataError, match="dataset set is not at"):
        prepare(work)
    (work / "datasets.json").unlink()
    with pytest.raises(DataError, match=r"datasets\.json"):
        prepare(work)


def test_an_empty_mount_point_costs_nothing(work: Path, dataset: tuple[Path, list[Track], list[Stem]]) -> None:
    prepare(work, **QUICK)
    before = contents(work)
    root = dataset[0]
    root.rename(root.with_name("away"))
    root.mkdir()
    with pytest.raises(DataError, match="mount it again"):
        prepare(work, **QUICK)
    assert contents(work) == before


@pytest.mark.parametrize("track_id", ["../../victim", "", ".", "/victim"])
def test_ids_that_leave_the_working_folder_are_refused(
    work: Path, dataset: tuple[Path, list[Track], list[Stem]], tmp_path: Path, track_id: str
) -> None:
    root, tracks, stems = dataset
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/file").touch()
    write_tables(work, [replace(tracks[0], track_id=track_id)], stems, root)
    with pytest.raises(DataError, match=r"tracks\.parquet was changed by hand"):
        prepare(work)
    assert (tmp_path / "victim/file").exists()


def test_command_sums_up(work: Path) -> None:
    command = ["prepare", str(work), "--sample-rate", "8000", "--rhythm", "midi", "--chords", "none", "--workers", "0"]
    first = CliRunner().invoke(main, command)
    assert first.exit_code == 0, first.output
    assert first.stdout.splitlines() == [
        "3 tracks, 0.02 h: 7 parts, 5 clips",
        "rhythm from: midi 1, none 2",
        "chords from: none 3",
        "rejected: silent_clip 2",
        f"no remix is possible: beats and bars are certain in 0 tracks, 2 are needed: {REMEDY}",
    ]
    assert REMEDY.startswith("put beats.txt (")  # the name that layouts read
    again = CliRunner().invoke(main, command)
    assert again.stdout.splitlines() == ["kept 3, redid 0", *first.stdout.splitlines()]


def test_rendered_examples_come_out_as_their_truth_says(shared_data: Path, tmp_path: Path) -> None:
    scanned = CliRunner().invoke(main, ["scan", str(shared_data / "rendered_examples"), "-o", str(tmp_path / "work")])
    assert scanned.exit_code == 0, scanned.output
    prepare(tmp_path / "work", workers=0)
    rhythm = tables.read_rows(tmp_path / "work" / "rhythm.parquet", Rhythm)
    assert [(row.source, row.trusted, row.meter) for row in rhythm] == [("midi", True, "4/4")] * 4
    assert [row.chord_source for row in rhythm] == ["chart", "chart", "chart", "midi"]
    for row in rhythm[:3]:
        name = row.track_id.rpartition("-")[2].replace("t", "T", 1)
        truth = np.loadtxt(shared_data / "rendered_examples" / name / "beats.txt")
        shared = min(len(truth), len(row.beats_samples))
        assert abs(len(truth) - len(row.beats_samples)) <= 1
        assert np.abs(np.array(row.beats_samples[:shared]) / 24000 - truth[:shared, 0]).max() < 0.002
        assert row.beat_positions[:shared] == truth[:shared, 1].astype(int).tolist()
