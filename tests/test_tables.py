"""Tables: round trip, provenance, and what damaged ones say."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructme.manifests import columns, describe, rows, tables
from instructme.manifests.rows import DataError, Reject, Rule


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
    assert (Path(__file__).parents[1] / "docs/tables.md").read_text() == describe.markdown()


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


def values(column: columns.Column) -> st.SearchStrategy[Any]:
    """Draw what a column may hold, or the items of its lists."""
    kind, rule = column.field.type, column.value
    kind = kind.value_type if pa.types.is_list(kind) else kind
    letters = st.characters(exclude_categories=["Cs"])
    if pa.types.is_string(kind):
        return st.from_regex(rule.pattern, fullmatch=True, alphabet=letters) if rule.pattern else st.text(letters)
    if pa.types.is_integer(kind):
        return st.integers(int(max(rule.least, -(2**63))), int(min(rule.most, 2**63 - 1)))
    if pa.types.is_boolean(kind):
        return st.booleans()
    bounds = {name: None if math.isinf(value) else value for name, value in (("min_value", rule.least), ("max_value", rule.most))}
    return st.floats(**bounds, allow_nan=False, allow_infinity=False)


@st.composite
def row(draw: st.DrawFn, row_type: type) -> Any:
    """Draw a row that keeps to all rules of its type."""
    lengths = {name: draw(st.shared(st.integers(0, 4), key=names)) for names in getattr(row_type, "EQUAL", ()) for name in names}
    drawn: dict[str, Any] = {}
    for column in columns.columns(row_type):
        own, name = values(column), column.field.name
        if pa.types.is_list(column.field.type):
            least = max(0, int(max(column.size.least, 0)))
            own = st.lists(own, min_size=lengths.get(name, least), max_size=lengths.get(name, 4))
        drawn[name] = draw(own | st.none() if column.field.nullable else own)
    return row_type(**drawn)


def unique(row_type: type) -> Callable[[Any], object]:
    names = getattr(row_type, "KEY", ()) or [field.name for field in dataclasses.fields(row_type)]
    return lambda drawn: repr([getattr(drawn, name) for name in names])


@settings(max_examples=25)
@given(data=st.data())
@pytest.mark.parametrize("row_type", dict.fromkeys(describe.TABLES.values()))
def test_random_rows_of_every_type_survive_the_round_trip(
    row_type: type, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    written = data.draw(st.lists(row(row_type), max_size=3, unique_by=unique(row_type)))
    path = tmp_path_factory.mktemp("round") / "table.parquet"
    tables.write(path, written, row_type, arguments={"x": 1}, seed=2)
    assert tables.read_rows(path, row_type) == written
    one, two = tables.schema(row_type).names[:2]
    assert tables.read(path, row_type, [two, one]).to_pylist() == [
        {two: getattr(each, two), one: getattr(each, one)} for each in written
    ]
    for each in written:
        tables.check_types(each)


@settings(max_examples=25)
@given(data=st.data())
@pytest.mark.parametrize("row_type", dict.fromkeys(describe.TABLES.values()))
def test_a_value_that_breaks_its_rule_is_refused(
    row_type: type, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sound = data.draw(row(row_type))
    ruled = [column for column in columns.columns(row_type) if column.value != Rule()]
    column = data.draw(st.sampled_from(ruled))
    broken: list[Any] = ["\0"] if column.value.pattern else []
    broken += [column.value.least - 1] if column.value.least > -math.inf else []
    broken += [column.value.most + 1] if column.value.most < math.inf else []
    broken += [math.nan, math.inf, -math.inf] if "double" in str(column.field.type) else []
    value = data.draw(st.sampled_from(broken))
    name = column.field.name
    listed = pa.types.is_list(column.field.type)
    wrong = dataclasses.replace(sound, **{name: [value, *getattr(sound, name)[1:]] if listed else value})
    if listed and not getattr(sound, name):
        return
    path = tmp_path_factory.mktemp("broken") / "table.parquet"
    tables.write(path, [wrong], row_type)
    with pytest.raises(DataError, match=rf"was changed by hand: {name} holds .*: delete it and run 'instructme"):
        tables.read(path, row_type)
    with pytest.raises(TypeError, match=name):
        tables.check_types(wrong)


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


def test_many_tables_are_read_as_one_in_their_order(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.parquet" for number in (2, 0, 1)]
    for path in paths:
        tables.write(path, [Reject("scan", None, None, path.name, "broken", "x", 1)] * 2, Reject)
    joined = tables.read_all(paths, Reject)
    assert joined.equals(pa.concat_tables([tables.read(path, Reject) for path in paths]))
    assert len(tables.read_all([], Reject)) == 0
    whole = paths[1].read_bytes()
    table = pq.read_table(paths[1])
    pq.write_table(table.drop_columns(["dataset"]).replace_schema_metadata(table.schema.metadata), paths[1])
    with pytest.raises(DataError, match=r"0\.parquet was changed by hand"):
        tables.read_all(paths, Reject)
    content = bytearray(whole)
    content[4:60] = bytes(56)
    paths[1].write_bytes(content)
    with pytest.raises(DataError, match=r"damaged table: .*0\.parquet"):
        tables.read_all(paths, Reject)


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
