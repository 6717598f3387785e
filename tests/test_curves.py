"""Charts show every point they can, at round ticks, in valid SVG of bounded size."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructme.pipelines.pages import curve
from instructme.pipelines.pages.line_plots import Axis, log_ticks, number, ticks

finite = st.floats(-1e9, 1e9)


def line(svg: str) -> np.ndarray:
    """Read the points of the first line."""
    path = re.search(r'<path d="M([\d. -]+)" stroke-width="1.8"/>', svg)
    assert path
    return np.array(path[1].split(), dtype=float).reshape(-1, 2)


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("}text")]


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.lists(st.tuples(st.floats(), st.floats()))))
def test_any_values_give_valid_svg_within_its_box(values) -> None:
    values = {name: [(x, y) for x, y in points if not abs(x) > 1e12 and not abs(y) > 1e12] for name, points in values.items()}
    root = ElementTree.fromstring(curve(values, title="T"))
    width, height = (float(each) for each in root.get("viewBox").split()[2:])
    for path in (element.get("d") for element in root.iter() if element.get("stroke-width") == "1.8"):
        points = np.array(path[1:].split(), dtype=float).reshape(-1, 2)
        assert (points >= 0).all() and (points <= (width, height)).all()


def test_higher_is_higher_and_later_is_to_the_right() -> None:
    points = line(curve({"loss": [(0, 1.0), (10, 0.5), (5, 0.8)]}))
    assert (np.diff(points[:, 0]) > 0).all() and (np.diff(points[:, 1]) > 0).all()


def test_a_single_step_gets_an_axis_of_whole_steps() -> None:
    assert "60.2" not in curve({"loss": [(60, 1.0)]})


def test_what_is_not_finite_is_left_out() -> None:
    nan, inf = float("nan"), float("inf")
    assert len(line(curve({"loss": [(0, 1.0), (1, nan), (2, inf), (nan, 3.0), (4, 2.0)]}))) == 2


@pytest.mark.parametrize(("values", "log"), [((1.0, 0.01), True), ((1.0, 0.5), False), ((1.0, 0.0), False), ((1.0, -3.0), False)])
def test_wide_positive_values_get_a_log_axis(values: tuple[float, float], log: bool) -> None:
    svg = curve({"loss": list(enumerate(values))}, y_label="loss")
    assert ("loss, log scale" in texts(svg)) == log
    assert "loss, log scale" in texts(curve({"loss": list(enumerate(values))}, y_label="loss", log_y=True))


def test_a_log_axis_is_straight_for_an_exponential() -> None:
    points = line(curve({"loss": [(x, 10.0**-x) for x in range(5)]}))
    np.testing.assert_allclose(np.diff(points, axis=0), np.diff(points, axis=0)[:1].repeat(4, axis=0), atol=0.11)


def test_a_million_steps_stay_small_and_keep_their_extremes() -> None:
    values = np.ones(1_000_000)
    values[500_000] = 5.0
    svg = curve({"loss": np.column_stack([np.arange(1e6), values])})
    assert len(svg) < 30_000
    band = np.array(re.search(r'<path d="M([^"]+)z"', svg)[1].replace("L", " ").split(), dtype=float).reshape(-1, 2)
    assert np.ptp(band[:, 1]) > 100 > 5 > np.ptp(line(svg)[:, 1])


def test_names_stay_text_and_last_values_are_told() -> None:
    svg = curve({"<b>&": [(0, 1.0), (1, 0.25)], "none yet": []}, title="<script>")
    assert {"<b>&0.25", "none yetnone", "<script>"} <= set(texts(svg))


@given(finite, st.floats(1e-6, 1e9))
def test_ticks_are_round_few_and_inside(low: float, span: float) -> None:
    high = low + span
    if high - low > abs(low) * 1e-9:
        found = ticks(low, high)
        assert 1 <= len(found) <= 8
        assert all(low - span * 1e-6 <= tick <= high + span * 1e-6 for tick in found)
        steps = np.diff(found)
        assert np.allclose(steps, steps[:1].repeat(len(steps)), rtol=1e-3)


@given(st.floats(1e-12, 1e9), st.floats(1.2, 1e12))
def test_log_ticks_are_inside(low: float, ratio: float) -> None:
    found = log_ticks(low, low * ratio)
    assert len(found) <= 13 and all(low <= tick <= low * ratio for tick in found)
    assert found or ratio < 3


def test_an_axis_maps_its_ends() -> None:
    np.testing.assert_allclose(Axis(1, 100, 0, 10, log=True)([1, 10, 100]), [0, 5, 10])
    np.testing.assert_allclose(Axis(-1, 1, 10, 0)([-1, 0, 1]), [10, 5, 0])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0001, "1e-4"),
        (0.000125, "1.25e-4"),
        (0.25, "0.25"),
        (-3, "−3"),
        (12000, "12k"),
        (1.5e6, "1.5M"),
        (2e-12, "2e-12"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text
