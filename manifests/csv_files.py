"""Read the rows of tables that users write as text."""

import csv
from collections.abc import Iterator
from pathlib import Path

from instructme.manifests.rows import DataError


def rows(path: Path, reader: "csv.DictReader[str]") -> Iterator[dict[str, str]]:
    """Yield the rows of a table by column.

    Raises:
        DataError: a row has more cells than the header, as where a title holds a comma.
    """
    for row in reader:
        if any(row.pop(None, ())):
            mark = reader.reader.dialect.delimiter
            what = f"has more cells than the header: write quotes around a cell that holds {mark!r}"
            raise DataError(f"{path}, line {reader.line_num} {what}")
        yield row
