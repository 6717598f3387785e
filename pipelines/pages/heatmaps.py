"""Draw wide matrices as heat maps: a picture with a pixel for each cell, its names beside it, its numbers under the pointer.

matplotlib is not used: in its picture, names can't be searched, and cells can't show their numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audit.report import Matrix
from instructme.pipelines.pages.pictures import png
from instructme.pipelines.pages.table_views import empty_cells, shade

WIDEST_TABLE = 18
"""Columns that fit on a page as numbers."""
_MOST_NAMES = 40
"""Names that can be read at once."""


@dataclass(frozen=True)
class HeatMap:
    """A matrix as a picture: `values` are its rows, separated by semicolons."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    uri: str
    values: str


@dataclass(frozen=True)
class HeatView:
    """A heat map, of the names with the highest counts where there are many, and then the whole of it."""

    matrix: Matrix
    maps: tuple[HeatMap, ...]
    most: str
    empty: tuple[tuple[str, str], ...]
    empty_count: int


def heat_map_view(matrix: Matrix) -> HeatView:
    """Prepare a matrix; colours go by the square root of counts."""
    values = np.array(matrix.values, dtype=np.int64).reshape(len(matrix.rows), len(matrix.columns))
    rows, columns = (_largest(values.sum(axis=axis)) for axis in (1, 0))
    most = int(values.max(initial=0))
    maps = [_map(matrix, values, rows, columns, most)]
    if len(rows) < len(matrix.rows) or len(columns) < len(matrix.columns):
        maps.append(_map(matrix, values, range(len(matrix.rows)), range(len(matrix.columns)), most))
    return HeatView(matrix, tuple(maps), f"{most:,}", *empty_cells(matrix))


def _largest(sums: npt.NDArray[np.int64]) -> list[int]:
    """Choose the names with the highest sums, in the order they came in."""
    return sorted(int(place) for place in np.argsort(-sums, kind="stable")[:_MOST_NAMES])


def _map(matrix: Matrix, values: npt.NDArray[np.int64], rows: Sequence[int], columns: Sequence[int], most: int) -> HeatMap:
    chosen = values[np.ix_(list(rows), list(columns))]
    shades = np.vectorize(lambda count: shade(count, most) / 100, otypes=[np.float32])(chosen)
    return HeatMap(
        tuple(matrix.rows[place] for place in rows),
        tuple(matrix.columns[place] for place in columns),
        png(shades[::-1], "tint"),
        ";".join(" ".join(map(str, row)) for row in chosen.tolist()),
    )


def transposed(matrix: Matrix) -> Matrix:
    """Swap rows and columns."""
    values = tuple(tuple(row[place] for row in matrix.values) for place in range(len(matrix.columns)))
    return replace(matrix, rows=matrix.columns, columns=matrix.rows, values=values)
