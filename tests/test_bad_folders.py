"""Folders, names and metadata of every kind of bad: a reason for each, and the rest of the dataset is built as without them."""

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import write_tone
from hostile import RATE_HZ, band, build, error_of, good_song, invoke, made, write_midi

from instructme.manifests import tables
from instructme.manifests.rows import Part, Rhythm, Stem, Track

PLAIN = "Track00001"
GOOD = "data-track00001"
BAD = "data-track00002"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a dataset of one good track in Slakh's layout."""
    folder = tmp_path_factory.mktemp("whole")
    band(folder / "data" / PLAIN)
    assert build(folder / "work", folder / "data") == []
    (rhythm,) = tables.read_rows(folder / "work" / "rhythm.parquet", Rhythm)
    assert (rhythm.source, rhythm.chord_source) == ("midi", "midi")
    return folder / "work"


def text(content: str | bytes) -> Callable[[Path], object]:
    """Replace the metadata of a track."""
    return lambda track: (track / "metadata.yaml").write_bytes(content.encode() if isinstance(content, str) else content)


def midi(**options: int | bytes) -> Callable[[Path], object]:
    """Replace the MIDI files of a track."""

    def write(track: Path) -> None:
        for number, path in enumerate(sorted((track / "MIDI").iterdir())):
            write_midi(path, drums=number == 1, **options)  # type: ignore[arg-type]

    return write


def broken_midi(content: bytes) -> Callable[[Path], object]:
    return lambda track: [path.write_bytes(content) for path in (track / "MIDI").iterdir()]


def link(name: str, target: str) -> Callable[[Path], object]:
    """Replace a file or a folder of a track by a link."""

    def replace(track: Path) -> None:
        path = track / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.symlink_to(Path(target) if target.startswith("/") else track.parent.parent / target)

    return replace


def edit(**values: object) -> Callable[[Path], object]:
    """Add to the metadata of a track, as JSON, which is YAML too."""

    def write(track: Path) -> None:
        stems = {"S00": {"program_num": 33}, "S01": {"is_drum": True}}
        (track / "metadata.yaml").write_text(json.dumps({"stems": stems, **values}))

    return write


bomb = "a: &a [x, x]\n" + "".join(f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True))
LOST = [("scan", "", "metadata")]
UNKNOWN = [("scan", BAD, "not_understood")]
UNREAD = [("prepare", BAD, "midi_refused")]
DAMAGE: dict[str, tuple[Callable[[Path], object], list[tuple[str, str, str]], int]] = {
    "a stem that isn't there": (lambda track: (track / "stems/S01.wav").unlink(), [("scan", BAD, "not_rendered")], 1),
    "no stem at all": (
        lambda track: shutil.rmtree(track / "stems"),
        [("scan", BAD, "no_stems"), *[("scan", BAD, "not_rendered")] * 2],
        0,
    ),
    "broken yaml": (text("stems: [1"), LOST, 0),
    "a yaml bomb": (text(bomb), LOST, 0),
    "a json bomb": (text('{"a":' * 5000), LOST, 0),
    "yaml that makes objects": (text("!!python/object/apply:os.system ['touch /tmp/owned']"), LOST, 0),
    "metadata in latin-1": (text(b"title: caf\xe9"), LOST, 0),
    "metadata that is a list": (text("- a\n- b\n"), LOST, 0),
    "metadata of 2 MB": (text("x" * 2_000_000), LOST, 0),
    "metadata that is a folder": (lambda track: ((track / "metadata.yaml").unlink(), (track / "metadata.yaml").mkdir()), LOST, 0),
    "metadata linked out of the root": (link("metadata.yaml", "/etc/hostname"), LOST, 0),
    "midi without notes": (midi(notes=0), UNREAD, 2),
    "midi with too few notes": (midi(notes=3), UNREAD, 2),
    "midi cut short": (broken_midi(b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\x80"), UNREAD, 2),
    "midi that is text": (broken_midi(b"no midi at all"), UNREAD, 2),
    "midi of zero bytes": (broken_midi(b""), UNREAD, 2),
    "midi with a broken key signature": (midi(key_signature=b"\x63\x63"), [], 2),
    "a stem linked out of the root": (link("stems/S01.wav", "/etc/hostname"), [("scan", BAD, "unsafe_path")], 1),
    "midi linked out of the root": (link("MIDI/S01.mid", "/etc/hostname"), [], 2),
    "stems linked out of the root": (
        lambda track: (shutil.move(track / "stems", track.parent.parent / "stems"), (track / "stems").symlink_to("../../stems")),
        [("scan", BAD, "no_stems"), *[("scan", BAD, "unsafe_path")] * 2],
        0,
    ),
    "a title of 300 characters": (edit(title="x" * 300), [], 2),
    "a title of dots and slashes": (edit(title="../../../etc/passwd", genre="../x", licence="a/b"), UNKNOWN, 2),
    "a title of lines and dashes": (edit(title="--help\n-rf /\r\n\0", UUID="\n"), [], 2),
    "a title that UTF-8 can't write": (edit(title="\ud800", genre="\udcff", chart="\ud800"), LOST, 0),
    "tempi and keys that are none": (edit(tempo_bpm=float("nan"), key="H moll"), UNKNOWN, 2),
    "a tempo beyond all reason": (edit(tempo_bpm=1e308, key=["C"]), [], 2),
    "a chart that is none": (
        lambda track: (track / "chords.lab").write_text("0 inf C:maj\n"),
        [("prepare", BAD, "bad_chart")],
        2,
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_bad_track_has_its_reason_and_costs_nothing_else(kind: str, whole: Path, tmp_path: Path) -> None:
    damage, expected, parts = DAMAGE[kind]
    band(tmp_path / "data" / PLAIN)
    damage(band(tmp_path / "data" / "Track00002"))
    # Charts are read by `auto` only, which would ask the audio where there is none.
    chords = "auto" if "chart" in kind else "midi"
    assert build(tmp_path / "work", tmp_path / "data", chords=chords) == sorted(expected)
    assert made(tmp_path / "work", GOOD) == made(whole, GOOD)
    bad = made(tmp_path / "work", BAD)
    assert len(bad["parts"]) == parts == len([name for name in bad if name.endswith(".flac")])
    if "key signature" in kind:
        assert [bad["rhythm"][0].source, bad["rhythm"][0].chord_source] == ["midi", "midi"]


def test_a_bomb_is_a_bomb() -> None:
    """The test above would pass for any broken file; this one shows what it refuses."""
    assert len(str(yaml.safe_load(bomb))) > 1000 * len(bomb) / 100


NAMES = {
    "dots": "a.b...c.",
    "a newline": "line\nbreak",
    "a leading dash": "-rf",
    "an option": "--help",
    "251 bytes, and 255 with the suffix": "x" * 251,
    "spaces": "  a  b  ",
    "quotes": '\'; DROP TABLE "tracks" --',
    "a percent sign": "%s%n{0}",
    "a backslash": "a\\b",
    "a star": "*?[a]",
    "right to left": "\u202egnp\u202c",
    "another script": "曲名",
    "a combining accent": "e\u0301",
    "what isn't UTF-8": os.fsdecode(b"\xff\xfe"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_of_songs_and_stems_may_be_anything_the_disk_takes(kind: str, tmp_path: Path) -> None:
    name = NAMES[kind]
    good_song(tmp_path / "data" / "Good")
    shutil.copytree(tmp_path / "data" / "Good", tmp_path / "data" / name)
    write_tone(tmp_path / "other.wav", 2.0, RATE_HZ, 700.0).rename(tmp_path / "data" / "Good" / f"{name}.wav")
    rejects = build(tmp_path / "work", tmp_path / "data")
    tracks = tables.read_rows(tmp_path / "work" / "tracks.parquet", Track)
    if "UTF-8" in kind:
        assert {reason for _, _, reason in rejects} == {"unsafe_path", "no_stems"} and len(tracks) == 1
    else:
        assert rejects == [] and len(tracks) == 2
    for row in tables.read_rows(tmp_path / "work" / "parts.parquet", Part):
        assert (tmp_path / "work" / row.path).is_file() and row.path.isascii() and row.path.count("/") == 2
    assert {path.name for path in tmp_path.iterdir()} == {"data", "work"}


def test_two_tracks_of_one_id_are_told_apart(tmp_path: Path) -> None:
    for name in ("train/Track00001", "test/Track00001"):
        band(tmp_path / "data" / name)
    for name in ("data-train/track00001-x", "data/train-track00001-x"):
        good_song(tmp_path / "more" / name)
    build(tmp_path / "work", tmp_path / "data", *sorted((tmp_path / "more").iterdir()))
    ids = [row.track_id for row in tables.read_rows(tmp_path / "work" / "tracks.parquet", Track)]
    assert len(ids) == 4 == len(set(ids))
    assert len(tables.read_rows(tmp_path / "work" / "rhythm.parquet", Rhythm)) == 4


def test_datasets_whose_names_and_tracks_run_together_are_told_apart(tmp_path: Path) -> None:
    good_song(tmp_path / "a" / "b-c")
    good_song(tmp_path / "a-b" / "c")
    build(tmp_path / "work", tmp_path / "a", tmp_path / "a-b")
    ids = [row.track_id for row in tables.read_rows(tmp_path / "work" / "tracks.parquet", Track)]
    assert "a-b-c" in ids and len(set(ids)) == 2
    build(tmp_path / "work", tmp_path / "a")
    assert len(tables.read_rows(tmp_path / "work" / "tracks.parquet", Track)) == 2


def write_table(
    path: Path, *rows: tuple[str, ...], columns: tuple[str, ...] = ("track_id", "path", "instrument", "stem_id")
) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def test_rows_of_a_table_that_can_not_be_used_have_reasons(tmp_path: Path) -> None:
    good_song(tmp_path / "data")
    write_tone(tmp_path / "secret.wav", 2.0, RATE_HZ)
    write_tone(tmp_path / "data" / "extra.wav", 2.0, RATE_HZ, 330.0)
    write_table(
        tmp_path / "data" / "t.csv",
        ("song", "bass.wav", "bass", "x"),
        ("song", "piano.wav", "piano", "x"),
        ("song", "extra.wav", "flute", "x-2"),
        ("song", "bass.wav", "flute", "y"),
        ("song", "nothing.wav", "flute", ""),
        ("song", "../secret.wav", "flute", ""),
        ("song", str(tmp_path / "secret.wav"), "flute", ""),
        ("song", "x" * 300 + ".wav", "flute", ""),
        ("song", "a\0b.wav", "flute", ""),
        ("song", "../data/bass.wav", "flute", ""),
        ("", "bass.wav", "flute", ""),
        ("short",),
    )
    rejects = build(tmp_path / "work", tmp_path / "data" / "t.csv")
    reasons = [reason for _, _, reason in rejects]
    assert sorted(reasons) == ["incomplete"] * 2 + ["missing", "names_differ", "twice", "unreadable"] + ["unsafe_path"] * 4
    ids = [row.stem_id for row in tables.read_rows(tmp_path / "work" / "stems.parquet", Stem)]
    assert sorted(ids) == ["x", "x-2", "x-2-2"]
    assert [row.instrument for row in tables.read_rows(tmp_path / "work" / "parts.parquet", Part)] == ["bass", "flute", "piano"]


def test_an_old_working_folder_in_a_dataset_is_told_once_and_not_read(tmp_path: Path) -> None:
    good_song(tmp_path / "data" / "Good")
    build(tmp_path / "old", tmp_path / "data")
    shutil.move(tmp_path / "old", tmp_path / "data" / "old")
    good_song(tmp_path / "data" / "Another" / "parts")
    assert build(tmp_path / "work", tmp_path / "data") == [("scan", "", "working_folder")]
    songs = {row.title for row in tables.read_rows(tmp_path / "work" / "tracks.parquet", Track)}
    assert songs == {"Another", "Good"}


@pytest.mark.parametrize("columns", [("track_id", "path"), ("path", "instrument"), ("a", "b", "c"), ("",)])
def test_a_table_without_a_needed_column_is_one_line_and_leaves_the_rest_as_it_was(
    columns: tuple[str, ...], tmp_path: Path
) -> None:
    good_song(tmp_path / "data" / "Good")
    build(tmp_path / "work", tmp_path / "data")
    before = {path.name: path.read_bytes() for path in (tmp_path / "work").glob("*.*")}
    write_table(tmp_path / "t.csv", columns, columns=columns)
    line = error_of(invoke("scan", tmp_path / "data", tmp_path / "t.csv", "-o", tmp_path / "work"))
    assert "no column" in line and "t.csv" in line and "needs track_id, path, instrument" in line
    assert {path.name: path.read_bytes() for path in (tmp_path / "work").glob("*.*")} == before


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"PAR1", b'track_id,path\n"', b"\0" * 100])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_that_is_none_is_one_line(suffix: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / f"t.{suffix}").write_bytes(content)
    error_of(invoke("scan", tmp_path / f"t.{suffix}", "-o", tmp_path / "work"))
