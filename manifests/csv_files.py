"""Read tables that users write as text: commas, semicolons, tabs or bars part the cells, and a header names the columns."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from instructme.manifests.rows import DataError

_SEPARATOR = re.compile(r"\Asep=.(?=\r?\n)")
"""The first line that spreadsheets write to say what parts the cells."""


def read(path: Path, legacy: str = "utf-8") -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """Read a table in UTF-8, in UTF-16 if its first bytes say so, else in the `legacy` encoding.

    Returns:
        The columns, in lower case; then the line and the cells of each row that is not empty, all trimmed.

    Raises:
        DataError: two columns have one name, or a row has more cells than the header, as where a title holds a comma.
        OSError, ValueError, csv.Error: it is no such table.
    """
    text = _SEPARATOR.sub("", _decoded(path.read_bytes(), legacy)).lstrip("\r\n")
    mark = max(",;\t|", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    columns = [name.strip().lower() for name in next(reader, [])]
    if twice := [name for name in columns if name and columns.count(name) > 1]:
        raise DataError(f"{path} has two columns {twice[0]}: rename one of them")

    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells[len(columns) :]):
                what = f"has more cells than the header: write quotes around a cell that holds {mark!r}"
                raise DataError(f"{path}, line {reader.line_num} {what}")
            if any(cells):
                yield reader.line_num, dict(zip_longest(columns, cells[: len(columns)], fillvalue=""))

    return columns, rows()


def is_unicode(path: Path) -> bool:
    """Tell whether a table is in UTF-8 or UTF-16, so that no letter of it is a guess."""
    try:
        _decoded(path.read_bytes(), "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decoded(data: bytes, legacy: str) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode(legacy)
