"""Stereo stems with two instruments, one on each side, are doubted; wide, doubled and one-sided stems are not."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_parts import RATE_HZ, make, make_stem, reasons

Music = np.ndarray
TIME = np.arange(12 * RATE_HZ) / RATE_HZ


def tune(seed: int, lowest_hz: float) -> Music:
    rng = np.random.default_rng(seed)
    pitches = np.repeat(lowest_hz * 2 ** (rng.integers(0, 12, 48) / 12), RATE_HZ // 4)
    phase = 2 * np.pi * np.cumsum(pitches) / RATE_HZ
    return 0.2 * sum(np.sin(k * phase) / k for k in (1, 2, 3)) * np.exp(-6 * (TIME % 0.25))


def drums(seed: int) -> Music:
    return 0.2 * np.random.default_rng(seed).standard_normal(len(TIME)) * np.exp(-20 * (TIME % 0.5))


def told(folder: Path, left: Music, right: Music) -> list[tuple[str, str]]:
    stem = make_stem(folder, "a", "other", np.zeros((1, 2)))
    soundfile.write(folder / "a.wav", np.stack([left, right], axis=1), RATE_HZ, subtype="FLOAT")
    return reasons(make(folder, [stem])[3])


@pytest.mark.parametrize("channels", [(drums(0), tune(1, 60)), (tune(1, 700), 0.4 * tune(2, 80)), (tune(1, 60), drums(0))])
def test_two_instruments_are_doubted(tmp_path: Path, channels: tuple[Music, Music]) -> None:
    assert told(tmp_path, *channels) == [("a", "channels_differ")]


@pytest.mark.parametrize(
    "channels",
    [
        (tune(1, 200), tune(1, 200)),
        (tune(1, 200), tune(2, 200)),  # two takes
        (tune(1, 200), np.roll(tune(1, 200), 200)),  # a chorus
        (tune(1, 60) + 0.3 * drums(0), drums(0) + 0.3 * tune(1, 60)),  # two microphones
        (tune(1, 200), np.zeros(len(TIME))),
        (tune(1, 700), 0.02 * tune(2, 80)),  # bleed
        (drums(0), drums(1)),  # a room
    ],
    ids=["mono", "takes", "chorus", "microphones", "one side", "bleed", "room"],
)
def test_the_channels_of_one_instrument_are_not(tmp_path: Path, channels: tuple[Music, Music]) -> None:
    assert not told(tmp_path, *channels)


@pytest.mark.parametrize(("level", "softer_db"), [(0.5, "10 dB"), (0.7, "15 dB")])
def test_channels_that_are_nearly_opposite_are_told(tmp_path: Path, level: float, softer_db: str) -> None:
    assert told(tmp_path, tune(1, 200), -level * tune(1, 200)) == [("a", "cancels")]
    stem = make_stem(tmp_path, "b", "other", np.stack([tune(1, 200), -level * tune(1, 200)], axis=1))
    assert softer_db in make(tmp_path, [stem])[3][0].detail


def test_a_wide_stem_is_not_told(tmp_path: Path) -> None:
    mid, side = tune(1, 200), 1.4 * tune(2, 200)
    assert not told(tmp_path, mid + side, mid - side)


def test_two_instruments_are_heard_in_the_middle_of_a_long_stem_and_not_in_two_seconds(tmp_path: Path) -> None:
    left, right = (np.concatenate([np.zeros(30 * RATE_HZ), wave, np.zeros(30 * RATE_HZ)]) for wave in (drums(0), tune(1, 60)))
    assert told(tmp_path, left, right) == [("a", "channels_differ")]
    assert not told(tmp_path, drums(0)[: 2 * RATE_HZ], tune(1, 60)[: 2 * RATE_HZ])
