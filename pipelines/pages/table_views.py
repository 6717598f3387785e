"""Prepare tables that a page sorts, folds and filters: plain ones, named bars, and matrices of few columns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from instructme.dataset_tools.audit import report
from instructme.pipelines.pages.line_plots import number, ticks

_FOLDED_ROWS, _SPARED_ROWS = 12, 3
"""Rows that are shown of a long table, and how many more aren't worth folding."""
_ROTATED_COLUMNS = 8
_LONGEST_WORD = 24
_LEAST_SHADE = 0.1
"""The shade of the smallest number above zero, so that it can be told from zero."""


@dataclass(frozen=True)
class Cell:
    """What is written, and what sorts it where that isn't the text; `share` is a shade or the length of a bar, in per cent."""

    text: str
    value: str = ""
    share: float | None = None
    style: str = ""


@dataclass(frozen=True)
class Scale:
    """Where the bars of a column start, and its ticks, in per cent of its width."""

    zero: float
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class TableView:
    """A table as shown: columns are (name, whether they hold numbers); `kind` is its class in the style sheet."""

    title: str
    note: str
    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[Cell, ...], ...]
    kind: str = ""
    scale: Scale | None = None
    empty: tuple[tuple[str, str], ...] = ()
    """Rows of a matrix that have empty cells, and the columns of these."""
    empty_count: int = 0

    @property
    def breaking(self) -> bool:
        """Has words that are too long for a column."""
        return any(len(word) > _LONGEST_WORD for row in self.rows for cell in row for word in cell.text.split())

    @property
    def rotated(self) -> bool:
        """Has column names that run upwards."""
        return self.kind == "heat" and len(self.columns) > _ROTATED_COLUMNS

    @property
    def folds_at(self) -> int:
        """Rows to show at first; 0: all."""
        return _FOLDED_ROWS if len(self.rows) > _FOLDED_ROWS + _SPARED_ROWS else 0


def table_view(table: report.Table) -> TableView:
    """Prepare a table; a column of numbers has one number of decimals."""
    columns = [written([row[place] for row in table.rows]) for place in range(len(table.columns))]
    numbers = [any(cell.style == "number" for cell in column) for column in columns]
    heads = tuple(zip(table.columns, numbers, strict=True))
    return TableView(table.title, table.note, heads, tuple(zip(*columns, strict=True)))


def bars_view(bars: report.Bars) -> TableView:
    """Prepare named bars from zero, as rows with a name, a number and a bar."""
    low, high = min([0.0, *bars.values.values()]), max([0.0, *bars.values.values()])
    high = high if high > low else low + 1

    def place(value: float) -> float:
        return 100 * (value - low) / (high - low)

    values = list(bars.values.values())
    lengths = [Cell("", share=place(value), style="bar") for value in values]
    rows = tuple(zip(written(list(bars.values)), written(values), lengths, strict=True))
    scale = Scale(place(0), tuple((place(value), number(value)) for value in ticks(low, high, 5)))
    return TableView(bars.title, bars.note, (("name", False), (bars.unit, True)), rows, "bars", scale)


def heat_view(matrix: report.Matrix) -> TableView:
    """Prepare a matrix of few columns, shaded by the square root of its counts."""
    most = max((count for row in matrix.values for count in row), default=0)
    empty = "number empty" if matrix.name_empty else "number zero"
    rows = tuple(
        (Cell(name), *(Cell(f"{count:,}", share=shade(count, most), style="number" if count else empty) for count in counts))
        for name, counts in zip(matrix.rows, matrix.values, strict=True)
    )
    heads = (("", False), *((name, True) for name in matrix.columns))
    return TableView(matrix.title, matrix.note, heads, rows, "heat", None, *empty_cells(matrix))


def shade(count: int, most: int) -> float:
    """Scale a count to 0 to 100 by its square root."""
    return 100 * (_LEAST_SHADE + (1 - _LEAST_SHADE) * math.sqrt(count / most)) if count > 0 else 0.0


def empty_cells(matrix: report.Matrix) -> tuple[tuple[tuple[str, str], ...], int]:
    """Name the empty cells row by row, and count them; nothing where these need no name."""
    if not matrix.name_empty:
        return (), 0
    found = [
        (name, [column for column, count in zip(matrix.columns, counts, strict=True) if not count])
        for name, counts in zip(matrix.rows, matrix.values, strict=True)
    ]
    everywhere = len(matrix.columns)
    named = tuple((name, "all" if len(at) == everywhere else ", ".join(at)) for name, at in found if at)
    return named, sum(len(at) for _, at in found)


def written(values: Sequence[report.Cell]) -> list[Cell]:
    """Write the cells of a column, its numbers with one number of decimals; what is missing is aligned as they are."""
    decimals = _decimals([value for value in values if isinstance(value, float) and math.isfinite(value)])
    cells = [_written(value, decimals) for value in values]
    missing = Cell("–", style="number none" if any(cell.style == "number" for cell in cells) else "none")
    return [missing if cell.style == "none" else cell for cell in cells]


def _decimals(values: Sequence[float]) -> int:
    """Choose as many decimals as three digits of the largest number need, but no more than were given."""
    largest = max(map(abs, values), default=0.0)
    wanted = next((decimals for decimals, least in enumerate((10_000, 1_000, 1)) if largest >= least), 3)
    return max((len(f"{value:.{wanted}f}".rstrip("0").partition(".")[2]) for value in values), default=0)


def _written(value: report.Cell, decimals: int) -> Cell:
    if value is None or value != value:
        return Cell("–", style="none")
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, str):
        return Cell(value, style="prose" if len(value) > _LONGEST_WORD else "")
    if math.isinf(value):
        return Cell("∞" if value > 0 else "−∞", "Infinity" if value > 0 else "-Infinity", style="number")
    text = (f"{value:,.{decimals}f}" if isinstance(value, float) else f"{value:,}").replace("-", "−")
    return Cell(text, "" if text == str(value) else str(value), style="number")
