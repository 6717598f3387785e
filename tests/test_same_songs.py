"""One recording in two datasets under two names."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_splits import track

from instructme.dataset_tools import fingerprint, same_songs


def sound(seed: int, late_s: float = 0.0) -> np.ndarray:
    """Make 12 s of tones that change, so that each seed is another song; `(T,)` at 8 kHz."""
    rng = np.random.default_rng(seed)
    time = np.arange(8000 * 12) / 8000
    notes = [
        np.sin(2 * np.pi * hz * time) * (np.sin(2 * np.pi * speed * time) > 0)
        for hz, speed in rng.uniform((300, 0.3), (2000, 3), (12, 2))
    ]
    return np.concatenate([np.zeros(round(late_s * 8000)), sum(notes) / 12 + 0.01 * rng.standard_normal(len(time))]).astype(
        np.float32
    )


def folders(root: Path, **sounds: np.ndarray) -> dict[str, Path]:
    for name, wave in sounds.items():
        (root / name).mkdir()
        np.save(root / name / same_songs.FILE, fingerprint.fingerprint(wave, 8000))
    return {name: root / name for name in sounds}


@pytest.mark.parametrize(
    ("splits", "lost"), [(("train", "test"), "a"), (("validation", "train"), "b"), (("test", "validation"), "b")]
)
def test_the_copy_that_is_held_out_less_is_left_out(splits: tuple[str, str], lost: str, tmp_path: Path) -> None:
    paths = folders(tmp_path, a=sound(1), b=0.3 * sound(1, 0.4), c=sound(2), d=sound(3))
    tracks = [replace(track(name), split=split) for name, split in zip("abcd", (*splits, "train", "test"), strict=True)]
    (row,) = same_songs.doubles(paths, tracks)
    assert (row.track_id, row.reason, row.stage) == (lost, "same_sound", "prepare")


def test_copies_in_one_split_stay(tmp_path: Path) -> None:
    paths = folders(tmp_path, a=sound(1), b=sound(1), c=sound(2))
    tracks = [replace(track(name), split=split) for name, split in zip("abc", ("train", "train", "test"), strict=True)]
    assert not same_songs.doubles(paths, tracks)
