"""Tables: round trip, provenance, and what damaged ones say."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests import describe, rows, tables
from manifests.rows import DataError, Reject


@dataclass(frozen=True, slots=True)
class Everything:
    """One column of every kind a row may have."""

    text: Annotated[str, "text"]
    maybe: Annotated[str | None, "text or null"]
    number: Annotated[int, "integer"]
    level: Annotated[float | None, "float or null"]
    flags: Annotated[list[bool], "booleans"]


REJECT = Reject("scan", "slakh", "slakh-track1", "S00.flac", "unreadable", "zero bytes", 1)


def test_every_column_is_documented() -> None:
    for row_type in describe.TABLES.values():
        for field in tables.schema(row_type):
            assert field.metadata[b"doc"].strip()


def test_documentation_of_tables_is_up_to_date() -> None:
    assert (Path(tables.__file__).parent / "README.md").read_text() == describe.markdown()


@given(
    st.lists(
        st.builds(
            Everything,
            text=st.text(st.characters(exclude_categories=["Cs"])),
            maybe=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
            number=st.integers(-(2**63), 2**63 - 1),
            level=st.none() | st.floats(allow_nan=False, allow_infinity=False),
            flags=st.lists(st.booleans()),
        )
    )
)
def test_rows_survive_the_round_trip(tmp_path_factory: pytest.TempPathFactory, written: list[Everything]) -> None:
    path = tmp_path_factory.mktemp("round") / "everything.parquet"
    tables.write(path, written, Everything)
    assert tables.read_rows(path, Everything) == written


def test_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        tables.write(tmp_path / name / "rejects.parquet", [REJECT], Reject, arguments={"rate": 24000}, seed=3)
    assert (tmp_path / "one/rejects.parquet").read_bytes() == (tmp_path / "two/rejects.parquet").read_bytes()


def test_chain_names_a_parent_that_changed_or_vanished(tmp_path: Path) -> None:
    parent, child = tmp_path / "tracks.parquet", tmp_path / "stems.parquet"
    parent.write_bytes(b"one")
    tables.write(child, [REJECT], Reject, parents=[parent])
    assert tables.broken_chain(child) == []
    parent.write_bytes(b"two")
    assert "tracks.parquet has changed" in tables.broken_chain(child)[0]
    parent.unlink()
    assert "tracks.parquet is missing" in tables.broken_chain(child)[0]


def test_atomic_leaves_nothing_behind_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), tables.atomic(tmp_path / "out") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_unusable_tables_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "rejects.parquet"
    with pytest.raises(DataError, match="no such table"):
        tables.read(path, Reject)
    path.write_bytes(b"not parquet")
    with pytest.raises(DataError, match="not a table of instructme"):
        tables.read(path, Reject)
    tables.write(path, [REJECT], Reject)
    with pytest.raises(DataError, match="holds Reject rows"):
        tables.read(path, rows.Track)
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["count"]).replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(DataError, match="changed by hand"):
        tables.read(path, Reject)


@pytest.mark.parametrize(("field", "value"), [("item", None), ("item", [1]), ("count", "x"), ("count", 1.5)])
def test_rows_made_from_text_must_fit_their_schema(field: str, value: object) -> None:
    tables.check_types(REJECT)
    with pytest.raises(TypeError, match=f"{field} of a Reject can't be"):
        tables.check_types(dataclasses.replace(REJECT, **{field: value}))


def test_rejects_of_one_stage_replace_only_their_own(tmp_path: Path) -> None:
    path = tmp_path / "rejects.parquet"
    later = Reject("pair", None, None, "remix", "no_match", "no genre labels", 7)
    tables.write_rejects(path, "pair", [later])
    tables.write_rejects(path, "scan", [REJECT, REJECT])
    tables.write_rejects(path, "scan", [REJECT])
    assert tables.read_rows(path, Reject) == [REJECT, later]
