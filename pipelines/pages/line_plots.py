"""Draw line charts as SVG that also works as a file of its own. In a page, it has the colours of the page.

matplotlib is not used, because its colours are fixed and do not follow the dark mode; see `histograms` for sizes and times.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from instructme.pipelines.pages.html import render

Points = Sequence[tuple[float, float]]
Array = npt.NDArray[np.float64]
_LEFT, _RIGHT, _HEIGHT, _TITLE = 44, 424, 168, 16
_TINY = 1e-30
"""What is smaller is drawn as zero."""
_FEW_POINTS, _MOST_POINTS = 12, 300
_COLOURS = ("#6a3fc4", "#b04e0e", "#107562", "#b92f68", "#2468b4", "#786510")
"""Where no page gives others."""


@dataclass(frozen=True)
class Axis:
    """Maps values from `low` to `high` onto pixels from `start` to `stop`."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False
    whole: bool = False
    """Only whole numbers get a tick."""

    def __call__(self, values: npt.ArrayLike) -> Array:
        """Place values."""
        low, high, at = (np.log(each) if self.log else np.asarray(each, float) for each in (self.low, self.high, values))
        return np.asarray(self.start + (at - low) / (high - low) * (self.stop - self.start))

    def ticks(self) -> list[tuple[float, str]]:
        """Choose round values: their pixels and labels."""
        values = log_ticks(self.low, self.high) if self.log else ticks(self.low, self.high)
        chosen = [value for value in values if not self.whole or value == round(value)]
        return [(round(float(self(value)), 1), number(value)) for value in chosen]


def curve(
    values: Mapping[str, Points], *, title: str = "", x_label: str = "step", y_label: str = "", log_y: bool | None = None
) -> str:
    """Draw named series of (x, y) points as an SVG, with the last value of each.

    Points that aren't finite (on a log axis: positive) are left out. A long series is drawn as the means of its stretches, with
    their extremes behind. `log_y` None takes a log axis where the values are positive and span 1.5 decades.
    """
    series = {name: np.asarray(points, dtype=np.float64).reshape(-1, 2) for name, points in values.items()}
    series = {name: np.where(abs(points) < _TINY, 0, points)[np.isfinite(points).all(axis=1)] for name, points in series.items()}
    last = {name: number(points[-1, 1]) if len(points) else "none" for name, points in series.items()}
    legend = _legend(last)
    top = max([_TITLE, *(down for _, down in legend)]) + 14.0
    x, y = _axes(np.vstack([np.zeros((0, 2)), *series.values()]), log_y, top)
    lines = [
        {"name": name, "last": last[name], "legend": at, **_lines(points[points[:, 1] > 0] if y.log else points, x, y)}
        for (name, points), at in zip(series.items(), legend, strict=True)
    ]
    return render(
        "curve.svg",
        title=title,
        x_label=x_label,
        y_label=f"{y_label}, log scale".lstrip(", ") if y.log else y_label,
        colours=_COLOURS,
        box=(_LEFT, _RIGHT, round(top + _HEIGHT)),
        x_ticks=x.ticks(),
        y_ticks=y.ticks(),
        series=lines,
    )


def _legend(last: Mapping[str, str]) -> list[tuple[float, float]]:
    """Place the names and last values in lines under the title, by the usual width of a letter."""
    places, across, down = [], 0.0, _TITLE + 19.0
    for name, value in last.items():
        width = 7.0 * len(name) + 6.5 * len(value) + 20
        if across and across + width > _RIGHT:
            across, down = 0.0, down + 16
        places.append((2 + across, down))
        across += width
    return places


def _axes(points: Array, log_y: bool | None, top: float) -> tuple[Axis, Axis]:
    """Span all points; what would be empty or flat gets some room."""
    positive = points[points[:, 1] > 0]
    if log_y is None:
        log_y = len(positive) == len(points) > 0 and bool(points[:, 1].max() > 30 * points[:, 1].min())
    shown = positive if log_y else points
    (left, low), (right, high) = (shown.min(axis=0), shown.max(axis=0)) if len(shown) else ((0.0, 1.0), (1.0, 1.0))
    if log_y:
        room = max((high / low) ** 0.04, 1.1)
        low, high = low / room, high * room
    else:
        room = 0.05 * (high - low) or 0.5 * abs(high) or 1.0
        low, high = (0.0 if 0 <= low <= 2 * room else low - room), high + room
    if left == right:
        left, right = min(left, 0.0), max(right, 1.0)
    x = Axis(float(left), float(right), _LEFT, _RIGHT, whole=bool((shown[:, 0] == shown[:, 0].round()).all()))
    return x, Axis(float(low), float(high), top + _HEIGHT, top, log_y)


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Choose at most `most` multiples of 1, 2 or 5 times a power of ten from `low` to `high`."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power, 20 * power) if (high - low) / step <= most - 1 + 1e-9)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Choose powers of ten from `low` to `high`, with their 2- and 5-fold where these are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1,) if last - first > 3 else (1, 2, 5)
    every = [factor * 10.0**power for power in range(first, last + 1, max((last - first) // 6, 1)) for factor in factors]
    return [value for value in every if low <= value <= high]


def number(value: float) -> str:
    """Write a number for a tick or legend: 1e-4, 0.004, 12k, −1.5M."""
    if value < 0:
        return f"−{number(-value)}"
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.2e}".replace(".00", "").replace("e-0", "e-") if 0 < value < 0.001 else f"{value:.3g}"


def _lines(points: Array, x: Axis, y: Axis) -> dict[str, str]:
    """Make the paths of one series: its line, dots where they are few, and a band of extremes where they are many."""
    if not len(points):
        return {"line": "", "dots": "", "band": ""}
    pieces = np.array_split(points[np.argsort(points[:, 0], kind="stable")], min(len(points), _MOST_POINTS))
    middle = np.array([piece.mean(axis=0) for piece in pieces])
    band = ""
    if len(points) > _MOST_POINTS:
        high, low = (np.array([edge(piece[:, 1]) for piece in pieces]) for edge in (np.max, np.min))
        band = f"M{_path(np.column_stack([middle[:, 0], high]), x, y)}L{_path(np.column_stack([middle[:, 0], low])[::-1], x, y)}z"
    dots = "".join(f"M{_path(point[None], x, y)}h0" for point in middle) if len(middle) <= _FEW_POINTS else ""
    return {"line": f"M{_path(middle, x, y)}", "dots": dots, "band": band}


def _path(points: Array, x: Axis, y: Axis) -> str:
    return " ".join(f"{across:.1f} {down:.1f}" for across, down in zip(x(points[:, 0]), y(points[:, 1]), strict=True))
