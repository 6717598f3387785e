"""The laws of written audio by themselves: what a residual may be, and how far onsets lie from the beats."""

import numpy as np
import pytest

from instructme.dataset_tools.audio import STEP
from instructme.dataset_tools.sharding import laws

RATE_HZ = 24000
BEATS = np.arange(RATE_HZ // 2, 20 * RATE_HZ, RATE_HZ // 2)


def clicks(late_ms: int, beats: np.ndarray = BEATS) -> np.ndarray:
    """Strike a short burst of noise so much after each beat."""
    rng, sound = np.random.default_rng(0), np.zeros(21 * RATE_HZ, np.float32)
    for beat in beats + late_ms * RATE_HZ // 1000:
        sound[beat : beat + 1200] += 0.3 * rng.standard_normal(1200) * np.exp(-np.arange(1200) / 200)
    return sound


def test_a_residual_is_told_in_steps() -> None:
    assert laws.off("target", np.array([0.4, -0.5]) * STEP, laws.ROUNDING) is None
    assert laws.off("target", np.array([1.0, -7.25]) * STEP, 0.5 * STEP) == "target is off by 7.2 16-bit steps, allowed 0.5"
    assert laws.off("target", np.zeros(0), 0.0) is None


@pytest.mark.parametrize("late_ms", [-95, -60, 0, 20, 45, 70, 95])
def test_onsets_up_to_100_ms_beside_the_beats_are_found(late_ms: int) -> None:
    said = laws.off_the_beat(clicks(late_ms), BEATS, RATE_HZ)
    if abs(late_ms) <= 20:
        assert said is None
    else:
        assert said and abs(int(said.split()[2]) - late_ms) <= 5 and int(said.split()[2]) % 5 == 0


def test_the_next_sixteenth_is_out_of_reach() -> None:
    """At 120 bpm a sixteenth is 125 ms. At 240 bpm it is 62 ms, and nothing farther than 52 ms is compared."""
    fast = np.arange(RATE_HZ // 4, 20 * RATE_HZ, RATE_HZ // 4)
    assert laws.off_the_beat(clicks(90, fast), fast, RATE_HZ) is None
    assert laws.off_the_beat(clicks(50, fast), fast, RATE_HZ)
    assert laws.off_the_beat(clicks(125), BEATS, RATE_HZ) is None


def test_onsets_are_heard_up_to_the_end() -> None:
    last = BEATS[-8:]
    sound = clicks(60, last)[: last[-1] + RATE_HZ // 5]
    assert laws.off_the_beat(sound, last, RATE_HZ)


@pytest.mark.parametrize(("beats", "found"), [(3, False), (4, True)])
def test_four_beats_are_enough(beats: int, found: bool) -> None:
    assert (laws.off_the_beat(clicks(60), BEATS[:beats], RATE_HZ) is not None) == found
