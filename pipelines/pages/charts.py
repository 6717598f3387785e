"""Draw line charts as SVG."""

from collections.abc import Mapping, Sequence

Points = Sequence[tuple[float, float]]


def curve(
    values: Mapping[str, Points], *, title: str = "", x_label: str = "step", y_label: str = "", log_y: bool | None = None
) -> str:
    """Draw named series of (x, y) points as an SVG of its own; None takes a log axis where values span over 1.5 decades."""
    raise NotImplementedError
