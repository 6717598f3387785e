"""Tables changed by hand, of another version or damaged: one line that says what, where and what to do."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import soundfile
from hostile import HERE, PREPARE, error_of, good_song, invoke
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from instructme.manifests import tables
from instructme.manifests.rows import Clip, DataError, Part, Reject, Rhythm, Stem, Track, Triplet
from instructme.model.config import override
from instructme.model.presets import TINY
from instructme.pipelines.training.separator import read_bank

NAN, INFINITY = float("nan"), float("inf")
ROWS = {"tracks": Track, "stems": Stem, "parts": Part, "rhythm": Rhythm, "clips": Clip, "triplets": Triplet, "rejects": Reject}
READERS = {
    "tracks": ("prepare", "pair", "shard"),
    "stems": ("prepare",),
    "parts": ("pair", "shard"),
    "rhythm": ("pair", "shard"),
    "clips": ("pair",),
    "triplets": ("shard",),
    "rejects": ("prepare", "pair"),
    "shards/train-00000": ("verify",),
}
"""Verbs that read each table; the first is the one tried with each change."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a dataset of seven songs down to shards."""
    folder = tmp_path_factory.mktemp("whole")
    for number in range(6):
        good_song(folder / "data" / f"Artist {number} - Song {number}")
    good_song(folder / "data" / "Short")
    for path in (folder / "data" / "Short").iterdir():
        path.write_bytes(path.read_bytes()[:3000])
    for arguments in (("scan", folder / "data", "-o", folder / "work"), *(command(folder / "work", verb) for verb in VERBS)):
        result = invoke(*arguments)
        assert result.exit_code == 0, result.output
    return folder / "work"


VERBS = ("prepare", "pair", "shard", "verify")


def command(work: Path, verb: str) -> tuple[object, ...]:
    return {
        "prepare": ("prepare", work, *PREPARE, "--chords", "midi"),
        "pair": ("pair", work, "--total", "20", "--eval-count", "2"),
        "shard": ("shard", work, *HERE),
        "verify": ("verify", work / "shards", "--work", work, *HERE),
    }[verb]


@pytest.fixture
def work(whole: Path, tmp_path: Path) -> Path:
    """Copy the working folder, to be changed."""
    return copied(whole, tmp_path / "work")


def copied(whole: Path, work: Path) -> Path:
    """Copy a working folder; what is never changed is linked."""

    def copy(source: str, target: str) -> object:
        return shutil.copy(source, target) if source.endswith((".parquet", ".json")) else os.link(source, target)

    return Path(shutil.copytree(whole, work, copy_function=copy))


def rewrite(path: Path, table: pa.Table, **provenance: object) -> None:
    """Write a changed table as a careful person would: its schema, and the provenance but for what is given, as they were."""
    metadata = dict(pq.read_schema(path).metadata)
    metadata[b"instructme"] = json.dumps({**json.loads(metadata[b"instructme"]), **provenance}).encode()
    pq.write_table(table.replace_schema_metadata(metadata), path)


def change(path: Path, column: str, row: int, value: object) -> None:
    table = pq.read_table(path)
    field = table.schema.field(column)
    values = table[column].to_pylist()
    values[row] = value
    rewrite(path, table.set_column(table.schema.get_field_index(column), field, pa.array(values, field.type)))


CELLS: list[tuple[str, str, object]] = [
    ("tracks", "track_id", "../../x"),
    ("tracks", "track_id", ""),
    ("tracks", "split", "tests"),
    ("tracks", "path", "../elsewhere"),
    ("tracks", "path", "/etc"),
    ("tracks", "chords_path", "a/../../b.lab"),
    ("tracks", "tempo_bpm", NAN),
    ("tracks", "tempo_bpm", -1.0),
    ("stems", "sample_rate_hz", 0),
    ("stems", "sample_rate_hz", -44100),
    ("stems", "length_samples", -1),
    ("stems", "length_samples", 0),
    ("stems", "channels", 0),
    ("stems", "program", 129),
    ("stems", "path", "../../etc/passwd"),
    ("stems", "path", "/etc/passwd"),
    ("stems", "path", "a\0b"),
    ("stems", "midi_path", ".."),
    ("parts", "sample_rate_hz", 0),
    ("parts", "length_samples", -5),
    ("parts", "gain", INFINITY),
    ("parts", "rms_db", NAN),
    ("parts", "path", "../x.flac"),
    ("parts", "activity", [True]),
    ("rhythm", "confidence", 2.0),
    ("rhythm", "beats_samples", [0, -1]),
    ("rhythm", "beats_samples", [0, None]),
    ("rhythm", "beat_positions", [1]),
    ("rhythm", "chord_labels", ["C:maj"]),
    ("clips", "start_samples", -1),
    ("clips", "length_samples", 0),
    ("clips", "active", [NAN, 1.0]),
    ("clips", "rms_db", [-20.0]),
    ("clips", "usable", []),
    ("clips", "mix_rms_db", NAN),
    ("triplets", "triplet_id", "../x"),
    ("triplets", "target_stretch", NAN),
    ("triplets", "source_instruments", []),
    ("triplets", "length_samples", 1 << 50),
    ("triplets", "task", "sing"),
    ("rejects", "stage", "later"),
    ("rejects", "count", 0),
    ("shards/train-00000", "sample_rate_hz", 0),
    ("shards/train-00000", "source_rms_db", NAN),
    ("shards/train-00000", "source_offset_bytes", -1),
    ("shards/train-00000", "json_size_bytes", 0),
]


@pytest.mark.parametrize(("name", "column", "value"), CELLS)
def test_a_cell_changed_by_hand_is_named(name: str, column: str, value: object, work: Path) -> None:
    change(work / f"{name}.parquet", column, 1, value)
    result = invoke(*command(work, READERS[name][0]))
    told = result.stdout if name.startswith("shards") else error_of(result)
    assert result.exit_code == 1 and f"{Path(name).name}.parquet was changed by hand: " in told, told
    assert column in told and ": delete it and run 'instructme " in told and "' again" in told


@pytest.mark.parametrize("name", [name for name in READERS if name != "rejects"])
def test_rows_that_are_there_twice_are_named(name: str, work: Path) -> None:
    path = work / f"{name}.parquet"
    table = pq.read_table(path)
    rewrite(path, pa.concat_tables([table, table.slice(0, 1)]))
    result = invoke(*command(work, READERS[name][0]))
    assert result.exit_code == 1 and "two rows have the same " in result.output and path.name in result.output


@pytest.mark.parametrize("name", READERS)
def test_tables_of_another_version_or_of_none_are_one_line(name: str, work: Path) -> None:
    path = work / f"{name}.parquet"
    table = pq.read_table(path)

    def told() -> str:
        result = invoke(*command(work, READERS[name][0]))
        assert result.exit_code == 1, result.output
        return result.stdout if name.startswith("shards") else error_of(result)

    rewrite(path, table, schema_version=2)
    assert "of schema version 2, not" in told() and "delete it and run 'instructme" in told()
    for provenance in ({"schema": None}, {"schema_version": "1"}, {"parents": ["x"]}, {"arguments": 3}):
        rewrite(path, table)
        rewrite(path, table, **provenance)
        assert "not a table of instructme" in told()
    pq.write_table(table.replace_schema_metadata(None), path)
    assert "not a table of instructme" in told()
    pq.write_table(table.replace_schema_metadata({b"instructme": b"[1"}), path)
    assert "not a table of instructme" in told()
    path.write_bytes(path.read_bytes()[:-100])
    assert "not a table of instructme" in told()


def test_a_table_whose_columns_were_changed_is_named(work: Path) -> None:
    path = work / "stems.parquet"
    table = pq.read_table(path)
    rewrite(path, table.append_column("mine", pc.if_else(table["editable"], 1, 0)))
    assert "its columns aren't those of Stem" in error_of(invoke(*command(work, "prepare")))
    rewrite(path, table.set_column(0, "track_id", pc.binary_length(table["track_id"])))
    assert "its columns aren't those of Stem" in error_of(invoke(*command(work, "prepare")))


def test_text_that_is_no_utf8_is_named(work: Path) -> None:
    path = work / "stems.parquet"
    table = pq.read_table(path)
    wrong = pa.array([b"\xff\xfe"] * len(table), pa.binary()).view(pa.string())
    rewrite(path, table.set_column(table.schema.get_field_index("label"), table.schema.field("label"), wrong))
    assert "damaged table" in error_of(invoke(*command(work, "prepare")))


def test_tables_that_no_longer_fit_each_other_are_named(work: Path) -> None:
    parts, clips = work / "parts.parquet", work / "clips.parquet"
    table = pq.read_table(parts)
    rewrite(parts, table.filter(pc.not_equal(table["track_id"], table["track_id"][0])))
    assert "clips.parquet names parts that parts.parquet doesn't have" in error_of(invoke(*command(work, "pair")))
    assert "parts.parquet has changed since" in error_of(invoke(*command(work, "shard")))
    change(parts, "track_id", 0, "data-nobody")
    assert "parts.parquet has tracks that tracks.parquet doesn't have" in error_of(invoke(*command(work, "pair")))
    rewrite(clips, pq.read_table(clips), arguments={})
    assert invoke(*command(work, "pair")).exit_code == 1


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file that `copied` has linked."""
    path.unlink()
    path.write_bytes(data)


def softer(parts: Path) -> None:
    """Write a part again at half its level: as many samples, but other audio."""
    path = parts / "data-artist-0-song-0" / "bass.flac"
    samples, rate_hz = soundfile.read(path)
    path.unlink()
    soundfile.write(path, samples / 2, rate_hz)


def swapped(parts: Path) -> None:
    bass, piano = (parts / "data-artist-0-song-0" / f"{name}.flac" for name in ("bass", "piano"))
    held = bass.read_bytes(), piano.read_bytes()
    replace_file(piano, held[0])
    replace_file(bass, held[1])


def of_another_run(parts: Path) -> None:
    """Prepare a copy of the working folder with another option, and take its parts."""
    other = copied(parts.parent, parts.parent.parent / "other")
    assert invoke(*command(other, "prepare"), "--balance-stems").exit_code == 0
    shutil.rmtree(parts)
    shutil.copytree(other / "parts", parts)


@pytest.mark.parametrize("change_parts", [softer, swapped, of_another_run])
def test_part_files_that_were_replaced_after_prepare_are_named(change_parts: Any, work: Path) -> None:
    """Rendered, they would be other music than tables and instructions say, and `verify` would compare it with itself."""
    shutil.rmtree(work / "shards")
    change_parts(work / "parts")
    for told in (error_of(invoke(*command(work, "shard"))), refusal(work)):
        assert "the part file " in told and ".flac was replaced after prepare: run prepare again" in told
    assert invoke(*command(work, "prepare")).exit_code == 0
    for verb in ("pair", "shard", "verify"):
        assert invoke(*command(work, verb)).exit_code == 0


def test_verify_names_each_part_file_that_was_replaced_once_for_a_shard(work: Path) -> None:
    softer(work / "parts")
    result = invoke(*command(work, "verify"))
    told = [line for line in result.output.splitlines() if ".flac was replaced after prepare: run prepare again" in line]
    assert result.exit_code == 1 and told and "law of" not in result.output
    assert all(" triplet" in line and "can't be compared with the parts: the part file " in line for line in told)
    assert len({(line.split(": ")[0], line.split("part file ")[1]) for line in told}) == len(told)


def refusal(work: Path) -> str:
    """Read the parts as the training of a separator does."""
    with pytest.raises(DataError) as refused:
        read_bank(work, "train", override(TINY, ["separator.sample_rate_hz=8000"]))
    return str(refused.value)


def test_a_table_of_stems_that_was_deleted_can_be_made_again(work: Path) -> None:
    """What the message says works: delete it and scan again."""
    change(work / "stems.parquet", "sample_rate_hz", 1, 0)
    (work / "stems.parquet").unlink()
    assert "run 'instructme scan' first" in error_of(invoke(*command(work, "prepare")))
    root = json.loads((work / "datasets.json").read_text())["data"]["root"]
    assert invoke("scan", root, "-o", work).exit_code == 0
    result = invoke(*command(work, "prepare"))
    assert result.exit_code == 0 and "kept 7, redid 0" in result.output


EVIL: dict[str, st.SearchStrategy[Any]] = {
    "int64": st.sampled_from([-1, 0, 1 << 62, -(1 << 62)]) | st.integers(-(1 << 63), (1 << 63) - 1),
    "double": st.sampled_from([NAN, INFINITY, -1.0, 0.0]) | st.floats(),
    "string": st.sampled_from(["", "../../x", "/etc/passwd", "a\nb", "x" * 300, "drums"]) | st.text(),
    "bool": st.booleans(),
}


def evil(kind: pa.DataType) -> st.SearchStrategy[Any]:
    return st.lists(EVIL[str(kind.value_type)] | st.none(), max_size=3) if pa.types.is_list(kind) else EVIL[str(kind)]


anything = st.sampled_from([(name, field) for name, row_type in ROWS.items() for field in tables.schema(row_type)]).flatmap(
    lambda place: st.tuples(st.just(place[0]), st.just(place[1].name), evil(place[1].type))
)


@settings(max_examples=40)
@given(changed=anything, row=st.integers(0, 5))
def test_any_cell_may_be_anything(changed: tuple[str, str, object], row: int, whole: Path, tmp_path_factory: Any) -> None:
    """Every verb that reads the table takes it or ends in one line; nothing ever ends in a traceback."""
    name, column, value = changed
    work = copied(whole, tmp_path_factory.mktemp("any") / "work")
    assume(column in pq.read_schema(work / f"{name}.parquet").names)
    change(work / f"{name}.parquet", column, row % len(pq.read_table(work / f"{name}.parquet")), value)
    for verb in READERS[name]:
        result = invoke(*command(work, verb))
        if result.exit_code:
            error_of(result)
    shutil.rmtree(work)
