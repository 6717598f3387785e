"""On which beat chords change: made chords tell the first beat, also where the bars are said to begin elsewhere."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.beats import chord_changes, rhythm
from instructme.dataset_tools.sharding import beat_check
from instructme.pipelines.stages import verify

RATE_HZ = 24000
BEAT_S = 0.5
CHORDS = ((57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62))


def play(seconds: int, bar: int = 4, *, changing: bool = True) -> tuple[Samples, np.ndarray, np.ndarray]:
    """Strike a chord on each beat, another one in each bar: the sound, its beats in seconds, and their positions."""
    sound, random = np.zeros(seconds * RATE_HZ), np.random.default_rng(0)
    beats_s = np.arange(0, seconds - BEAT_S / 2, BEAT_S)
    time = np.arange(round(BEAT_S * RATE_HZ)) / RATE_HZ
    for number, at_s in enumerate(beats_s):
        chord = CHORDS[number // bar % 4 if changing else 0]
        note = sum(np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time) for pitch in chord) * np.exp(-4 * time)
        start = round(at_s * RATE_HZ)
        sound[start : start + len(note)] += 0.1 * random.uniform(0.5, 1) * note
    return sound.astype(np.float32), beats_s, np.arange(len(beats_s)) % bar + 1


@pytest.mark.parametrize("bar", [3, 4])
def test_chords_change_on_the_first_beat(bar: int) -> None:
    sound, beats_s, positions = play(40, bar)
    changes = chord_changes.at_beats(sound, beats_s, RATE_HZ)
    for late in range(bar):
        first = chord_changes.first_beat(changes, (positions - 1 + late) % bar + 1)
        assert first is not None and first.position == late + 1
        assert (first.lead > 4) == (late > 0)


def test_one_chord_tells_no_bars() -> None:
    sound, beats_s, positions = play(12, changing=False)
    assert chord_changes.first_beat(chord_changes.at_beats(sound, beats_s, RATE_HZ), positions) is None
    silent = chord_changes.at_beats(np.zeros_like(sound), beats_s, RATE_HZ)
    assert not silent.any() and chord_changes.first_beat(silent, positions) is None
    assert chord_changes.first_beat(silent, np.zeros_like(positions)) is None
    assert chord_changes.first_beat(np.ones(3), np.array([1, 2, 4])) is None
    assert len(chord_changes.at_beats(sound, np.zeros(0), RATE_HZ)) == 0


def test_annotated_bars_that_chords_contradict_are_not_trusted(tmp_path: Path) -> None:
    sound, beats_s, positions = play(40)
    for late in range(4):
        lines = [f"{time_s:.3f} {place}\n" for time_s, place in zip(beats_s, (positions - 1 + late) % 4 + 1, strict=True)]
        (tmp_path / "beats.txt").write_text("".join(lines))
        grid = rhythm.from_annotation(tmp_path / "beats.txt", None, len(sound), RATE_HZ, sound)
        assert grid.trusted == (late == 0)
        assert late == 0 or f"chords change on beat {late + 1}" in str(grid.against)


def test_each_side_of_a_remix_tells_its_first_beat() -> None:
    sound, beats_s, positions = play(10)
    description = {"beat_times_s": beats_s.tolist(), "beat_positions": (positions % 4 + 1).tolist()}
    stereo = np.stack([sound, sound], axis=1)
    assert list(beat_check.first_beats(description, (sound, stereo), RATE_HZ)) == [2, 2]
    assert not list(beat_check.first_beats({**description, "beat_positions": [1, 2]}, (sound,), RATE_HZ))
    assert not list(beat_check.first_beats({}, (sound,), RATE_HZ))


def test_only_sides_that_agree_on_another_beat_are_a_fault() -> None:
    moved = Counter({("set", 2): 8, ("set", 1): 3, ("set", 4): 3})
    (line,) = verify._moved_bars(moved)
    assert line == (
        "remixes of set: chords change on beat 2 of the bar in 8 of 14 sides, on the first in 3: "
        "downbeats may be off by whole beats"
    )
    for right in ({1: 8, 2: 3, 4: 3}, {3: 7, 1: 7}, {2: 6, 3: 5, 1: 3}, {2: 11}):
        assert not list(verify._moved_bars(Counter({("set", beat): count for beat, count in right.items()})))
    assert len(list(verify._moved_bars(moved + Counter({("other", 1): 100})))) == 1
