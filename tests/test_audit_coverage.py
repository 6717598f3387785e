"""Which instruments, genres and tasks an audit finds covered."""

import duckdb
import made_songs
import pytest
from audited import findings, item, songs
from made_songs import Song, parts, recipe
from synthetic import write_tables

from instructme.dataset_tools.audit import audit
from instructme.dataset_tools.audit.report import Matrix
from instructme.manifests import tables
from instructme.manifests.rows import Stem
from instructme.pipelines.stages.pair import pair


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
