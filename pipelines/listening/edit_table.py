"""Read the table of edits that a listening test compares: one row for each edit of each system."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from instructme.manifests.rows import DataError

COLUMNS = ("key", "task", "instruction", "source", "target", "edit", "system")
"""Columns that the table must have. `lead` is optional: a file that is laid on top of every clip of a remix."""
SOURCE, REFERENCE, ANCHOR = "source", "reference", "anchor"
RESERVED = (SOURCE, REFERENCE, ANCHOR)
"""Names of clips that no system may have."""


@dataclass
class Edited:
    """A triplet and its edits: system -> file."""

    key: str
    task: str
    instruction: str
    source: Path
    target: Path
    lead: Path | None = None
    edits: dict[str, Path] = field(default_factory=dict)


def read_table(path: Path) -> list[Edited]:
    """Read a CSV file. Paths in it are relative to its folder.

    Raises:
        DataError: the file can't be read, a column or cell is missing, rows of one key differ, or systems miss edits.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"can't read the table {path}: {error}") from None
    if missing := [name for name in COLUMNS if rows and name not in rows[0]]:
        raise DataError(f"{path}: the column {missing[0]} is missing; the columns are {', '.join(COLUMNS)}")
    found: dict[str, Edited] = {}
    for number, row in enumerate(rows, start=2):
        _add(found, row, f"{path}, line {number}", path.parent)
    if not found:
        raise DataError(f"{path}: the table has no rows; write one row for each edit of each system")
    _complete(path, list(found.values()))
    return list(found.values())


def _add(found: dict[str, Edited], row: dict[str, str], where: str, folder: Path) -> None:
    if empty := [name for name in COLUMNS if not row[name]]:
        raise DataError(f"{where}: {empty[0]} is empty; fill it in")
    if row["system"] in RESERVED:
        raise DataError(f"{where}: no system can have the name {row['system']}; the test uses it. Choose another name")
    lead = folder / row["lead"] if row.get("lead") else None
    sides = (row["task"], row["instruction"], folder / row["source"], folder / row["target"], lead)
    item = found.setdefault(row["key"], Edited(row["key"], *sides))
    if (item.task, item.instruction, item.source, item.target, item.lead) != sides:
        raise DataError(f"{where}: another row with the key {row['key']} has another task, instruction or file; change the key")
    if row["system"] in item.edits:
        raise DataError(f"{where}: {row['system']} has two edits of {row['key']}; remove one")
    item.edits[row["system"]] = folder / row["edit"]


def _complete(path: Path, items: list[Edited]) -> None:
    """Check that every system has edited every triplet: raters compare all systems on one page."""
    systems = {system for item in items for system in item.edits}
    for item in items:
        if lacking := sorted(systems - set(item.edits)):
            raise DataError(f"{path}: {lacking[0]} has no edit of {item.key}; add the row, or remove the key for every system")
