"""Offsets are taken off and nothing else: constant ones as they are, and drifting ones where they outweigh the sound."""

from pathlib import Path

import numpy as np
import pytest

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems import dc_offset
from instructme.dataset_tools.stored import Stored

RATE_HZ = 8000
TIME_S = np.arange(round(12.34 * RATE_HZ)) / RATE_HZ
"""Longer than ten seconds, and no whole number of tenths."""
TONE = (0.02 * np.sin(2 * np.pi * 223 * TIME_S)).astype(np.float32)
"""Its means differ a little from frame to frame."""
DRIFT = np.sin(2 * np.pi * 0.1 * TIME_S)


def removed(folder: Path, wave: Samples) -> tuple[Samples, str | None]:
    sound = Stored(folder, wave.ndim).extend([wave.astype(np.float32)])
    told = dc_offset.remove(sound, RATE_HZ)
    return sound[:], told


@pytest.mark.parametrize("offset", [0.25, -0.1, 0.002])
def test_a_constant_offset_is_taken_off_as_it_is(offset: float, tmp_path: Path) -> None:
    wave, told = removed(tmp_path, TONE + offset)
    assert told == f"a constant offset of {offset:.3f}" and np.abs(wave - TONE).max() < 5e-4


def test_an_offset_that_drifts_is_taken_off_up_to_the_end(tmp_path: Path) -> None:
    wave, told = removed(tmp_path, TONE + 0.2 * DRIFT)
    assert told == "an offset that drifts" and np.abs(wave - TONE)[400:-400].max() < 0.005


@pytest.mark.parametrize("level", [1e-4, 0.01])
def test_a_drift_that_is_soft_or_less_than_the_sound_stays(level: float, tmp_path: Path) -> None:
    """A drift of -80 dB that is all that sounds is no matter; one of -40 dB under music is none either."""
    wave = level * DRIFT + (0 if level < 1e-3 else TONE)
    kept, told = removed(tmp_path, wave)
    assert told is None and np.array_equal(kept, wave.astype(np.float32))


def test_channels_have_offsets_of_their_own(tmp_path: Path) -> None:
    wave, told = removed(tmp_path, np.stack([TONE, TONE - 0.1], axis=1))
    assert told == "a constant offset of -0.100" and np.abs(wave - TONE[:, None]).max() < 5e-4
    wave, told = removed(tmp_path, np.stack([TONE, TONE + 0.2 * DRIFT], axis=1))
    assert told == "an offset that drifts" and np.array_equal(wave[:, 0], TONE)
    wave, _ = removed(tmp_path, np.stack([TONE - 0.1, TONE + 0.2 * DRIFT], axis=1))
    assert np.abs(wave[:, 0] - TONE).max() < 5e-4


def test_less_than_a_second_stays_as_it_is(tmp_path: Path) -> None:
    assert removed(tmp_path, TONE[: RATE_HZ - 1] + 0.1)[1] is None
