"""Draw histograms as SVG: a strip for each series, on one axis, so that the shapes of unequal splits can be compared.

matplotlib is not used. Its SVG of three series takes 19.5 kB and 265 ms, this one 11.0 kB and 1.3 ms. Its colours do not follow
the dark mode of a page, and its bins have no titles under the pointer.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from instructme.dataset_tools.audit.report import Histogram
from instructme.pipelines.pages.html import render
from instructme.pipelines.pages.line_plots import number, ticks

_ONE_PX, _OF_SEVERAL_PX, _NAME_PX = 150, 52, 24
"""Heights of the only strip, of each of several, and of the line with its name."""
_FEWEST_BINS = 12


def histogram_svg(histogram: Histogram) -> Markup:
    """Draw it; what a bin holds is its title, read where the pointer is.

    Places across are in per cent and places down in pixels, so that text keeps its size on any screen.
    """
    histogram = _trimmed(histogram)
    low, high = histogram.edges[0], histogram.edges[-1]
    at = [100 * (edge - low) / (high - low) for edge in histogram.edges]
    tall = _ONE_PX if len(histogram.series) == 1 else _OF_SEVERAL_PX
    strips = [
        _strip(name, counts, at, (place + 1) * _NAME_PX + place * tall, tall)
        for place, (name, counts) in enumerate(histogram.series.items())
    ]
    names = [_bin(left, right) for left, right in pairwise(histogram.edges)]
    told = [_told(name, place, histogram) for place, name in enumerate(names)]
    return Markup(
        render(
            "audit_histogram.svg",
            title=histogram.title,
            unit=histogram.unit,
            strips=strips,
            bins=[(left, right - left, text) for left, right, text in zip(at, at[1:], told, strict=False)],
            ticks=[(100 * (value - low) / (high - low), number(value)) for value in ticks(low, high)],
            bottom=strips[-1]["bottom"] if strips else _NAME_PX,
            summary=[_summary(name, counts, names, histogram.unit) for name, counts in histogram.series.items()],
        )
    )


def _trimmed(histogram: Histogram) -> Histogram:
    """Leave out empty bins at both ends, but one, and but what a chart needs to be one."""
    used = [place for place, counts in enumerate(zip(*histogram.series.values(), strict=True)) if any(counts)]
    if not used:
        return histogram
    spare = max(1, (_FEWEST_BINS - (used[-1] - used[0])) // 2)
    first, last = max(used[0] - spare, 0), min(used[-1] + spare + 1, len(histogram.edges) - 1)
    series = {name: counts[first:last] for name, counts in histogram.series.items()}
    return replace(histogram, edges=histogram.edges[first : last + 1], series=series)


def _strip(name: str, counts: tuple[int, ...], at: list[float], top: int, tall: int) -> dict[str, Any]:
    """Place one series: its bars are (left and width in per cent; top and height in pixels)."""
    most = max([1, *counts])
    bars = [
        (left, right - left, top + tall - tall * count / most, tall * count / most)
        for left, right, count in zip(at, at[1:], counts, strict=False)
        if count
    ]
    few = 6 if tall == _ONE_PX else 4
    marks = [(top + tall - tall * value / most, number(value)) for value in ticks(0, most, few) if value and value % 1 == 0]
    marks = marks if tall == _ONE_PX else marks[-1:]
    return {"name": name, "total": f"{sum(counts):,}", "top": top, "bottom": top + tall, "bars": bars, "ticks": marks}


def _bin(left: float, right: float) -> str:
    """Name a bin; one around a whole number by that."""
    middle = (left + right) / 2
    return f"{middle:g}" if right - left == 1 and middle % 1 == 0 else f"{left:g} to {right:g}".replace("-", "−")


def _told(name: str, place: int, histogram: Histogram) -> str:
    counts = [f"{series} {counts[place]:,}".strip() for series, counts in histogram.series.items()]
    return "; ".join([f"{name} {histogram.unit}", *counts])


def _summary(name: str, counts: tuple[int, ...], names: list[str], unit: str) -> str:
    if not any(counts):
        return f"{name}: none".lstrip(": ")
    return f"{name}: {sum(counts):,}, most in {names[counts.index(max(counts))]} {unit}".lstrip(": ")
