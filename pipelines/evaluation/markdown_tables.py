"""Write tables in Markdown."""

from collections.abc import Iterable, Iterator, Sequence

from instructme.pipelines.evaluation.controls import CONTROLS
from instructme.pipelines.evaluation.metrics import metric_modules

ARROWS = {"up": "↑", "down": "↓"}


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[object]], texts: int = 1) -> Iterator[str]:
    """Write the lines of a table: its first `texts` columns, and any without a name, hold text, the others hold numbers."""
    rule = "".join("---|" if place < texts or not name else "---:|" for place, name in enumerate(columns))
    yield from (_row(columns), f"|{rule}", *map(_row, rows))


def _row(cells: Sequence[object]) -> str:
    return "|" + "".join(f" {cell} |" if cell != "" else " |" for cell in cells)


def label(system: str) -> str:
    """Write the name of a system in bold, so that it differs from a control."""
    return system if system in CONTROLS else f"**{system}**"


def metric_column(name: str) -> str:
    """Write the name of a metric with an arrow in the better direction."""
    return f"`{name}` {ARROWS[metric_modules()[name].BETTER]}"
