"""Stems whose waves were cut off are told; loud, limited, distorted and synthesized ones are not."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_parts import RATE_HZ, make, make_stem, reasons

from instructme.dataset_tools.stems import clipping

Music = np.ndarray


def music(seconds: int = 3, seed: int = 0, rate_hz: int = RATE_HZ) -> Music:
    """Make plucked notes of a few harmonics, peaking at 1."""
    rng, time = np.random.default_rng(seed), np.arange(seconds * rate_hz) / rate_hz
    sound = np.zeros(len(time))
    for on in np.arange(0, seconds, 0.25):
        note = np.maximum(time - on, 0)
        pitch_hz = 80 * 2 ** rng.uniform(0, 2)
        waves = sum(np.sin(2 * np.pi * pitch_hz * k * note + rng.uniform(0, 6)) / k for k in range(1, 8))
        sound += (note > 0) * np.exp(-4 * note) * waves
    return sound / np.abs(sound).max()


def cut(sound: Music, by_db: float, level: float = 1.0) -> Music:
    return np.clip(sound * 10 ** (by_db / 20), -1, 1) * level


@pytest.mark.parametrize("level", [0.3, 0.999])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_stem_with_flat_tops_is_told_at_any_level(tmp_path: Path, level: float, channels: int) -> None:
    stem = make_stem(tmp_path, "a", "bass", cut(music(), 20, level))
    sides = [cut(music(seed=seed), 20, level) for seed in range(channels)]
    soundfile.write(tmp_path / stem.path, np.stack(sides, axis=1), RATE_HZ, subtype="PCM_16")
    rows, _, _, rejects = make(tmp_path, [stem])
    assert reasons(rejects) == [("a", "clipped")] and "bass" in rows
    assert 40 <= int(rejects[0].detail.partition("%")[0]) <= 95


@pytest.mark.parametrize(
    "sound",
    [
        music(),
        cut(music(), 3),  # a loud master
        np.tanh(6 * music()),
        np.sin(2 * np.pi * 50 * np.arange(3 * RATE_HZ) / RATE_HZ),
        0.5 * np.sign(music()) * np.repeat(np.linspace(1, 0.5, 6), RATE_HZ // 2),  # a games console
        np.where(np.arange(3 * RATE_HZ) == RATE_HZ, 1, 1e-4 * music()),  # a click
    ],
    ids=["music", "master", "distortion", "sine", "pulse", "click"],
)
def test_what_is_loud_soft_or_synthesized_is_not_told(tmp_path: Path, sound: Music) -> None:
    _, _, _, rejects = make(tmp_path, [make_stem(tmp_path, "a", "bass", sound.astype(np.float32))])
    assert not reasons(rejects)


def test_the_share_of_power_is_that_of_the_flat_tops() -> None:
    wave = np.tile(np.concatenate([np.linspace(-1, 1, 100), np.ones(100)]), 50).astype(np.float32)[:, None]
    assert clipping.flat(wave) == pytest.approx(3 / 4, abs=0.02)


def test_the_loudest_stretch_of_a_long_stem_is_measured(tmp_path: Path) -> None:
    sound = np.concatenate([np.tile(0.1 * music(), 11), cut(music(), 20)])
    _, _, _, rejects = make(tmp_path, [make_stem(tmp_path, "a", "bass", sound.astype(np.float32))])
    assert reasons(rejects) == [("a", "clipped")]
