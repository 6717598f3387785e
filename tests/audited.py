"""Songs to be audited, and what a report says of them."""

from dataclasses import replace
from pathlib import Path

from made_songs import Song, parts

from instructme.dataset_tools.audit.report import Finding, Report, Table
from instructme.manifests import tables


def songs() -> list[Song]:
    return [
        Song("a", "train", parts(1), {"licence": "CC-BY-4.0", "genre": None}),
        Song("b", "train", parts(2), {"dataset": "other", "bleed": True}),
        Song("c", "validation", parts(3)),
        Song("d", "test", parts(4)),
    ]


def findings(report: Report, section: str, level: str = "") -> list[Finding]:
    items = next(each.items for each in report.sections if each.id == section)
    return [item for item in items if isinstance(item, Finding) and level in ("", item.level)]


def item(report: Report, title: str):
    return next(item for section in report.sections for item in section.items if item.title == title)


def cells(table: Table) -> dict[object, dict[str, object]]:
    return {line[0]: dict(zip(table.columns, line, strict=True)) for line in table.rows}


def rewrite(work: Path, name: str, row_type: type, change) -> None:
    """Give the rows of a table other values: `change` has the fields of a row that it replaces."""
    path = work / f"{name}.parquet"
    rows = [replace(each, **change(each)) for each in tables.read_rows(path, row_type)]
    tables.write(path, rows, row_type, parents=[work / "tracks.parquet"])
