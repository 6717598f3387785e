"""Write the page of an audit: facts, findings, tables, charts and heat maps of a working folder, and triplets to hear."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from instructme.dataset_tools.audit.report import Bars, Finding, Histogram, Item, Lines, Report, Section, Table
from instructme.pipelines.pages import sound
from instructme.pipelines.pages.heatmaps import WIDEST_TABLE, heat_map_view, transposed
from instructme.pipelines.pages.histograms import histogram_svg
from instructme.pipelines.pages.html import render, write_page
from instructme.pipelines.pages.line_plots import curve
from instructme.pipelines.pages.table_views import bars_view, heat_view, table_view
from instructme.pipelines.pages.views import Row, row_view

LEVELS = {"error": "Error", "warning": "Warning", "note": "Note", "fine": "Fine"}
"""Levels of findings from worst to best, and the word that stands beside their colour."""

_NARROW_COLUMNS, _NARROW_HEAT_COLUMNS = 4, 5
"""Columns of a table, and of a matrix with its numbers, that take half of the width."""


def audit_page(path: Path, report: Report, examples: Sequence[Row]) -> None:
    """Write a report as one self-contained page: its sections in order, then `examples`, as many as a page can play."""
    kbps, longest_s = sound.budget([clip.seconds for row in examples for clip in row.clips])
    found = [
        (item.level, item.title, _anchor(section, place))
        for section in report.sections
        for place, item in enumerate(section.items)
        if isinstance(item, Finding)
    ]
    write_page(
        path,
        "audit.html",
        styles=["audit.css"],
        scripts=["audit.js"],
        title=report.title,
        tiles=report.facts,
        levels=LEVELS,
        found={level: [finding for finding in found if finding[0] == level] for level in LEVELS},
        sections=[(section, _worst(section), _panels(section)) for section in report.sections],
        rows=[row_view(row, kbps, longest_s) for row in examples],
    )


def _anchor(section: Section, place: int) -> str:
    return f"{section.id}-{place + 1}"


def _worst(section: Section) -> tuple[str, int]:
    """Find the worst level above a note among the findings of a section, and how many there are of it."""
    levels = [item.level for item in section.items if isinstance(item, Finding)]
    return next(((level, levels.count(level)) for level in ("error", "warning") if level in levels), ("", 0))


def _panels(section: Section) -> list[Markup]:
    """Draw the items; one that has no narrow neighbour of its kind takes the whole width."""
    views = [_view(item) for item in section.items]
    groups = [None if wide else kind == "finding" for kind, wide, _ in views]
    panels = []
    for place, (kind, wide, values) in enumerate(views):
        alone = groups[place] not in (*groups[max(place - 1, 0) : place], *groups[place + 1 : place + 2])
        panels.append(Markup(render(f"audit_{kind}.html", anchor=_anchor(section, place), wide=wide or alone, **values)))
    return panels


def _view(item: Item) -> tuple[str, bool, dict[str, object]]:
    """Prepare an item: its template, whether it needs the whole width, and what the template shows.

    A matrix with too many columns for numbers is turned, or drawn as a picture.
    """
    match item:
        case Table():
            table = table_view(item)
            return "table", len(table.columns) > _NARROW_COLUMNS, {"table": table}
        case Bars():
            return "table", False, {"table": bars_view(item)}
        case Histogram():
            return "chart", False, {"chart": item, "svg": histogram_svg(item)}
        case Lines():
            svg = Markup(curve(item.series, x_label=item.x_label, y_label=item.unit, log_y=False))
            return "chart", False, {"chart": item, "svg": svg}
        case Finding():
            wide = item.table is not None or item.level in ("error", "warning")
            return "finding", wide, {"finding": item, "word": LEVELS[item.level], "table": item.table and table_view(item.table)}
    if len(item.columns) > WIDEST_TABLE >= len(item.rows) > 0:
        item = transposed(item)
    if len(item.columns) > WIDEST_TABLE and item.rows:
        return "heat", True, {"heat": heat_map_view(item)}
    return "table", len(item.columns) > _NARROW_HEAT_COLUMNS, {"table": heat_view(item)}
