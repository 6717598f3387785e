"""The whole audit: what it counts, at every stage, and how the verb ends."""

import json
import re
from dataclasses import replace
from pathlib import Path

import duckdb
import fsspec
import made_songs
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from made_songs import Song, parts, recipe, row
from synthetic import write_tables

from instructme.dataset_tools.audit import audit, inputs, shapes
from instructme.dataset_tools.audit.report import Finding, Histogram, Matrix, Report, Table
from instructme.manifests import tables, urls
from instructme.manifests.rows import DataError, Part, Reject, Rhythm, Stem, Track
from instructme.pipelines.cli import main
from instructme.pipelines.stages.pair import pair
from instructme.pipelines.stages.shard import shard


def songs() -> list[Song]:
    return [
        Song("a", "train", parts(1), {"licence": "CC-BY-4.0", "genre": None}),
        Song("b", "train", parts(2), {"dataset": "other", "bleed": True}),
        Song("c", "validation", parts(3)),
        Song("d", "test", parts(4)),
    ]


def findings(report: Report, section: str, level: str = "") -> list[Finding]:
    items = next(each.items for each in report.sections if each.id == section)
    return [item for item in items if isinstance(item, Finding) and level in ("", item.level)]


def item(report: Report, title: str):
    return next(item for section in report.sections for item in section.items if item.title == title)


def cells(table: Table) -> dict[object, dict[str, object]]:
    return {line[0]: dict(zip(table.columns, line, strict=True)) for line in table.rows}


def test_everything_is_counted(tmp_path):
    made = songs()
    recipes = [
        recipe(0, made[0], "add", [], ["drums"]),
        recipe(1, made[0], "remix", [], ["piano"], target_track="b", chord_agreement=0.8),
        recipe(2, made[1], "replace", ["drums"], ["piano"]),
        recipe(3, made[3], "extract", ["piano"], []),
    ]
    report = audit(made_songs.write(tmp_path / "work", made, recipes=recipes), audio=False)
    splits = cells(item(report, "By split"))
    assert splits["train"] == {
        "split": "train",
        "hours": 0.006667,
        "tracks": 2,
        "stems": 6,
        "parts": 6,
        "clips": 8,
        "triplets": 3,
    }
    assert (splits["validation"]["triplets"], splits["test"]["triplets"]) == (0, 1)
    assert cells(item(report, "By genre"))["unknown"]["tracks"] == 1
    assert cells(item(report, "By dataset"))["set"]["triplets"] == 3
    assert cells(item(report, "By instrument"))["piano"]["asked for in triplets"] == 3
    licences = item(report, "Triplets by licence and task")
    assert licences.rows == ("CC-BY-4.0", "CC-BY-4.0 AND CC0-1.0", "CC0-1.0")
    assert sum(map(sum, licences.values)) == 4 and licences.values[1][licences.columns.index("remix")] == 1
    together = item(report, "Instruments that play together")
    assert set(together.rows) == set(made_songs.NAMES) and set(sum(together.values, ())) == {16}


def test_the_facts_say_what_there_is_at_each_stage(tmp_path):
    made = songs()
    recipes = [recipe(0, made[0], "add", [], ["drums"]), *(recipe(n, made[3], "extract", ["piano"], []) for n in (1, 2))]
    facts = audit(made_songs.write(tmp_path / "work", made, recipes=recipes), audio=False).facts
    assert facts["music"] == "0.01 h in 4 songs of 12 stems" and facts["licences"] == "CC-BY-4.0, CC0-1.0"
    assert facts["prepared"] == "12 parts, 16 clips at 8,000 Hz"
    assert facts["triplets"] == "train 1, test 2", "in the order of the splits"
    scanned = audit(made_songs.write(tmp_path / "scanned", made, stage="scan"), audio=False).facts
    assert "prepared" not in scanned and "triplets" not in scanned


def test_sound_is_compared_unless_it_is_not_wanted(tmp_path):
    work = made_songs.write(tmp_path, songs()[:2])
    title = "Songs were not compared by sound"
    assert not any(each.title == title for each in findings(audit(work), "leakage"))
    assert any(each.title == title for each in findings(audit(work, audio=False), "leakage"))


def test_notes_are_compared_unless_it_is_not_wanted(tmp_path):
    work = made_songs.write(tmp_path, songs()[:2])
    for audio in (True, False):
        titles = {each.title for each in findings(audit(work, audio=audio), "labels")}
        assert ("Notes were not compared with sound" in titles) == (not audio)


def test_histograms_count_every_value_once(tmp_path):
    report = audit(made_songs.write(tmp_path, songs()), audio=False)
    for section in report.sections:
        for found in section.items:
            if isinstance(found, Histogram):
                assert all(len(counts) + 1 == len(found.edges) for counts in found.series.values())
    assert {split: sum(counts) for split, counts in item(report, "Loudness of parts").series.items()} == {
        "train": 6,
        "validation": 3,
        "test": 3,
    }


def rewrite(work: Path, name: str, row_type: type, change) -> None:
    """Give the rows of a table other values: `change` has the fields of a row that it replaces."""
    path = work / f"{name}.parquet"
    rows = [replace(each, **change(each)) for each in tables.read_rows(path, row_type)]
    tables.write(path, rows, row_type, parents=[work / "tracks.parquet"])


def counted_bins(histogram: Histogram, split: str) -> dict[tuple[float, float], int]:
    bins = zip(histogram.edges, histogram.edges[1:], histogram.series[split], strict=False)
    return {(low, high): count for low, high, count in bins if count}


def test_hours_are_those_in_which_parts_play(tmp_path):
    work = made_songs.write(tmp_path, songs())
    expected = dict.fromkeys(made_songs.NAMES, 0.0)
    for part in tables.read_rows(work / "parts.parquet", Part):
        expected[part.instrument] += sum(part.activity) / 10 / 3600
    report = audit(work, audio=False)
    told = {name: line["hours playing"] for name, line in cells(item(report, "By instrument")).items()}
    assert told == pytest.approx(expected, rel=1e-3)
    families = {"drums": "drums", "bass": "electric bass", "keys": "piano"}
    bars = item(report, "Hours playing by family").values
    assert bars == pytest.approx({family: expected[name] for family, name in families.items()}, rel=1e-6)
    assert list(bars.values()) == sorted(bars.values(), reverse=True)


def test_parts_begin_with_their_first_active_frame(tmp_path):
    made = songs()
    made[1].parts = {name: np.roll(sound, made_songs.WINDOW) for name, sound in made[1].parts.items()}
    work = made_songs.write(tmp_path, made)
    parts = inputs.read(work).parts
    expected = {
        (each.track_id, each.instrument): each.activity.index(True) for each in tables.read_rows(work / "parts.parquet", Part)
    }
    assert dict(zip(zip(parts["track_id"], parts["instrument"], strict=True), parts["first_active"], strict=True)) == expected
    assert len(set(expected.values())) > 3


def test_triplets_are_counted_by_task_with_the_hours_of_a_side(tmp_path):
    made = songs()
    recipes = [recipe(n, made[0], "remove", ["drums"], []) for n in range(3)]
    recipes += [recipe(3, made[3], "rebalance", ["piano"], []), recipe(4, made[3], "add", [], ["piano"])]
    report = audit(made_songs.write(tmp_path, made, recipes=recipes), audio=False)
    tasks = cells(item(report, "Triplets by task"))
    assert [tasks["remove"][name] for name in ("triplets", "train", "validation", "test")] == [3, 3, 0, 0]
    assert tasks["remove"]["hours per side"] == pytest.approx(3 * 3 / 3600, rel=1e-3)
    assert [tasks["rebalance"][name] for name in ("triplets", "train", "validation", "test")] == [1, 0, 0, 1]
    matrix = item(report, "Triplets by licence and task")
    assert matrix.columns == ("add", "remove", "extract", "replace", "remix", "rebalance"), "the usual tasks, and what was drawn"
    assert matrix.values == ((0, 3, 0, 0, 0, 0), (1, 0, 0, 0, 0, 1))
    used = item(report, "How often a source window is used")
    assert used.rows == (("train", 3, 1, 3.0, 3), ("test", 2, 1, 2.0, 2))
    assert used.note == "3 different instructions in 5 triplets."


def test_charts_have_each_value_in_its_bin(tmp_path):
    made = songs()
    recipes = [
        recipe(n, made[0], "remix", [], ["piano"], target_track="b", target_stretch=stretch, chord_agreement=0.72)
        for n, stretch in enumerate((1.05, 0.97))
    ]
    report = audit(made_songs.write(tmp_path, made, recipes=recipes), audio=False)
    stretches = counted_bins(item(report, "Remix: time-stretch of targets"), "train")
    assert stretches == {(-3.5, -2.5): 1, (4.5, 5.5): 1}
    assert counted_bins(item(report, "Remix: share of the time with the same chord"), "train") == {(70, 75): 2}
    assert counted_bins(item(report, "Parts that can be edited in a clip"), "train") == {(2.5, 3.5): 8}
    assert counted_bins(item(report, "Level of the mix of a clip"), "test") == {(-16, -14): 4}
    assert counted_bins(item(report, "Tempo of songs"), "test") == {(120, 125): 1}
    lengths = item(report, "Length of songs")
    assert lengths.edges[-1] == 6 and [*counted_bins(lengths, "train").values()] == [2]


def test_loudness_bandwidth_and_gain_of_parts_are_told(tmp_path):
    work = made_songs.write(tmp_path, songs())
    fine = audit(work, audio=False)
    titles = {each.title for each in findings(fine, "distributions")}
    assert not any("bandwidth" in title or "Turned down" in title for title in titles)
    loud = {"a": -30.0, "b": -20.0, "c": -18.0, "d": -10.0}
    rewrite(work, "parts", Part, lambda part: {"lufs": loud[part.track_id], "gain": 0.5 if part.track_id == "a" else 1.0})
    rewrite(work, "parts", Part, lambda part: {"bandwidth_hz": 3000} if part.track_id in "ab" else {})
    report = audit(work, audio=False)
    table = cells(item(report, "Loudness by instrument"))
    assert [table["piano"][name] for name in ("parts", "5 %", "median LUFS", "95 %")] == [4, -28.5, -19.0, -11.2]
    played = [np.mean(part.activity) for part in tables.read_rows(work / "parts.parquet", Part) if part.instrument == "piano"]
    assert table["piano"]["plays, % of the song"] == round(100 * np.median(played))
    told = {each.title: each for each in findings(report, "distributions")}
    assert told["6 parts of less bandwidth than the others"].table.rows == (("other", 3000, 3), ("set", 3000, 3))
    assert "reach 4,000 Hz" in told["6 parts of less bandwidth than the others"].detail
    assert "The lowest gain is -6.0 dB." in told["Turned down: 1 song"].detail


@pytest.mark.parametrize(("lost", "level"), [(1, "note"), (2, "note"), (3, "warning")])
def test_songs_without_trusted_beats_are_a_warning_where_they_are_most(tmp_path, lost, level):
    work = made_songs.write(tmp_path, songs())
    why = {"trusted": False, "reason": "notes off the grid"}
    rewrite(work, "rhythm", Rhythm, lambda rhythm: why if rhythm.track_id in "abc"[:lost] else {"key": "A:min"})
    report = audit(work, audio=False)
    (told,) = (each for each in findings(report, "distributions") if "trusted beats" in each.title)
    assert (told.level, told.title) == (level, f"{lost} of 4 songs without trusted beats")
    assert told.table.rows == (("notes off the grid", lost),)
    assert item(report, "Key of songs").rows == ("C:maj", "A:min"), "major before minor"
    assert item(report, "Source of beats, and whether remix trusts them").rows == ("midi, not trusted", "midi, trusted")


def filled(matrix: Matrix) -> dict[tuple[str, str], int]:
    return {
        (row, column): count
        for row, line in zip(matrix.rows, matrix.values, strict=True)
        for column, count in zip(matrix.columns, line, strict=True)
        if count
    }


def test_numbers_are_those_of_duckdb(tmp_path):
    write_tables(tmp_path, 20, 4)
    tables.write(tmp_path / "stems.parquet", [], Stem)
    pair(tmp_path, total=500, eval_count=20)
    report = audit(tmp_path, audio=False)

    def counted(names: str, end: str) -> dict[tuple[str, str], int]:
        rows = duckdb.sql(f"WITH long AS (SELECT *, {names}) {end}").fetchall()
        return {(one, other): count for one, other, count in rows}

    for split in ("train", "validation", "test"):
        names = f"unnest(list_concat(named, added)) AS name FROM '{tmp_path}/triplets.parquet' WHERE split = '{split}'"
        expected = counted(names, "SELECT name, task, count(*) FROM long GROUP BY ALL")
        assert filled(item(report, f"Instruments by task: {split}")) == expected
    names = f"unnest(instruments) AS name, unnest(usable) AS fit FROM '{tmp_path}/clips.parquet'"
    pairs = "FROM long AS a JOIN long AS b USING (clip_id) WHERE a.fit AND b.fit"
    expected = counted(names, f"SELECT a.name, b.name AS other, count(*) {pairs} GROUP BY ALL")
    assert filled(item(report, "Instruments that play together")) == expected


def test_empty_cells_are_named(tmp_path):
    made = songs()
    recipes = [recipe(n, song, "remove", [name], []) for n, song in enumerate(made) for name in made_songs.NAMES]
    work = made_songs.write(
        tmp_path, made, recipes=[each for each in recipes if not (each.split == "train" and each.named == ["piano"])]
    )
    report = audit(work, audio=False)
    (warning,) = (found for found in findings(report, "coverage", "warning") if "empty" in found.title)
    assert warning.title == "1 empty cell that could be filled"
    assert warning.table.rows == (("train", "piano", "remove", 2, 8),)
    (untaught,) = (found for found in findings(report, "coverage", "warning") if "never in train" in found.title)
    assert untaught.table.rows == (("piano", 2),)
    matrix = item(report, "Instruments by task: train")
    assert matrix.name_empty and matrix.values[matrix.rows.index("piano")][matrix.columns.index("remove")] == 0


@pytest.mark.parametrize(("split", "level"), [("train", "warning"), ("validation", "note"), ("test", "note")])
def test_empty_cells_are_a_warning_where_the_editor_learns(tmp_path, split, level):
    made = songs()
    recipes = [recipe(n, song, "remove", [name], []) for n, song in enumerate(made) for name in made_songs.NAMES]
    kept = [each for each in recipes if not (each.split == split and each.named == ["piano"])]
    (told,) = (
        each
        for each in findings(audit(made_songs.write(tmp_path, made, recipes=kept), audio=False), "coverage")
        if "could be filled" in each.title
    )
    assert (told.level, told.title) == (level, "1 empty cell that could be filled")
    assert told.table.rows[0][:3] == (split, "piano", "remove")


def test_what_test_alone_asks_for_is_told_without_recipes_of_validation(tmp_path):
    made = songs()
    recipes = [recipe(0, made[0], "remove", ["drums"], []), recipe(1, made[3], "remove", ["piano"], [])]
    report = audit(made_songs.write(tmp_path, made, recipes=recipes), audio=False)
    (untaught,) = (each for each in findings(report, "coverage", "warning") if "never in train" in each.title)
    assert untaught.table.rows == (("piano", 1),)


def test_cells_that_are_empty_for_want_of_clips_are_told_apart(tmp_path):
    made = songs()
    made[3].parts = {"drums": made[3].parts["drums"], "flute": made[3].parts["piano"], "piano": made[3].parts["piano"]}
    report = audit(made_songs.write(tmp_path, made), audio=False)
    (could,) = (found for found in findings(report, "coverage") if "could be filled" in found.title)
    (cannot,) = (found for found in findings(report, "coverage") if "want of clips" in found.title)
    assert ("test", "flute", "remove", 1, 4) in could.table.rows
    assert {line[:2] for line in cannot.table.rows} == {("train", "flute"), ("validation", "flute"), ("test", "electric bass")}


def test_lead_parts_are_not_missed_in_remixes(tmp_path):
    made = [Song("a", "train", {"drums": parts(1)["drums"], "vocals": parts(1)["piano"]})]
    recipes = [
        recipe(n, made[0], task, [], ["drums", "vocals"][: 1 if task == "remix" else 2])
        for n, task in enumerate(("add", "remix"))
    ]
    report = audit(made_songs.write(tmp_path, made, recipes=recipes), audio=False)
    assert not [found for found in findings(report, "coverage") if "could be filled" in found.title]


def test_rejects_are_counted_by_reason_with_an_example(tmp_path):
    made = songs()
    rejects = [
        Reject("scan", "set", None, "x.wav", "unreadable", "x.wav: bad header", 2),
        Reject("prepare", "set", "a", "clips", "silent_clip", "3 of 4 windows", 3),
        Reject("prepare", "set", "d", "clips", "silent_clip", "4 of 4 windows", 4),
    ]
    work = made_songs.write(tmp_path, made, rejects=rejects)
    clips = tables.read(work / "clips.parquet", made_songs.Clip)
    rows = [made_songs.Clip(**each) for each in clips.to_pylist() if each["track_id"] != "d"]
    tables.write(work / "clips.parquet", rows, made_songs.Clip)
    report = audit(work, audio=False)
    assert item(report, "By reason").rows[0] == ("prepare", "silent_clip", 7, 2, "clips", "3 of 4 windows")
    assert item(report, "Rejects").values == {"silent_clip": 7.0, "unreadable": 2.0}
    (lost,) = (found for found in findings(report, "rejects") if found.level == "warning")
    assert lost.title == "1 of 4 songs gave no clip" and lost.table.rows == (("d", "test", "silent_clip"),)


@pytest.mark.parametrize(("lost", "level"), [(0, "fine"), (1, "note"), (2, "warning")])
def test_lost_songs_are_a_warning_where_they_are_more_than_a_tenth(tmp_path, lost, level):
    made = [Song(f"{number}", "train", parts(1)) for number in range(10)]
    rejects = [Reject("prepare", "set", "0", "clips", reason, "", 1) for reason in ("silent_clip", "short", "short")]
    work = made_songs.write(tmp_path, made, rejects=rejects)
    clips = [clip for clip in tables.read_rows(work / "clips.parquet", made_songs.Clip) if int(clip.track_id) >= lost]
    tables.write(work / "clips.parquet", clips, made_songs.Clip)
    told = findings(audit(work, audio=False), "rejects")[0]
    assert told.level == level
    if lost:
        assert told.title == f"{lost} of 10 songs gave no clip"
        assert told.table.rows == (("0", "train", "short, silent_clip"), ("1", "train", "unknown"))[:lost]


def test_songs_and_datasets_that_lost_the_most_come_first(tmp_path):
    rejects = [
        Reject("scan", None, None, "x.wav", "unreadable", "bad header", 2),
        Reject("prepare", "set", "a", "clips", "silent_clip", "3 of 4", 3),
        Reject("prepare", "other", "b", "clips", "silent_clip", "4 of 4", 4),
        Reject("prepare", "other", "b", "piano", "short", "1 s", 1),
    ]
    report = audit(made_songs.write(tmp_path, songs(), rejects=rejects), audio=False)
    assert item(report, "Songs with most rejects").rows == (("b", 5, "short, silent_clip"), ("a", 3, "silent_clip"))
    assert [line[1:4] for line in item(report, "By reason").rows] == [
        ("silent_clip", 7, 2),
        ("unreadable", 2, 0),
        ("short", 1, 1),
    ]
    datasets = item(report, "Rejects by dataset")
    assert datasets.columns == ("other", "set", "unknown")
    assert dict(zip(datasets.rows, datasets.values, strict=True)) == {
        "short": (1, 0, 0),
        "silent_clip": (4, 3, 0),
        "unreadable": (0, 0, 2),
    }


def test_two_hundred_rows_of_a_table_are_shown_and_the_rest_is_counted():
    short, long = (shapes.table("Table", pd.DataFrame({"n": range(rows)}), "A note.") for rows in (200, 1300))
    assert (len(short.rows), short.note) == (200, "A note.")
    assert (len(long.rows), long.note) == (200, "A note. 1,100 more rows aren't shown.")


def test_cells_have_four_digits_words_for_truth_and_nothing_where_nothing_is():
    values = pd.DataFrame(
        {"x": [np.float64(0.123456), 999.96, 12345.678, True, np.int64(7), np.nan, np.inf, None, "word"]}, dtype=object
    )
    cells = [line[0] for line in shapes.table("Table", values).rows]
    assert cells == [0.1235, 1000.0, 12345.7, "yes", 7, None, None, None, "word"]


def test_values_beyond_a_histogram_are_in_its_outer_bins():
    values, splits = pd.Series([-5.0, 0.5, 1.5, 99.0, np.nan]), pd.Series(["train", "train", "test", "train", "test"])
    counted = shapes.histogram("Histogram", "dB", values, splits, [0, 1, 2, 3])
    assert counted.series == {"train": (2, 0, 1), "test": (0, 1, 0)} and list(counted.series) == ["train", "test"]
    assert shapes.histogram("Histogram", "dB", values[:0], splits[:0], [0, 1, 2, 3]).series == {"none": (0, 0, 0)}


def test_unknown_and_uncertain_names_are_listed_with_their_mending(tmp_path):
    made = songs()
    strange = {
        "label": "zzqx",
        "instrument": "other",
        "family": "other",
        "editable": False,
        "rule": "unmatched",
        "certain": False,
    }
    made[0].stems = {"piano": strange, "drums": {"certain": False, "label": "drmz"}}
    made[2].stems = {"piano": strange}
    report = audit(made_songs.write(tmp_path, made, stage="scan"), audio=False)
    unmatched, guessed = findings(report, "names")[:2]
    assert unmatched.level == "warning" and unmatched.table.rows == (("zzqx", "other", "set", 2, 2),)
    assert "--aliases" in unmatched.detail and guessed.table.rows[0][:2] == ("drmz", "drums")


@pytest.mark.parametrize(("strange", "level"), [(1, "note"), (2, "warning")])
def test_unknown_names_are_a_warning_from_a_hundredth_of_the_stems_on(tmp_path, strange, level):
    made = [Song(f"{number:02}", "train", parts(1)) for number in range(34)]
    for song in made[:strange]:
        song.stems = {"piano": {"rule": "unmatched", "label": "zzqx", "instrument": "other", "editable": False}}
    report = audit(made_songs.write(tmp_path, made, stage="scan"), audio=False)
    told = findings(report, "names")[0]
    assert (told.level, told.title) == (level, f"1 label without an instrument, {strange} of 102 stems")


def test_what_is_known_and_never_edited_is_counted_by_label(tmp_path):
    made = songs()
    effects = {"instrument": "sound effects", "family": "other", "editable": False}
    labels = {"a": "FX", "b": "Noise", "c": "Noise"}
    for song in made[:3]:
        song.stems = {"piano": {**effects, "label": labels[song.track_id]}}
    report = audit(made_songs.write(tmp_path / "some", made, stage="scan"), audio=False)
    assert item(report, "Known, but never edited").rows == (("sound effects", "Noise", 2), ("sound effects", "FX", 1))
    clean = audit(made_songs.write(tmp_path / "none", songs(), stage="scan"), audio=False)
    assert "Known, but never edited" not in {each.title for section in clean.sections for each in section.items}


@pytest.mark.parametrize(("stage", "following"), [("scan", "prepare"), ("prepare", "pair"), ("pair", "shard")])
def test_works_at_every_stage(tmp_path, stage, following):
    work = made_songs.write(tmp_path / "work", songs(), stage=stage)
    report = audit(work)
    assert report.facts["what to run next"] == f"instructme {following} {work}"
    assert ("coverage" in {section.id for section in report.sections}) == (stage != "scan")
    assert not [found for section in report.sections for found in findings(report, section.id, "error")]


def test_a_song_that_is_nearly_empty_is_audited(tmp_path):
    silence = {name: 0 * sound for name, sound in parts(1).items()}
    report = audit(made_songs.write(tmp_path, [Song("a", "train", silence)], recipes=[]))
    assert any("without a sound" in found.title for found in findings(report, "contents"))
    assert any("No track is in validation or test" in found.title for found in findings(report, "contents"))


def test_a_broken_chain_is_an_error(tmp_path):
    work = made_songs.write(tmp_path, songs())
    tables.write(work / "tracks.parquet", tables.read_rows(work / "tracks.parquet", Track), Track, seed=1)
    (error,) = findings(audit(work, audio=False), "tables", "error")
    assert len(error.table.rows) == 5 and "tracks.parquet has changed since" in error.table.rows[0][0]


def test_shards_are_compared_with_recipes(tmp_path):
    made = songs()
    work = made_songs.write(
        tmp_path, made, recipes=[recipe(n, made[0], "remove", ["drums"], [], target_instruments=["piano"]) for n in range(5)]
    )
    shard(work, tmp_path / "elsewhere", limit=2, workers=0)
    fsspec.filesystem("memory").put(str(tmp_path / "elsewhere"), "/audited/", recursive=True)
    for shards in (tmp_path / "elsewhere", urls.parse("memory://audited/elsewhere")):
        found = findings(audit(work, shards=shards, audio=False), "tables")
        assert [each.level for each in found] == ["fine", "note", "fine"], found
        assert found[1].table.rows == (("train", "remove", 5, 2),)
    shard(work, work / "shards", limit=3, workers=0)
    (note,) = findings(audit(work, audio=False), "tables", "note")
    assert note.table.rows == (("train", "remove", 5, 3),)
    index = json.loads((work / "shards/index.json").read_text())
    index["counts"]["train"]["remove"] = 9
    (work / "shards/index.json").write_text(json.dumps(index))
    recipes = tables.read_rows(work / "triplets.parquet", made_songs.Triplet)
    tables.write(work / "triplets.parquet", recipes[:4], made_songs.Triplet)
    titles = {found.title for found in findings(audit(work, audio=False), "tables", "error")}
    assert titles == {"The shards do not hold every recipe", "The shards were made from other tables"}


@pytest.mark.parametrize(
    ("counted", "level", "why"), [(0, "note", "rendered with --limit or --splits"), (9, "error", "belong to other recipes")]
)
def test_shards_of_too_few_and_of_other_recipes_are_told_apart(tmp_path, counted, level, why):
    made = songs()
    sides = {"target_instruments": ["piano"]}
    work = made_songs.write(tmp_path, made, recipes=[recipe(n, made[0], "remove", ["drums"], [], **sides) for n in range(3)])
    shard(work, work / "shards", workers=0)
    path = work / "shards/index.json"
    index = json.loads(path.read_text())
    index["counts"] = {"train": {"remove": counted} if counted else {}}
    path.write_text(json.dumps({**index, "bytes": 1_234_000_000}))
    (told,) = (each for each in findings(audit(work, audio=False), "tables") if each.title.startswith("The shards do not hold"))
    assert told.level == level and why in told.detail and "3 triplets in 1 shard, 1.23 GB" in told.detail
    assert told.table.rows == (("train", "remove", 3, counted),)
    path.unlink()
    unfinished = findings(audit(work, audio=False), "tables", "warning")
    assert [each.title for each in unfinished] == ["1 shard of an unfinished run"]


def run(*arguments: object):
    return CliRunner().invoke(main, ["audit", *map(str, arguments)])


def test_the_verb_writes_a_page_and_prints_findings(tmp_path):
    work = made_songs.write(tmp_path / "work", songs())
    result = run(work, "--examples", 1)
    assert result.exit_code == 0, result.output
    assert f"wrote {work / 'audit.html'}" in result.output and "checks found nothing wrong" in result.output
    page = (work / "audit.html").read_text()
    assert page.count("data:audio/") == 3 and "remove drums" in page
    assert run(work, "--examples", 0, "--no-audio", "--html", tmp_path / "sub/other.html").exit_code == 0
    assert "data:audio/" not in (tmp_path / "sub/other.html").read_text()


def test_strict_fails_for_errors_only(tmp_path):
    made = songs()
    work = made_songs.write(tmp_path / "work", made)
    assert run(work, "--strict", "--no-audio", "--examples", 0).exit_code == 0
    made_songs.write(tmp_path / "work", [*made, Song("e", "test", parts(9), {"leak_group": "a"})])
    result = run(work, "--no-audio", "--examples", 0)
    assert result.exit_code == 0 and "error: 1 leak_group in two splits" in result.output
    assert run(work, "--strict", "--no-audio", "--examples", 0).exit_code == 1


def test_examples_that_cannot_be_rendered_do_not_stop_the_audit(tmp_path):
    work = made_songs.write(tmp_path / "work", songs())
    (work / "parts/a/piano.flac").unlink()
    result = run(work)
    assert result.exit_code == 0, result.output
    assert "piano.flac" in result.output


@pytest.mark.parametrize("damage", ["none", "tracks", "triplets"])
def test_tables_that_cannot_be_read_end_in_one_line(tmp_path, damage):
    work = tmp_path / "work"
    work.mkdir()
    if damage != "none":
        made_songs.write(work, songs())
        (work / f"{damage}.parquet").write_bytes(b"PAR1 not a table")
    result = run(work)
    assert result.exit_code == 1
    assert re.fullmatch(r"Error: [^\n]+\n", result.output)
    assert ("instructme scan" if damage == "none" else f"{damage}.parquet") in result.output


def test_a_missing_stage_of_prepare_counts_as_not_prepared(tmp_path):
    work = made_songs.write(tmp_path, songs(), stage="prepare")
    (work / "clips.parquet").unlink()
    assert audit(work).facts["what to run next"] == f"instructme prepare {work}"


def test_pages_hold_plain_values_only(tmp_path):
    """Numbers of numpy and missing values of pandas would surprise whoever shows them."""
    report = audit(made_songs.write(tmp_path, songs()))
    for section in report.sections:
        for found in section.items:
            table = found.table if isinstance(found, Finding) else found
            if isinstance(table, Table):
                assert {type(value) for line in table.rows for value in line} <= {str, int, float, type(None)}
            if isinstance(table, Matrix):
                assert {type(value) for line in table.values for value in line} <= {int}
                assert all(len(line) == len(table.columns) for line in table.values)


def test_pandas_reads_every_table(tmp_path):
    work = made_songs.write(tmp_path, songs())
    for path in work.glob("*.parquet"):
        row_type = {"tracks": Track, "stems": Stem}.get(path.stem) or getattr(made_songs, _type(path))
        wanted = [name for name in tables.schema(row_type).names if name not in tables.later(row_type)]
        assert list(pd.read_parquet(path).columns) == wanted


def _type(path: Path) -> str:
    return {"parts": "Part", "rhythm": "Rhythm", "clips": "Clip", "triplets": "Triplet", "rejects": "Reject"}[path.stem]


def test_rows_of_any_type_can_be_made():
    assert row(Reject, stage="scan").count == 0
    with pytest.raises(DataError):
        tables.read(Path("/nowhere/tracks.parquet"), Track)
