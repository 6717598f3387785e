"""Annotated beats against audio: those of another song, tempo or start are found; music without a beat contradicts nothing."""

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from instructme.dataset_tools import audio
from instructme.dataset_tools.beats import pulse_check, rhythm
from instructme.dataset_tools.midi import grid_check
from instructme.dataset_tools.recognisers import beat_network
from instructme.dataset_tools.stored import Stored

RATE_HZ = 24000
SECONDS = 20
Floats = npt.NDArray[np.float64]


def beats(bpm: float, first_s: float = 0.3) -> Floats:
    return np.arange(first_s, SECONDS - 0.2, 60 / bpm)


OWN = {
    "120": beats(120),
    "97": beats(97, 1.1),
    "rubato": np.cumsum(np.concatenate([[0.3], 0.5 + 0.08 * np.sin(np.arange(35) / 5)])),
}


@cache
def play(name: str) -> audio.Samples:
    """Play kicks and snares on the beats, and hats between them."""
    beats_s = OWN[name]
    random, sound = np.random.default_rng(0), np.zeros(SECONDS * RATE_HZ)
    halves = np.sort(np.concatenate([beats_s, beats_s[:-1] + np.diff(beats_s) / 2]))
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    for number, at_s in enumerate(halves):
        hat = 0.05 * random.standard_normal(len(time)) * np.exp(-time * 80)
        kick = np.sin(2 * np.pi * 60 * time) * np.exp(-time * 15) * (number % 4 == 0)
        snare = 0.4 * random.standard_normal(len(time)) * np.exp(-time * 30) * (number % 4 == 2)
        start = round(at_s * RATE_HZ)
        sound[start : start + len(time)] += (hat + kick + snare)[: len(sound) - start]
    return (0.3 * sound).astype(np.float32)


@cache
def heard(name: str) -> rhythm._Stretch:
    return rhythm._stretch(play(name), RATE_HZ, RATE_HZ // 100)


def against(beats_s: Floats, name: str) -> str | None:
    return pulse_check.against(beats_s, heard(name).activation, heard(name).envelope)


@pytest.mark.parametrize("name", OWN)
def test_own_beats_are_believed_and_others_are_not(name: str) -> None:
    own = OWN[name]
    assert against(own, name) is None
    assert against(own[::2], name) is None  # at half the tempo
    assert against(np.sort(np.concatenate([own, own[:-1] + np.diff(own) / 2])), name) is None
    for wrong in (own * 1.03, own * 0.97, beats(83)):
        assert "of another recording" in str(against(wrong, name))


@pytest.mark.parametrize("share", [0.9925, 0.995, 1.005, 1.0075])
def test_beats_that_drift_are_not_believed(share: float) -> None:
    assert "they may drift" in str(against(OWN["120"] * share, "120"))


def test_beats_of_a_longer_version_are_not_believed_behind_the_cut() -> None:
    own = OWN["120"]
    assert "beats at 13 s" in str(against(np.concatenate([own[:25], own[25:] + 0.08]), "120"))


def test_beats_that_are_late_and_then_early_are_not_believed() -> None:
    own = OWN["120"]
    assert "of another recording" in str(against(np.concatenate([own[:20] + 0.08, own[20:] - 0.08]), "120"))


@pytest.mark.parametrize(("bpm", "told"), [(120, False), (113, True)])
def test_beats_are_heard_over_what_sounds_all_the_time(bpm: int, told: bool) -> None:
    """A tremolo or a shaker is a floor of onsets, from which beats stand out a little."""

    def curve(frames_hz: float) -> Floats:
        off = np.abs((np.arange(round(SECONDS * frames_hz)) / frames_hz - 0.3 + 0.25) % 0.5 - 0.25)
        return 0.4 + 0.3 * np.exp(-((off / 0.03) ** 2))

    activation = np.stack([curve(beat_network.FRAME_RATE_HZ) / 2] * 2, axis=1)
    contradicted = pulse_check.against(beats(bpm), activation, curve(grid_check.ENVELOPE_HZ))
    assert bool(contradicted) == told


@pytest.mark.parametrize("lag_ms", [20, -20, 80, -100])
def test_a_shift_is_told_in_milliseconds(lag_ms: int) -> None:
    told = against(OWN["120"] - lag_ms / 1000, "120")
    if abs(lag_ms) <= 20:
        assert told is None
    else:
        assert told is not None and abs(int(told.split()[3]) - lag_ms) <= 15


def test_few_beats_and_those_of_a_later_part_are_not_contradicted() -> None:
    assert against(beats(100)[:15], "120") is None
    assert against(OWN["120"] + 100, "120") is None
    assert against(np.zeros(0), "120") is None


def grid(folder: Path, beats_s: Floats, sound: audio.Samples) -> rhythm.Grid:
    (folder / "beats.txt").write_text("".join(f"{time_s:.4f} {number % 4 + 1}\n" for number, time_s in enumerate(beats_s)))
    with_blocks = Stored(folder).extend([sound])
    return rhythm.from_annotation(folder / "beats.txt", None, len(sound), RATE_HZ, with_blocks)


def test_a_grid_that_the_audio_contradicts_is_not_trusted(tmp_path: Path) -> None:
    right = grid(tmp_path, OWN["120"], play("120"))
    assert (right.trusted, right.against, right.reason, right.confidence) == (True, None, None, 1.0)
    wrong = grid(tmp_path, 1.03 * OWN["120"], play("120"))
    assert (wrong.trusted, wrong.downbeat_known, wrong.confidence) == (False, True, 0.0)
    assert wrong.against is not None and wrong.against == wrong.reason


@pytest.mark.parametrize("sound", ["silence", "noise", "tone"])
def test_music_without_a_beat_contradicts_nothing(sound: str, tmp_path: Path) -> None:
    time = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    samples = {
        "silence": 0 * time,
        "noise": 0.1 * np.random.default_rng(0).standard_normal(len(time)),
        "tone": np.sin(1400 * time),
    }
    assert grid(tmp_path, beats(113), samples[sound].astype(np.float32)).trusted


EVEN = 0.5 + 0.5 * np.arange(64)
BARS = np.arange(64) % 4 + 1


def test_even_beats_gaps_and_other_tempi_are_believed() -> None:
    gap = (EVEN < 10) | (EVEN >= 16)
    slower = np.cumsum(np.concatenate([np.full(32, 0.5), np.full(32, 0.7)]))
    fermata = EVEN + (EVEN > 15)
    for beats_s, positions in [(EVEN, BARS), (EVEN, 0 * BARS), (EVEN[gap], BARS[gap]), (slower, BARS), (fermata, BARS)]:
        assert pulse_check.uneven(beats_s, positions) is None


@pytest.mark.parametrize("known", [0, 1])
def test_missing_and_added_beats_and_octaves_of_tempo_contradict_beats(known: int, tmp_path: Path) -> None:
    missing = np.delete(EVEN, [9, 25, 42])
    more = np.sort(np.concatenate([EVEN, EVEN[[9, 25, 42]] + 0.25]))
    double = np.sort(np.concatenate([EVEN, EVEN[32:] + 0.25]))
    half = np.concatenate([EVEN[:32], EVEN[32::2]])
    for beats_s, told in [(missing, "missing"), (more, "too many"), (double, "twice"), (half, "half or twice")]:
        positions = known * (np.arange(len(beats_s)) % 4 + 1)
        assert told in str(pulse_check.uneven(beats_s, positions))
        np.savetxt(tmp_path / "beats.txt", np.column_stack([beats_s, positions]), fmt=["%.3f", "%d"])
        grid = rhythm.from_annotation(tmp_path / "beats.txt", None, 40 * RATE_HZ, RATE_HZ)
        assert told in str(grid.against)
        assert not grid.trusted
