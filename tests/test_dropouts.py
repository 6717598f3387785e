"""Stems that lost samples are told; gates, cuts, fades, loops and synthesizers are not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_clipping import music
from test_parts import RATE_HZ, make, make_stem, reasons

from instructme.dataset_tools.stems import dropouts

Change = Callable[[np.ndarray], None]


def sound(seconds: int = 3) -> np.ndarray:
    """Make plucked notes and a little noise."""
    return 0.4 * music(seconds) + 0.01 * np.random.default_rng(0).standard_normal(seconds * RATE_HZ)


def hole(wave: np.ndarray, at: int = 40_000, length: int = 512) -> None:
    wave[at : at + length] = 0


def twice(wave: np.ndarray, at: int = 40_000, length: int = 512) -> None:
    wave[at : at + length] = wave[at - length : at]


def stuck(wave: np.ndarray) -> None:
    wave[40_000:41_323] = np.concatenate([wave[39_559:40_000]] * 3)


def told(tmp_path: Path, wave: np.ndarray) -> list[str]:
    stem = make_stem(tmp_path, "a", "bass", wave)
    soundfile.write(tmp_path / stem.path, wave, RATE_HZ, subtype="PCM_16")
    rows, _, _, rejects = make(tmp_path, [stem])
    assert list(rows) == ["bass"]
    return [row.detail for row in rejects if row.reason == "dropouts"]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("change", [hole, twice, stuck])
def test_lost_samples_are_told_and_the_stem_is_used(tmp_path: Path, change: Change, channels: int) -> None:
    wave = np.stack([sound()] * channels, axis=1)
    change(wave)
    (detail,) = told(tmp_path, wave)
    assert detail == "its sound breaks off 1 time, first at 1.67 s, as if samples were lost"


def test_each_channel_of_a_pair_is_heard(tmp_path: Path) -> None:
    right = sound()
    hole(right)
    stems = [
        make_stem(tmp_path, name, "bass", wave, pair=other) for name, other, wave in (("l", "r", sound()), ("r", "l", right))
    ]
    assert ("l", "dropouts") in reasons(make(tmp_path, stems)[3])


def rest(wave: np.ndarray) -> None:
    """Fade out, be silent, and fade in."""
    hole(wave)
    wave[39_760:40_000] *= np.linspace(1, 0, 240)
    wave[40_512:40_752] *= np.linspace(0, 1, 240)


def attack(wave: np.ndarray) -> None:
    """Cut a soft tail before a loud note."""
    hole(wave)
    wave[:40_000] *= 0.1


def gate(wave: np.ndarray) -> None:
    for at in range(3000, len(wave) - 3000, 3000):
        hole(wave, at, 1000)


def slow_gate(wave: np.ndarray) -> None:
    for at in range(4000, len(wave) - 4000, 4000):
        hole(wave, at, 1000)


def loop(wave: np.ndarray) -> None:
    wave[12_000:] = np.tile(wave[:12_000], 5)


def tone(wave: np.ndarray) -> None:
    """Play notes whose period is a number of samples that programs handle at once."""
    wave[:] = 0.3 * np.sin(2 * np.pi * np.arange(len(wave)) / 480) * (np.arange(len(wave)) // 1500 % 2)


def pulses(wave: np.ndarray) -> None:
    wave[:] = 0.3 * (np.arange(len(wave)) % 2700 < 2500)


@pytest.mark.parametrize("change", [rest, attack, gate, slow_gate, loop, tone, pulses, lambda wave: None])
def test_what_is_meant_is_not_told(tmp_path: Path, change: Change) -> None:
    wave = sound()
    change(wave)
    assert told(tmp_path, wave) == []


def test_soft_sound_of_8_bit_is_not_told() -> None:
    time = np.arange(12 * RATE_HZ) / RATE_HZ
    chord = sum(np.sin(2 * np.pi * 131 * ratio * time) for ratio in (1, 1.26, 1.5, 2, 3)) * np.exp(-4 * (time % 0.6))
    wave = np.round(12.8 * chord) / 128
    listener = dropouts.Dropouts(RATE_HZ)
    listener.hear(wave.astype(np.float32)[:, None])
    assert listener.detail() is None


def test_lost_samples_of_a_long_file_have_their_place() -> None:
    listener, wave = dropouts.Dropouts(RATE_HZ), sound()[:, None].astype(np.float32)
    hole(wave)
    for block in (sound()[:, None].astype(np.float32), wave):
        listener.hear(block)
    assert listener.detail() == "its sound breaks off 1 time, first at 4.67 s, as if samples were lost"
