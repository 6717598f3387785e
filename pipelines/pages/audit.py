"""Write the page of an audit: facts, findings, tables, charts and heat maps of a working folder, and triplets to hear."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from pipelines.audit.report import Bars, Finding, Histogram, Item, Report, Section, Table
from pipelines.pages import sound
from pipelines.pages.heatmaps import WIDEST_TABLE, heat_map_view, transposed
from pipelines.pages.histograms import histogram_svg
from pipelines.pages.render import render, write_page
from pipelines.pages.tables import bars_view, heat_view, table_view
from pipelines.pages.views import Row, row_view

LEVELS = {"error": "Error", "warning": "Warning", "note": "Note", "fine": "Fine"}
"""Levels of findings from worst to best, and the word that stands beside their colour."""

_LONGEST_TILE, _MOST_TILES = 14, 8
"""Letters of a fact that is shown as a tile, and tiles in a row."""
_NARROW_COLUMNS = 4
"""Columns of a table that takes half of the width."""


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
        subtitle="",
        facts={name: value for name, value in report.facts.items() if len(value) > _LONGEST_TILE},
        tiles=(tiles := {name: value for name, value in report.facts.items() if len(value) <= _LONGEST_TILE}),
        columns=_evenly(len(tiles)),
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


def _evenly(tiles: int) -> int:
    """Choose how many tiles stand in a row, so that rows are about as long as each other."""
    return -(-tiles // -(-tiles // _MOST_TILES)) if tiles else 1


def _panels(section: Section) -> list[Markup]:
    """Draw the items; one that would stand alone in a row of two takes all of it."""
    views = [_view(item) for item in section.items]
    panels, alone = [], True
    for place, (kind, wide, values) in enumerate(views):
        last = place + 1 == len(views) or views[place + 1][1]
        filling = not wide and alone and last
        alone = wide or filling or not alone
        panels.append(Markup(render(f"audit_{kind}.html", anchor=_anchor(section, place), wide=wide or filling, **values)))
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
            return "histogram", False, {"histogram": item, "svg": histogram_svg(item)}
        case Finding():
            return "finding", True, {"finding": item, "word": LEVELS[item.level], "table": item.table and table_view(item.table)}
    if len(item.columns) > WIDEST_TABLE >= len(item.rows) > 0:
        item = transposed(item)
    if len(item.columns) > WIDEST_TABLE and item.rows:
        return "heat", True, {"heat": heat_map_view(item)}
    return "table", len(item.columns) > _NARROW_COLUMNS, {"table": heat_view(item)}
