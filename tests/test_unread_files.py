"""No file is lost in silence: every sound, MIDI file and table below a root is in a track, in a reject, or a known companion."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from trees import build_folder, build_musdb, sound

from instructme.manifests.datasets import read_datasets
from instructme.manifests.rows import DataError
from instructme.pipelines.stages.scan import scan

FOLDERS = st.sampled_from(["", "SongA", "SongB", "SongA/Drums", "SongA/stems", "train/Me - One", "a/b/c/d/e/f", "Drums", "Bass"])
SOUNDS = ["bass.wav", "bass.flac", "drums.WAV", "drums.wav", "mix.wav", "SongA_bass.aiff", "SongB_bass.caf", "SongA_drums.ogg"]
OTHERS = ["x.w64", "memo.wav", "take.oga", "vocals.L.wav", "vocals.R.wav", "click.wav", "notes.mid", "bass.mid", "a.csv", "b.mp4"]
NAMES = st.sampled_from([*SOUNDS, *OTHERS])


def told(rows) -> str:
    return "\n".join(f"{row.item} {row.detail}" for row in rows.rejects)


def test_files_that_no_song_takes_are_named_one_by_one(root: Path, tmp_path: Path) -> None:
    for name in ("A/bass.wav", "B/drums.wav", "C/vocals.wav", "memo.wav", "C/vocals.WAV", "C/vocals.aiff"):
        sound(root / name)
    (root / "A/stray.mid").write_bytes(b"MThd")
    (root / "A/other.mid").write_bytes(b"MThd")
    (root / "(Live)").mkdir()
    (root / "(Live)/stray.mid").write_bytes(b"MThd")
    (root / "C/list.csv").write_text("a,b\n")
    rows = scan([root], tmp_path / "work")
    assert sorted(track.title for track in rows.tracks) == ["A", "B", "C"]
    reasons = {row.item: row.reason for row in rows.rejects}
    assert reasons.pop("memo.wav") == "stray" and reasons["C/list.csv"] == "unread_table"
    assert {reasons["A/stray.mid"], reasons["A/other.mid"], reasons["(Live)/stray.mid"]} == {"unread_midi"}
    twice = {row.item: row.detail for row in rows.rejects if row.reason == "twice"}
    assert len(twice) == 2 and set(twice.values()) == {"vocals.WAV is read in its place"}


def test_a_link_to_another_stem_is_no_second_stem(root: Path, tmp_path: Path) -> None:
    """Within a song and from song to song: heard twice, a stem would be 6 dB louder in its mix."""
    for name in ("A/bass.wav", "A/drums.wav", "B/bass.wav", "B/drums.wav"):
        sound(root / name)
    (root / "A/keys.wav").symlink_to("bass.wav")
    (root / "B/vocals.wav").symlink_to("../A/drums.wav")
    rows = scan([root], tmp_path / "work")
    assert sorted(stem.path for stem in rows.stems) == ["A/bass.wav", "A/drums.wav", "B/bass.wav", "B/drums.wav"]
    twice = {row.item: row.detail for row in rows.rejects if row.reason == "twice"}
    assert {Path(item).name for item in twice} == {"keys.wav", "vocals.wav"}
    assert set(twice.values()) == {"another stem already is this file: remove one of the two"}


def test_archives_and_films_are_told(root: Path, tmp_path: Path) -> None:
    for name in ("A/bass.wav", "A/drums.wav"):
        sound(root / name)
    for name in ("B.zip", "A/stems.tar.gz", "A/Live.MOV", "A/cover.jpg"):
        (root / name).write_bytes(b"any")
    told = {(row.item, row.reason) for row in scan([root], tmp_path / "work").rejects}
    assert told == {("B.zip", "packed"), ("A/stems.tar.gz", "packed"), ("A/Live.MOV", "packed")}


def test_metadata_that_names_stems_is_told(root: Path, tmp_path: Path) -> None:
    for name in ("A/01", "A/02", "A/03", "B/bass", "B/drums", "C/keys"):
        sound(root / f"{name}.wav")
    (root / "A/labels.json").write_text('{"01": "bass", "02.wav": "drums"}')
    (root / "all.yaml").write_text("- A/01.wav: bass\n- A/02.wav: drums\n- A/03.wav: keys\n")
    (root / "B/info.json").write_text('{"title": "drums and the like", "year": 1999}')
    (root / "B/broken.xml").write_bytes(b"\xff\xfe<drums>")
    (root / "C/info.json").write_text('{"keys": "C major"}')
    told = {(row.item, row.reason) for row in scan([root], tmp_path / "work").rejects if "label" not in row.reason}
    assert told == {("A", "grouping"), ("A/labels.json", "unread_table"), ("all.yaml", "unread_table")}


def test_other_formats_sheets_and_unfinished_downloads_are_told(root: Path, tmp_path: Path) -> None:
    for name in ("A/bass.wav", "A/drums.wav"):
        sound(root / name)
    kinds = {
        "unsupported_format": ["vocals.mogg", "vocals.mka", "keys.tta"],
        "packed": ["song.tar", "vocals.wav.gz", "stems.h5"],
        "unread_table": ["labels.xlsx", "stems.jsonl"],
        "not_loaded": ["vocals.wav.part", ".keys.wav.icloud"],
        "unread_midi": ["song.kar"],
    }
    for name in (name for names in kinds.values() for name in names):
        (root / "A" / name).write_bytes(b"any")
    told = {(row.item, row.reason) for row in scan([root], tmp_path / "work").rejects}
    assert told == {(f"A/{name}", reason) for reason, names in kinds.items() for name in names}


def test_a_table_in_use_is_read_and_what_it_does_not_name_is_told(root: Path, tmp_path: Path) -> None:
    for name in ("bass.wav", "drums.wav", "memo.wav", "../beside/keys.wav"):
        sound(root / name)
    (root / "stems.csv").write_text("track_id,path,instrument\nA,bass.wav,bass\nA,drums.wav,drums\n")
    (root / "notes.csv").write_text("a,b\n")
    told = [("memo.wav", "not_read"), ("notes.csv", "unread_table")]
    assert [(row.item, row.reason) for row in scan([root], tmp_path / "work").rejects] == told
    with (root / "stems.csv").open("a") as table:
        table.write("A,../beside/keys.wav,keys\n")
    rows = scan([root], tmp_path / "work", allow_outside=True)
    assert [(row.item, row.reason) for row in rows.rejects] == told and len(rows.stems) == 3


def test_companions_of_a_layout_are_no_rejects(root: Path, tmp_path: Path) -> None:
    build_musdb(root)
    assert not scan([root], tmp_path / "work").rejects
    sound(root / "test" / "BKS - Bulldozer" / "guitar.wav")
    (root / "test" / "BKS - Bulldozer" / "list.csv").write_text("a,b")
    rejects = [row for row in scan([root], tmp_path / "other").rejects if "mixture" not in row.item]
    assert [(row.item, row.reason) for row in rejects] == [("test/BKS - Bulldozer/list.csv", "unread_table")]


def test_songs_deep_down_and_formats_of_libsndfile_are_read(root: Path, tmp_path: Path) -> None:
    for name in ("one/two/three/four/five/six/Song/bass.caf", "one/two/three/four/five/six/Song/drums.w64"):
        sound(root / name)
    build_folder(root)
    rows = scan([root], tmp_path / "work")
    assert {"bass.caf", "drums.w64"} <= {Path(stem.path).name for stem in rows.stems}


def test_instrument_folders_belong_to_the_song_unless_it_holds_the_instrument(root: Path, tmp_path: Path) -> None:
    for name in ("Song/bass.wav", "Song/Drums/kick.wav", "Song/Drums/room/far.wav", "Two/drums.wav", "Two/Drums/kick.wav"):
        sound(root / name)
    rows = scan([root], tmp_path / "work")
    paths = sorted(stem.path for stem in rows.stems)
    assert paths == [
        "Song/Drums/kick.wav",
        "Song/Drums/room/far.wav",
        "Song/bass.wav",
        "Two/drums.wav",
    ]
    assert {row.item: row.reason for row in rows.rejects} == {"Two/Drums/kick.wav": "twice"}


@settings(max_examples=60)
@given(st.sets(st.tuples(FOLDERS, NAMES), min_size=1, max_size=12))
def test_every_file_is_accounted_for(files: set[tuple[str, str]]) -> None:
    with TemporaryDirectory() as folder:
        root, work = Path(folder, "data"), Path(folder, "work")
        for place, name in files:
            (root / place).mkdir(parents=True, exist_ok=True)
            if name.endswith((".mid", ".csv", ".mp4")):
                (root / place / name).write_bytes(b"MThd")
            elif not (root / place / name).exists():
                sound(root / place / "x.wav").rename(root / place / name) if name != "x.wav" else None
        try:
            rows = scan([root], work)
        except DataError as error:
            assert "nothing usable" in str(error) or "no dataset" in str(error)
            return
        assert read_datasets(work)
        used = {path for stem in rows.stems for path in (stem.path, stem.midi_path)}
        for place, name in files:
            path = f"{place}/{name}".lstrip("/")
            assert path in used or path.rsplit(".", 1)[0] in told(rows), path
        assert len({stem.path for stem in rows.stems}) == len(rows.stems)


def test_a_file_beside_one_that_the_table_names_and_nobody_has_is_not_read(root: Path, tmp_path: Path) -> None:
    for name in ("a1", "a2"):
        sound(root / f"{name}.wav")
    (root / "stems.csv").write_text("track_id,path,instrument\nAlpha,a1.wav,bass\nAlpha,a2.flac,drums\n")
    reasons = {row.item: row.reason for row in scan([root], tmp_path / "work").rejects}
    assert reasons["a2.wav"] == "not_read" and "a2.flac" in reasons
