"""What a stereo bus has on its sides and its members don't."""

from pathlib import Path

import numpy as np
import pytest
from test_parts import RATE_HZ

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems import bus_sides
from instructme.dataset_tools.stored import Stored


def noise(seed: int) -> Samples:
    return (0.1 * np.random.default_rng(seed).standard_normal(4 * RATE_HZ)).astype(np.float32)


def panned(wave: Samples, left: float, right: float) -> Samples:
    return np.stack([left * wave, right * wave], axis=1)


def explained(folder: Path, share: float, bus: Samples, *members: Samples) -> float:
    sounds = [Stored(folder, each.shape[1] if each.ndim > 1 else 1).extend([each]) for each in (bus, *members)]
    return bus_sides.explained(share, sounds[0], sounds[1:], RATE_HZ)


KICK, SNARE = panned(noise(0), 1, 1), panned(noise(1), 1, 0.5)


@pytest.mark.parametrize("bus", [KICK + SNARE, KICK + panned(noise(1), 0.2, 1), panned(noise(0), 1, 0.3) + 0.5 * SNARE])
def test_a_bus_may_pan_its_members(bus: Samples, tmp_path: Path) -> None:
    assert explained(tmp_path, 1.0, bus, KICK, SNARE) > 0.999


def test_a_wide_sound_of_its_own_is_not_explained(tmp_path: Path) -> None:
    wide = panned(noise(2), 0.5, -0.5)
    bus = KICK + SNARE + wide
    lost = np.square(wide).sum() / np.square(bus).sum()
    assert explained(tmp_path, 1.0, bus, KICK, SNARE) == pytest.approx(1 - lost, abs=0.02) and lost > 0.05


@pytest.mark.parametrize("level", [1.0, 0.001])
def test_what_the_middle_lacks_stays_unexplained_at_any_level(level: float, tmp_path: Path) -> None:
    sounds = [np.float32(level) * each for each in (KICK + SNARE, KICK, SNARE)]
    assert explained(tmp_path, 0.9, *sounds) == pytest.approx(0.9, abs=0.02)


def test_a_bus_may_change_the_balance_of_a_members_channels(tmp_path: Path) -> None:
    room = np.stack([noise(3), noise(4)], axis=1)
    for left, right in ((1, 0.3), (0.2, 1)):
        assert explained(tmp_path, 1.0, KICK + room * np.float32([left, right]), KICK, room) > 0.999


def test_one_channel_has_no_sides_and_lengths_may_differ(tmp_path: Path) -> None:
    assert explained(tmp_path, 0.98, noise(0), noise(1)) == 0.98
    assert explained(tmp_path, 1.0, KICK + SNARE, KICK[:RATE_HZ], KICK, SNARE) > 0.999
