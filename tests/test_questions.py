"""The SQL recipes of the manual: each one is answered by DuckDB on a made working folder."""

import re
from pathlib import Path

import duckdb
import made_songs
import pytest
from synthetic import write_tables

from instructme.manifests import describe, rows, tables
from instructme.manifests.rows import Reject, Stem, Track
from instructme.pipelines.stages.pair import pair

SECTION = (Path(__file__).parents[1] / "docs/sql.md").read_text()
QUESTIONS = re.findall(r"```sql\n(.*?)```", SECTION, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make tables with recipes of all tasks, rejects of all stages, and a label that nobody knows."""
    folder = tmp_path_factory.mktemp("asked")
    write_tables(folder / "work", 40, 4)
    tracks = tables.read(folder / "work/tracks.parquet", Track)["track_id"].to_pylist()
    known = {"instrument": "other", "family": "other", "rule": "unmatched", "label": "zzqx", "path": "a/zzqx.wav"}
    stems = [made_songs.row(Stem, track_id=track, stem_id="S00", sample_rate_hz=44100, **known) for track in tracks]
    tables.write(folder / "work/stems.parquet", stems, Stem, parents=[folder / "work/tracks.parquet"])
    rejects = [Reject("prepare", "made", track, "clips", "silent_clip", "mostly silence", 2) for track in tracks[:3]]
    tables.write_rejects(folder / "work/rejects.parquet", "prepare", rejects)
    pair(folder / "work", total=2000, eval_count=30)
    return folder


def test_there_are_questions():
    assert len(QUESTIONS) >= 6


@pytest.mark.parametrize("sql", QUESTIONS, ids=lambda sql: re.sub(r"\W+", "-", sql.partition("\n")[0])[:40])
def test_every_question_has_an_answer(folder, monkeypatch, sql):
    monkeypatch.chdir(folder)
    answer = duckdb.sql(sql)
    found = answer.fetchall()
    assert found
    assert all(any(row[column] is not None for row in found) for column in range(len(answer.columns))), answer.columns


def test_every_table_is_asked_something():
    asked = set(re.findall(r"'work/(\w+)\.parquet'", SECTION))
    assert asked == {"tracks", "stems", "parts", "rhythm", "clips", "triplets", "rejects"}


def test_every_table_and_column_is_documented():
    """Row types are the classes of rows.py that say which table they are of."""
    types = {kind for kind in vars(rows).values() if isinstance(kind, type) and "Table `" in (kind.__doc__ or "")}
    assert set(describe.TABLES.values()) == types
    for name, kind in describe.TABLES.items():
        assert f"Table `{name}`" in " ".join((kind.__doc__ or "").split())
        assert all(f"| `{column}` |" in describe.markdown() for column in tables.schema(kind).names)
    assert (Path(__file__).parents[1] / "docs/tables.md").read_text() == describe.markdown()
