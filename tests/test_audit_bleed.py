"""Bleed is suspected where a part follows another one at a fixed distance, and not of parts that play together."""

import numpy as np
import pytest

from instructme.dataset_tools.audit.bleed import follows

RNG = np.random.default_rng(0)
DRUMS = np.rint(np.tile([-12, -18, -25, -32, -38], 100) + RNG.normal(0, 2, 500)).astype(np.int64)


def power_sum(*levels: np.ndarray) -> np.ndarray:
    return np.rint(10 * np.log10(sum(10.0 ** (level / 10) for level in levels))).astype(np.int64)


@pytest.mark.parametrize("under_db", [10, 20, 30])
def test_a_microphone_that_hears_the_drums_is_suspected_with_its_distance(under_db: int) -> None:
    own = np.where(np.arange(500) % 200 < 60, -20, -100)
    match = follows(power_sum(own, DRUMS - under_db), DRUMS)
    assert match and abs(match[0] - under_db) <= 1 and match[1] > 0.5
    assert follows(DRUMS, power_sum(own, DRUMS - under_db)) is None


def test_parts_that_play_for_themselves_are_not() -> None:
    other = np.rint(RNG.normal(-30, 6, 500)).astype(np.int64)
    assert follows(other, DRUMS) is None and follows(DRUMS, other) is None


def test_doubles_of_one_level_steady_parts_and_short_ones_say_nothing() -> None:
    assert follows(DRUMS - 1, DRUMS) is None
    assert follows(np.full(500, -40), np.full(500, -20)) is None
    assert follows(DRUMS[:50] - 20, DRUMS[:50]) is None
    assert follows(np.full(500, -120), DRUMS) is None
