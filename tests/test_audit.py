"""The whole audit: what it counts, at every stage, and how the verb ends."""

import json
import re
from pathlib import Path

import fsspec
import made_songs
import pandas as pd
import pytest
from audited import cells, findings, item, songs
from click.testing import CliRunner
from made_songs import Song, parts, recipe, row

from instructme.dataset_tools.audit import audit
from instructme.dataset_tools.audit.report import Finding, Histogram, Matrix, Table
from instructme.manifests import tables, urls
from instructme.manifests.rows import DataError, Reject, Stem, Track
from instructme.pipelines.cli import main
from instructme.pipelines.stages.shard import shard


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
