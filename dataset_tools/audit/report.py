"""The results of an audit: tables, charts and findings, without HTML. Pages and the command line show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Cell = str | int | float | None
Level = Literal["error", "warning", "note", "fine"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts between edges, for each series: `len(edges) == len(counts) + 1`."""

    title: str
    unit: str
    edges: tuple[float, ...]
    series: Mapping[str, tuple[int, ...]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """A number for each name."""

    title: str
    unit: str
    values: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """Points (x, y) of each series, joined by a line."""

    title: str
    unit: str
    x_label: str
    series: Mapping[str, tuple[tuple[float, float], ...]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Counts of rows by columns; with `name_empty`, the page marks empty cells."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]
    note: str = ""
    name_empty: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check."""

    level: Level
    title: str
    detail: str
    table: Table | None = None


Item = Table | Histogram | Bars | Lines | Matrix | Finding


@dataclass(frozen=True, slots=True)
class Section:
    """Items under a heading; `id` is its anchor in the page."""

    id: str
    title: str
    blurb: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All results for a working folder."""

    title: str
    facts: Mapping[str, str]
    sections: tuple[Section, ...]
