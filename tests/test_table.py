"""Tables of stems."""

import csv
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trees import (
    build_table,
    found,
    rejected,
    sound,
)

from instructme.dataset_tools.layouts import table
from instructme.manifests.rows import DataError
from instructme.pipelines.stages.scan import scan


def test_table_reads_every_column(root: Path) -> None:
    build_table(root)
    one, two = found("table", root)
    assert (one.split, one.genre, one.tempo_bpm, one.key, one.licence, one.leak_group) == (
        "train",
        "jazz",
        120,
        "A minor",
        "CC0-1.0",
        "group:g",
    )
    assert [(stem.label, stem.program, stem.bleed) for stem in one.stems] == [("violin", None, False), ("", 128, True)]
    assert two.split is None and two.leak_group is None


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ("downbeats", True),
        ("downbeats_path", True),
        ("downbeats,beats", False),
        ("downbeats_path,beats_path", False),
        ("beats", False),
    ],
)
def test_downbeats_without_beats_are_told(root: Path, columns: str, told: bool) -> None:
    sound(root / "x.wav")
    (root / "t.csv").write_text(f"track_id,path,instrument,{columns}\ns,x.wav,bass,{','.join(columns.split(','))}.txt\n")
    assert [item.item for item in rejected("table", root)] == (["s: downbeats"] if told else [])


def test_a_row_is_of_drums_only_where_it_says_so_and_has_no_label(root: Path) -> None:
    rows = ["a.wav,,true", "b.wav,bass,true", "c.wav,,false", "d.wav,,"]
    (root / "t.csv").write_text("\n".join(["track_id,path,instrument,is_drum", *(f"s,{row}" for row in rows)]))
    assert [stem.program for stem in found("table", root)[0].stems] == [128, None, None, None]


def test_a_folder_with_two_tables_is_not_read_as_one(root: Path) -> None:
    build_table(root)
    assert table.recognises(root)
    (root / "other.csv").write_bytes((root / "stems.csv").read_bytes())
    assert not table.recognises(root)


def test_table_as_parquet_file_equals_csv(root: Path) -> None:
    build_table(root)
    with (root / "stems.csv").open() as file:
        pq.write_table(pa.Table.from_pylist(list(csv.DictReader(file))), root / "t.parquet")
    from_parquet = found("table", root / "t.parquet")
    assert [replace(track, table=root / "stems.csv") for track in from_parquet] == found("table", root)


def test_a_parquet_table_of_pandas_is_read_with_its_gaps_and_its_index(root: Path) -> None:
    sound(root / "a.wav")
    rows = {"Track_ID": [7, 7], "path": ["a.wav", "b.wav"], "instrument": ["bass", None], "tempo": [np.nan, 90.5]}
    frame = pd.DataFrame({**rows, "is_drum": pd.array([None, 1], "Int64")}, index=["x", "y"])
    frame.to_parquet(root / "t.parquet")
    (song,) = found("table", root)
    assert (song.name, song.tempo_bpm, [stem.program for stem in song.stems]) == ("7", 90.5, [None, 128])
    assert not song.rejected and not rejected("table", root)
    table = pq.read_table(root / "t.parquet")
    pq.write_table(table.set_column(3, "tempo", pa.array([float("nan"), 90.5])), root / "t.parquet")
    assert found("table", root) == [song]
    frame.set_index("Track_ID").to_parquet(root / "t.parquet")
    assert [each.name for each in found("table", root)] == ["7"]


def test_table_of_type_and_path_is_of_single_parts(root: Path) -> None:
    sound(root / "x.wav")
    (root / "t.csv").write_text("type,path\nbass,x.wav\n,\ndrums,\n")
    (track,) = found("table", root)
    assert not track.aligned and track.stems[0].label == "bass"
    assert [item.reason for item in rejected("table", root)] == ["incomplete"]


@pytest.mark.parametrize("text", ["track_id,path\na,b\n", "", "\xff"])
def test_table_that_can_not_be_used_is_one_line(text: str, root: Path) -> None:
    (root / "t.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"t\.csv") as caught:
        list(table.tracks(root / "t.csv"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("before", ["", "one,bass.wav,bass,Highway,The Band\n"])
def test_a_comma_in_a_title_moves_no_cells(before: str, root: Path) -> None:
    (root / "t.csv").write_text(f"track_id,path,instrument,title,artist\n{before}two,a.wav,bass,Stop, Go,The Band\n")
    with pytest.raises(DataError, match=r"t\.csv, line \d has more cells than the header: write quotes around"):
        list(table.tracks(root / "t.csv"))


def test_rows_may_end_with_an_empty_cell(root: Path) -> None:
    sound(root / "a.wav")
    (root / "t.csv").write_text("track_id,path,instrument\none,a.wav,bass,\n")
    assert [stem.label for stem in found("table", root)[0].stems] == ["bass"]


@pytest.mark.parametrize(("delimiter", "encoding"), [(",", "utf-8-sig"), (";", "latin-1"), ("\t", "utf-8"), ("|", "utf-8")])
def test_table_of_any_delimiter_encoding_and_case_is_read(delimiter: str, encoding: str, root: Path) -> None:
    sound(root / "Café" / "a.wav")
    sound(root / "Café" / "b.wav")
    rows = [
        [" Track_ID", "Path", "Instrument ", "Artist"],
        ["one", r"Café\a.wav", "bass", "Zoë"],
        ["one", "Café/b.wav", "piano", ""],
    ]
    (root / "stems.csv").write_bytes("\r\n".join(delimiter.join(row) for row in rows).encode(encoding))
    (track,) = found("table", root)
    assert [stem.path for stem in track.stems] == [root / "Café" / "a.wav", root / "Café" / "b.wav"]
    assert track.artist == "Zoë" and [stem.label for stem in track.stems] == ["bass", "piano"]


def test_table_that_names_a_file_twice_tells_the_second(root: Path) -> None:
    sound(root / "a.wav")
    (root / "t.csv").write_text("track_id,path,instrument\none,a.wav,bass\none,a.wav,bass\none,./a.wav,bass\n")
    (track,) = found("table", root)
    assert len(track.stems) == 1
    assert [(item.item, item.reason) for item in rejected("table", root)] == [("t.csv row 3", "twice"), ("t.csv row 4", "twice")]


def test_table_names_files_of_beats_downbeats_and_chords(root: Path, tmp_path: Path) -> None:
    sound(root / "a" / "bass.wav")
    for name in ("beats.txt", "bars.txt", "chords.csv"):
        (root / "a" / name).write_text("0 1 C:maj")
    (root / "stems.csv").write_text(
        "track_id,path,instrument,beats_path,downbeats,chords_path\na,a/bass.wav,bass,a/beats.txt,a/bars.txt,a\\chords.csv\n"
    )
    (track,) = scan([root], tmp_path / "work").tracks
    assert (track.beats_path, track.downbeats_path, track.chords_path) == ("a/beats.txt", "a/bars.txt", "a/chords.csv")
    (root / "a" / "bars.txt").unlink()
    assert [row.reason for row in scan([root], tmp_path / "other").rejects if "bars" in row.item] == ["missing"]


def test_files_outside_the_folder_of_a_table_need_an_option(root: Path, tmp_path: Path) -> None:
    sound(tmp_path / "disk" / "a.wav")
    sound(root / "b.wav")
    path = root / "stems.csv"
    path.write_text(f"track_id,path,instrument\na,{tmp_path / 'disk' / 'a.wav'},bass\na,b.wav,piano\na,../disk/c.wav,flute\n")
    sound(tmp_path / "disk" / "c.wav")
    rows = scan([path], tmp_path / "work")
    assert [stem.instrument for stem in rows.stems] == ["piano"]
    assert {row.reason for row in rows.rejects} == {"unsafe_path"} and "--allow-outside" in rows.rejects[0].detail
    for _ in range(2):  # the second time it is the dataset that the folder knows
        rows = scan([path], tmp_path / "work", allow_outside=True)
        assert {track.dataset for track in rows.tracks} == {"stems"} and not rows.rejects
        assert {tmp_path / stem.path for stem in rows.stems} == {
            tmp_path / "disk" / "a.wav",
            tmp_path / "disk" / "c.wav",
            root / "b.wav",
        }


@pytest.mark.parametrize(
    "again", ["../data/a.wav", "{root}/a.wav", "x/../a.wav", "link.wav", "../data/x/../a.wav", "linked/a.wav"]
)
@pytest.mark.parametrize("track", ["a", "b"])
def test_a_file_that_two_paths_of_a_table_name_is_read_once(again: str, track: str, root: Path, tmp_path: Path) -> None:
    sound(root / "a.wav")
    sound(root / "b.wav")
    sound(root / "x" / "c.wav")
    (root / "link.wav").symlink_to(root / "a.wav")
    (root / "linked").symlink_to(root)
    path = root / "stems.csv"
    path.write_text(
        f"track_id,path,instrument\na,a.wav,bass\na,b.wav,piano\n{track},{again.format(root=root)},bass\nb,x/c.wav,flute\n"
    )
    rows = scan([path], tmp_path / "work", allow_outside=True)
    assert [stem.instrument for stem in rows.stems] == ["bass", "piano", "flute"]
    assert [row.reason for row in rows.rejects] == ["twice"]


def test_one_track_in_two_encodings_is_one_song(root: Path) -> None:
    sound(root / "a.wav")
    (root / "t.csv").write_text("track_id,path,instrument\nCan\u00e7\u00e3o,a.wav,bass\nCanc\u0327a\u0303o,b.wav,drums\n")
    assert [len(song.stems) for song in found("table", root)] == [2]


def test_columns_of_unknown_names_are_told(root: Path) -> None:
    sound(root / "a.wav")
    (root / "t.csv").write_text("Unnamed: 0,track_id,path,instrument,Genres,x\n0,one,a.wav,bass,rock,1\n")
    told = [(item.item, item.reason, item.detail) for item in rejected("table", root)]
    assert told == [
        ("t.csv: genres", "unread_column", "no such column: is it genre?"),
        ("t.csv: x", "unread_column", "no such column"),
    ]


def test_a_table_that_contradicts_the_names_of_files_is_told(root: Path) -> None:
    rows = [
        "one,vocals.wav,drums",
        "one,drums.wav,bass",
        "one,Kick 01.wav,drum machine",
        "one,a7f3.wav,piano",
        "one,mix.wav,guitar",
    ]
    (root / "t.csv").write_text("\n".join(["track_id,path,instrument", *rows]))
    (one,) = found("table", root)
    assert [(each.item, each.reason) for each in one.rejected] == [("vocals.wav", "names_differ"), ("drums.wav", "names_differ")]
    assert [stem.label for stem in one.stems[:2]] == ["drums", "bass"]
    (root / "t.csv").write_text("track_id,path,instrument\none,mix.wav,\none,click.wav,other\none,x.wav,\none,drums.wav,other\n")
    assert [item.item for item in rejected("table", root)] == ["mix.wav", "click.wav"]


def test_a_track_id_of_artist_and_title_gives_both_where_no_column_does(root: Path) -> None:
    (root / "t.csv").write_text(
        "track_id,path,instrument,artist\nAnn - Moon,a.wav,bass,\nBert - Sun,b.wav,bass,Carl\n3,c.wav,bass,\n"
    )
    songs = [(song.name, song.artist, song.title) for song in found("table", root)]
    assert songs == [("Ann - Moon", "Ann", "Moon"), ("Bert - Sun", "Carl", "Bert - Sun"), ("3", None, "3")]


def test_yes_and_no_are_read_in_all_forms_and_others_are_told(root: Path) -> None:
    cells = {"1.0": 128, "Y": 128, "x": 128, "0.0": None, "n": None, "perhaps": None}
    rows = [f"one,{number}.wav,,{cell}" for number, cell in enumerate(cells)]
    (root / "t.csv").write_text("\n".join(["track_id,path,instrument,is_drum", *rows]))
    (one,) = found("table", root)
    assert [stem.program for stem in one.stems] == [*cells.values()]
    assert [(each.item, each.reason) for each in one.rejected] == [("one: is_drum perhaps", "not_understood")]


def test_a_table_of_stems_may_be_a_text_file_and_beside_other_texts(root: Path) -> None:
    (root / "README.txt").write_text("recorded at home\n")
    (root / "notes.csv").write_text("a,b\n1,2\n")
    (root / "stems.txt").write_text("track_id\tpath\tinstrument\tsplit\none\ta.wav\tbass\ttest\n")
    assert table.recognises(root) and [song.split for song in found("table", root)] == ["test"]
    rows = pa.table({"track_id": ["two"], "path": ["a.wav"], "instrument": ["bass"]})
    (root / "stems.txt").unlink()
    pq.write_table(rows, root / "stems.parquet")
    assert table.recognises(root) and [song.name for song in found("table", root)] == ["two"]


def test_tracks_that_a_spreadsheet_may_have_parted_are_told(root: Path) -> None:
    rows = ["01,a.wav,bass", "1,b.wav,drums", "Song,c.wav,bass", "song,d.wav,drums", "10,e.wav,bass", "0,f.wav,bass"]
    rows += ["2,g.wav,bass", "2.0,h.wav,drums", "Blue Moon,i.wav,bass", "Blue_Moon,j.wav,drums", "1.5,k.wav,bass"]
    (root / "t.csv").write_text("\n".join(["track_id,path,instrument", *rows]))
    told = [(item.item, item.reason) for item in rejected("table", root)]
    pairs = ("01, 1", "Song, song", "2, 2.0", "Blue Moon, Blue_Moon")
    assert told == [(f"t.csv: {pair}", "rows_differ") for pair in pairs]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_tables_of_spreadsheets_are_read(root: Path, encoding: str) -> None:
    (root / "t.csv").write_bytes("sep=;\r\ntrack_id;path;instrument\r\nCanção;a.wav;bass\r\n".encode(encoding))
    (one,) = found("table", root)
    assert (one.name, one.stems[0].label) == ("Canção", "bass")


def test_what_any_row_says_of_a_track_counts_and_contradictions_are_told(root: Path) -> None:
    rows = [
        "one,a.wav,bass,,train,Me,120 BPM",
        "one,b.wav,drums,rock,test,,",
        "two,c.wav,bass,,,,fast",
        'three,d.wav,bass,,,,"97,5"',
    ]
    (root / "t.csv").write_text("\n".join(["track_id,path,instrument,genre,split,artist,tempo", *rows]))
    one, two, three = found("table", root)
    assert (one.genre, one.split, one.artist, one.tempo_bpm) == ("rock", "train", "Me", 120)
    assert [(each.item, each.reason) for each in one.rejected] == [("one: split", "rows_differ")]
    assert two.tempo_bpm is None and [(each.item, each.reason) for each in two.rejected] == [("two: fast", "not_understood")]
    assert three.tempo_bpm == 97.5 and not three.rejected


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_path_is_found_in_the_encoding_of_the_disk(form: str, root: Path) -> None:
    sound(root / unicodedata.normalize(form, "Can\u00e7\u00e3o.wav"))
    (root / "t.csv").write_text("track_id,path,instrument\na,Can\u00e7\u00e3o.wav,bass\na,Canc\u0327a\u0303o.wav,drums\n")
    (song,) = found("table", root)
    assert [stem.path.is_file() for stem in song.stems] == [True]
    assert [(item.item, item.reason) for item in rejected("table", root)] == [("t.csv row 3", "twice")]
