"""Derive the columns of a table from its row type: their Arrow schema, and what their values keep to."""

import dataclasses
import functools
import math
import typing
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from instructme.manifests.rows import Rule

_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


@dataclasses.dataclass(frozen=True)
class Column:
    """A field of a row type: its Arrow field, and what its values and the lengths of its lists keep to."""

    field: pa.Field
    value: Rule
    size: Rule


@functools.cache
def columns(row_type: type) -> tuple[Column, ...]:
    """Read the columns of a row type from its annotations."""
    hints = typing.get_type_hints(row_type, include_extras=True)
    return tuple(_column(field.name, hints[field.name]) for field in dataclasses.fields(row_type))


def _column(name: str, hint: Any) -> Column:
    bare, stated = _unwrap(hint)
    options = typing.get_args(bare)
    item = options[0] if options else bare
    item, rules = _unwrap(item)
    doc = {"doc": next(text for text in stated if isinstance(text, str))}
    if typing.get_origin(bare) is list:
        return Column(pa.field(name, pa.list_(_ARROW[item]), nullable=False, metadata=doc), _rule(rules), _rule(stated))
    return Column(pa.field(name, _ARROW[item], nullable=bool(options), metadata=doc), _rule((*stated, *rules)), _rule(()))


def _unwrap(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Take the annotations off a type."""
    return (hint.__origin__, hint.__metadata__) if typing.get_origin(hint) is typing.Annotated else (hint, ())


def _rule(stated: Iterable[Any]) -> Rule:
    return next((each for each in stated if isinstance(each, Rule)), Rule())


@functools.cache
def schema(row_type: type) -> pa.Schema:
    """Derive the Arrow schema of a row type; the text of each `Annotated` field becomes its documentation."""
    return pa.schema([column.field for column in columns(row_type)])


def faults(table: pa.Table, row_type: type) -> Iterator[str]:
    """Say which values of a table, of all columns of the row type or some, are none that such a row may have."""
    held = set(table.column_names)
    for column in (column for column in columns(row_type) if column.field.name in held):
        yield from (f"{column.field.name} {fault}" for fault in _faults(column, table[column.field.name]))
    for names in (names for names in getattr(row_type, "EQUAL", ()) if held.issuperset(names)):
        lengths = [pc.list_value_length(table[name]) for name in names]
        if not all(lengths[0].equals(other) for other in lengths[1:]):
            yield f"{' and '.join(names)} differ in length"
    key = getattr(row_type, "KEY", ())
    if key and len(table) > 1 and held.issuperset(key) and table.group_by(list(key)).aggregate([]).num_rows < len(table):
        yield f"two rows have the same {' and '.join(key)}"


def _faults(column: Column, values: pa.ChunkedArray) -> Iterator[str]:
    if pa.types.is_list(values.type):
        yield from _broken("holds a list of length", pc.list_value_length(values), column.size)
        values = pc.list_flatten(values)
    if values.null_count and not column.field.nullable:
        yield "holds a null"
    yield from _broken("holds", values, column.value)


def _broken(what: str, values: pa.ChunkedArray, rule: Rule) -> Iterator[str]:
    """Say which of some values break their rule; nulls don't."""
    rules = []
    if rule.pattern:
        rules.append(pc.match_substring_regex(values, rf"\A({rule.pattern})\z"))
    if pa.types.is_floating(values.type):
        rules.append(pc.is_finite(values))
    if rule.least > -math.inf:
        rules.append(pc.greater_equal(values, rule.least))
    if rule.most < math.inf:
        rules.append(pc.less_equal(values, rule.most))
    for good in rules:
        if not pc.all(good, min_count=0).as_py():
            yield f"{what} {values.filter(pc.invert(good))[0].as_py()!r:.80}"
