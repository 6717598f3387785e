"""Turn frames of counts into the items of a report."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from instructme.dataset_tools.audit.inputs import in_order
from instructme.dataset_tools.audit.report import Cell, Finding, Histogram, Level, Matrix, Table
from instructme.manifests.counting import counted as counted

MOST_ROWS = 200
"""Rows of a table; the note says how many more there are."""


def table(title: str, frame: pd.DataFrame, note: str = "") -> Table:
    """Show a frame, its columns named as they are, at most `MOST_ROWS` rows."""
    more = len(frame) - MOST_ROWS
    rows = tuple(tuple(_cell(value) for value in row) for row in frame.head(MOST_ROWS).itertuples(index=False, name=None))
    note = f"{note} {more:,} more rows aren't shown.".strip() if more > 0 else note
    return Table(title, tuple(map(str, frame.columns)), rows, note)


def _cell(value: object) -> Cell:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return float(f"{value:.4g}") if abs(value) < 1000 else round(value, 1)
    return value if isinstance(value, int) else str(value)


def histogram(title: str, unit: str, values: pd.Series, splits: pd.Series, edges: Sequence[float], note: str = "") -> Histogram:
    """Count values between edges, by split; what lies outside is counted in the first and the last bin, NaN nowhere."""
    kept = values.notna()
    values, splits = values[kept].clip(edges[0], edges[-1]), splits[kept]
    series = {
        split: tuple(np.histogram(values[splits == split], edges)[0].tolist()) for split in in_order(map(str, splits.unique()))
    }
    return Histogram(title, unit, tuple(map(float, edges)), series or {"none": (0,) * (len(edges) - 1)}, note)


def matrix(
    title: str,
    rows: pd.Series,
    columns: pd.Series,
    *,
    weights: pd.Series | None = None,
    row_names: Sequence[str] = (),
    column_names: Sequence[str] = (),
    note: str = "",
    name_empty: bool = False,
) -> Matrix:
    """Count rows by columns, or sum `weights`; names that are given are shown in their order, even if empty."""
    frame = pd.DataFrame({"row": rows.array, "column": columns.array, "n": 1 if weights is None else weights.to_numpy()})
    grid = frame.groupby(["row", "column"], observed=True)["n"].sum().unstack(fill_value=0)
    grid = grid.set_axis(list(map(str, grid.index)), axis=0).set_axis(list(map(str, grid.columns)), axis=1)
    row_names = tuple(row_names) or in_order(map(str, grid.index))
    column_names = tuple(column_names) or in_order(map(str, grid.columns))
    filled = grid.reindex(index=list(row_names), columns=list(column_names), fill_value=0).astype(int)
    return Matrix(title, row_names, column_names, tuple(map(tuple, filled.to_numpy().tolist())), note, name_empty)


def finding(level: Level, title: str, detail: str, columns: Sequence[str] = (), rows: Iterable[Sequence[object]] = ()) -> Finding:
    """State a finding, with a table of its cases if there are any."""
    frame = pd.DataFrame([tuple(row) for row in rows], columns=list(columns), dtype=object)
    return Finding(level, title, detail, table(title, frame) if len(frame) else None)
