"""Names that the sound contradicts, and those that it does not."""

from pathlib import Path

import numpy as np
import pytest
from test_parts import make, make_stem, noise, reasons

from instructme.dataset_tools.stems import name_check
from instructme.dataset_tools.stored import Stored

RATE_HZ = 24000
SCALE = (0, 2, 4, 5, 7, 9, 11, 12)


def notes(lowest_hz: float, seconds: float = 16.0, steps: tuple[int, ...] = SCALE) -> np.ndarray:
    """Play decaying notes with six harmonics, two a second."""
    at = np.arange(RATE_HZ // 2) / RATE_HZ
    played = []
    for index in range(round(2 * seconds)):
        pitch_hz = lowest_hz * 2 ** (steps[index % len(steps)] / 12)
        played.append(sum(np.sin(2 * np.pi * k * pitch_hz * at) / k**2 for k in range(1, 7)) * np.exp(-5 * at) / 4)
    return np.concatenate(played).astype(np.float32)


def hits(seconds: float = 16.0) -> np.ndarray:
    """Play short bursts of noise, four a second."""
    wave = np.random.default_rng(0).standard_normal(round(seconds * RATE_HZ)) / 8
    return (wave * np.exp(-20 * (np.arange(len(wave)) / RATE_HZ % 0.25))).astype(np.float32)


def sweeps(seconds: int = 16) -> np.ndarray:
    """Play one tone a second that falls by an octave, as electronic toms do, from any pitch."""
    at, random = np.arange(RATE_HZ) / RATE_HZ, np.random.default_rng(0)
    tones = [np.sin(2 * np.pi * np.cumsum(random.uniform(300, 900) * 2**-at) / RATE_HZ) for _ in range(seconds)]
    return np.concatenate([tone * np.exp(-3 * at) / 4 for tone in tones]).astype(np.float32)


def ask(instrument: str, wave: np.ndarray, folder: Path) -> str | None:
    sound = name_check.measure(Stored(folder).extend([wave]), RATE_HZ)
    assert sound is not None
    return name_check.against(instrument, sound)


@pytest.mark.parametrize(
    ("instrument", "wave", "said"),
    [
        ("electric bass", notes(880.0), "below 400 Hz"),
        ("flute", notes(45.0), "below 100 Hz"),
        ("vocals", notes(45.0), "below 100 Hz"),
        ("piano", hits(), "noise"),
        ("drums", notes(220.0), "melody"),
        ("shaker", notes(220.0), "melody"),
    ],
)
def test_a_sound_that_the_instrument_cannot_make_is_said(instrument: str, wave: np.ndarray, said: str, tmp_path: Path) -> None:
    assert said in (ask(instrument, wave, tmp_path) or "")


@pytest.mark.parametrize(
    ("instrument", "wave"),
    [
        ("electric bass", notes(45.0)),
        ("flute", notes(440.0)),
        ("cello", notes(70.0)),
        ("piano", notes(45.0)),
        ("drums", hits()),
        ("drums", notes(150.0, steps=(0, 4, 7))),  # three toms
        ("drums", sweeps()),
        ("percussion", notes(440.0)),  # a kalimba may have this name
        ("synthesizer", hits()),
    ],
)
def test_a_sound_that_the_instrument_can_make_is_not_doubted(instrument: str, wave: np.ndarray, tmp_path: Path) -> None:
    assert ask(instrument, wave, tmp_path) is None


@pytest.mark.parametrize("wave", [notes(880.0, 4.0), notes(880.0) * 1e-4, np.ones(RATE_HZ * 9) * np.sin(np.arange(RATE_HZ * 9))])
def test_short_and_soft_sounds_and_test_tones_tell_nothing(wave: np.ndarray, tmp_path: Path) -> None:
    assert name_check.measure(Stored(tmp_path).extend([wave.astype(np.float32)]), RATE_HZ) is None


def test_the_rate_changes_no_answer(tmp_path: Path) -> None:
    at = np.arange(RATE_HZ * 16)
    high = np.interp(np.arange(0, len(at), 0.5), at, notes(220.0)).astype(np.float32)
    sounds = [name_check.measure(Stored(tmp_path).extend([wave]), rate) for wave, rate in ((notes(220.0), 24000), (high, 48000))]
    assert None not in sounds
    assert sounds[0] == pytest.approx(sounds[1], abs=0.02)


def test_the_level_changes_no_answer(tmp_path: Path) -> None:
    sounds = [name_check.measure(Stored(tmp_path).extend([level * notes(45.0)]), RATE_HZ) for level in (1.0, 0.012)]
    assert None not in sounds
    assert sounds[0] == pytest.approx(sounds[1], abs=0.02)


@pytest.mark.parametrize(("seconds", "asked"), [(5.0, True), (4.9, False)])
def test_five_seconds_are_asked(seconds: float, asked: bool, tmp_path: Path) -> None:
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    wave = (np.sin(2 * np.pi * 440 * at) * np.exp(-3 * (at % 0.5)) / 4).astype(np.float32)
    assert bool(name_check.measure(Stored(tmp_path).extend([wave]), RATE_HZ)) == asked


def high_notes(seconds: float = 8.0) -> np.ndarray:
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (np.sin(2 * np.pi * 880 * at) * np.exp(-5 * (at % 0.5)) / 4).astype(np.float32)


@pytest.mark.parametrize("beside", ["vocals", "other"])
def test_a_name_that_the_sound_contradicts_becomes_a_guess_and_is_told(beside: str, tmp_path: Path) -> None:
    voice = make_stem(tmp_path, "Bass", "bass", high_notes())
    rows, sums, _, rejects = make(tmp_path, [voice, make_stem(tmp_path, "x", beside, noise(8, seed=2), rule="alias")])
    assert ("Bass", "name_doubted") in reasons(rejects)
    assert "bass" not in rows
    assert not rows["other"].editable
    assert "Bass" in rows["other"].stems
    assert sum(wave.astype(np.float64) for wave in sums.values()) == pytest.approx(high_notes() + noise(8, seed=2), abs=1e-4)


@pytest.mark.parametrize(("rule", "layered"), [("alias", False), ("name", True)])
def test_a_name_is_kept_that_is_given_or_that_another_stem_confirms(rule: str, layered: bool, tmp_path: Path) -> None:
    low = (np.sin(np.arange(8 * RATE_HZ) * 2 * np.pi * 55 / RATE_HZ) / 2).astype(np.float32)
    stems = [make_stem(tmp_path, "Bass", "bass", high_notes(), rule=rule)]
    stems += [make_stem(tmp_path, "Bass low", "bass", low)] if layered else []
    rows, _, _, rejects = make(tmp_path, stems)
    assert set(rows) == {"bass"}
    assert "name_doubted" not in dict(reasons(rejects)).values()
