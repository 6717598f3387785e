"""Statistics of the listening test: agreement, intervals, corrections and strengths have the values of the literature."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructme.pipelines.listening.agreement import alpha_of_counts
from instructme.pipelines.listening.comparisons import bradley_terry, differences, holm, strengths
from instructme.pipelines.listening.opinion_scores import interval, opinions
from instructme.pipelines.listening.simulation import found_orders

# Krippendorff (2011), data C: four observers, twelve units; nominal 0.743, ordinal 0.815.
KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]


def test_alpha_has_the_published_value() -> None:
    counts = np.array([[sum(row[unit] == point for row in KRIPPENDORFF) for point in range(1, 6)] for unit in range(12)], float)
    assert alpha_of_counts(counts) == pytest.approx(0.815, abs=0.0005)


def test_alpha_of_equal_raters_is_one_and_of_one_rater_unknown() -> None:
    assert alpha_of_counts(np.diag([2.0, 3, 2])) == 1
    assert math.isnan(alpha_of_counts(np.eye(3)))


def ratings(raters: int, items: int, means: dict[str, float], seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        (rater, item, system, "quality", "remove", 10.0, float(np.clip(np.round(rng.normal(mean, 0.7)), 1, 5)))
        for rater in range(raters)
        for item in range(items)
        for system, mean in means.items()
    ]
    return pd.DataFrame(rows, columns=["session", "item", "system", "scale", "task", "length_s", "value"])


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(60):
        low, high = interval(ratings(8, 6, {"one": 3.0}, seed))
        held += low <= 3.0 <= high
    assert held >= 54


def test_one_rater_has_no_interval() -> None:
    (found,) = [each for each in opinions(ratings(1, 5, {"one": 3.0})) if (each.task, each.length_s) == ("all", "all")]
    assert math.isnan(found.low) and found.ratings == 5


def test_a_real_difference_is_found_and_none_is_not() -> None:
    found = differences(ratings(12, 12, {"a": 3.0, "b": 3.0, "c": 4.0}))
    by_pair = {(each.one, each.other): each for each in found}
    assert by_pair["a", "c"].p < 0.05 and by_pair["a", "c"].high < 0
    assert by_pair["a", "b"].p > 0.05 and by_pair["a", "b"].low < 0 < by_pair["a", "b"].high


def test_holm_has_its_published_steps() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_makes_a_test_clearer_and_keeps_the_order(values: list[float]) -> None:
    corrected = holm(values)
    assert all(after >= before for before, after in zip(values, corrected, strict=True))
    order = np.argsort(values, kind="stable")
    assert list(np.array(corrected)[order]) == sorted(corrected)


def test_strengths_give_the_odds_of_the_wins() -> None:
    found = bradley_terry(np.array([[0, 3000.0], [1000, 0]]))
    assert found[0] - found[1] == pytest.approx(math.log(3), abs=0.01)


def test_strengths_are_read_from_pages_of_pairs() -> None:
    rows = pd.DataFrame(
        [("quality", session, "good\tpoor" if session % 2 else "poor\tgood", 1 if session % 2 else 2) for session in range(10)],
        columns=["scale", "session", "system", "value"],
    )
    good, poor = strengths(rows)
    assert (good.system, good.won, good.pairs, poor.won) == ("good", 10, 10, 0) and good.low > poor.high
    assert list(found_orders([good, poor], {"good": 4.0, "poor": 2.0})) == ["order of quality: good > poor found"]
    assert list(found_orders([good, poor], {"good": 2.0, "poor": 4.0})) == ["order of quality: good > poor NOT FOUND"]


def test_the_low_anchor_is_not_compared() -> None:
    found = differences(ratings(4, 4, {"a": 3.0, "reference": 5.0, "anchor": 1.0}))
    assert [(each.one, each.other) for each in found] == [("a", "reference")]
