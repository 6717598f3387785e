"""Treatments of the corpus: filters, compressor, saturation and room do what their numbers say."""

import numpy as np
import pytest
from scipy import signal

from instructme.dataset_tools.corpus import rough_mix
from instructme.dataset_tools.corpus.rough_mix import Treatment

RATE_HZ = 44100
TONE = np.sin(2 * np.pi * 441 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)


@pytest.mark.parametrize(("hz", "gain_db", "q"), [(100, 6.0, 1.0), (1000, -4.5, 0.5), (8000, 3.0, 2.0)])
def test_a_band_has_its_gain_at_its_frequency_and_none_far_from_it(hz: int, gain_db: float, q: float):
    _, gains = signal.freqz(*rough_mix._peak(hz, gain_db, q, RATE_HZ), worN=[0.1, hz], fs=RATE_HZ)
    np.testing.assert_allclose(20 * np.log10(np.abs(gains)), [0, gain_db], atol=1e-3)


def test_a_treatment_of_nothing_changes_nothing():
    np.testing.assert_allclose(rough_mix.apply(TONE, Treatment(), RATE_HZ), TONE, atol=1e-6)


@pytest.mark.parametrize(("ratio", "threshold_db"), [(4.0, -9.0), (1.5, 0.0)])
def test_what_is_over_the_threshold_is_divided_by_the_ratio(ratio: float, threshold_db: float):
    over_db = 12.0
    steady = np.full(RATE_HZ, 10 ** ((threshold_db + over_db) / 20))
    gain = rough_mix._compressor_gain(steady, ratio, threshold_db, RATE_HZ)
    assert 20 * np.log10(gain[-1]) == pytest.approx(over_db / ratio - over_db, abs=0.01)
    assert (rough_mix._compressor_gain(steady / 8, ratio, threshold_db, RATE_HZ) == 1).all()


@pytest.mark.parametrize("drive_db", [-12.0, 3.0])
def test_saturation_is_a_soft_clipper(drive_db: float):
    made = rough_mix.apply(TONE, Treatment(saturation_db=drive_db), RATE_HZ)
    clipped = np.tanh(10 ** (drive_db / 20) * np.sqrt(2) * TONE)  # a tone of level 1 peaks at the root of 2
    np.testing.assert_allclose(made / made.max(), clipped / clipped.max(), atol=1e-3)


@pytest.mark.parametrize("reverb_s", [1.0, 1.9])
def test_a_room_decays_by_60_db_in_its_time_and_its_treble_sooner(reverb_s: float):
    rooms = [rough_mix.response(reverb_s, RATE_HZ, np.random.default_rng(seed)) for seed in range(4)]
    assert all(np.sum(room.astype(float) ** 2) == pytest.approx(1, abs=1e-3) for room in rooms)
    falls_db = {}
    for kind in ("low", "high"):
        power = sum(signal.sosfilt(signal.butter(4, 8000, kind, fs=RATE_HZ, output="sos"), room) ** 2 for room in rooms)
        first, second, third = (power[int(at * len(power)) :][: len(power) // 30].mean() for at in (0.05, 0.2, 0.6))
        falls_db[kind] = 10 * np.log10([first / second, second / third])
    np.testing.assert_allclose(falls_db["low"], [9, 24], atol=2)
    assert falls_db["high"][0] > falls_db["low"][0] + 0.7
    assert falls_db["high"][1] == pytest.approx(24, abs=2)


def test_treatments_are_drawn_as_they_are_described():
    rng = np.random.default_rng(0)
    drawn = [rough_mix.draw(rng, False, False) for _ in range(2000)]
    levels = np.array([each.level_db for each in drawn])
    assert abs(levels.mean()) < 0.3 and levels.std() == pytest.approx(3, abs=0.2)
    saturated = [each.saturation_db for each in drawn if each.saturation_db]
    assert 0.27 < len(saturated) / len(drawn) < 0.33 and -12 <= min(saturated) < -11.5 and 2.5 < max(saturated) <= 3
    assert 0.46 < np.mean([each.ratio > 1 for each in drawn]) < 0.54
    assert 0.56 < np.mean([each.reverb_s > 0 for each in drawn]) < 0.64
    driven = [rough_mix.draw(rng, False, True) for _ in range(100)]
    assert all(6 <= each.amplifier_db <= 22 and not each.saturation_db for each in driven)
