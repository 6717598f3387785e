"""A chart fits its own audio as it is; that of another song, key or start doesn't, and noise contradicts nothing."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from instructme.dataset_tools import harmony
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.chart_check import fits
from instructme.dataset_tools.chord_labels import parse
from instructme.manifests.rows import DataError

RATE_HZ = 24000
SECONDS = 32
OWN = [
    "C:maj",
    "A:min",
    "F:maj",
    "G:7",
    "C:maj",
    "E:min",
    "D:min",
    "G:maj",
    "A:min",
    "D:maj",
    "G:maj",
    "E:7",
    "A:min",
    "F:maj",
    "C:maj",
    "G:7",
]
OTHER = ["F#:maj", "B:maj", "C#:7", "F#:maj", "D#:min", "G#:min", "C#:maj", "F#:maj"] * 2
STARTS_S = [2.0 * bar for bar in range(16)]


def play(labels: list[str], *, transposed: int = 0) -> Samples:
    """Play the chords, two seconds each, struck twice, with a bass."""
    sound, time = np.zeros(2 * len(labels) * RATE_HZ), np.arange(RATE_HZ) / RATE_HZ
    for number, label in enumerate(label for label in labels for _ in range(2)):
        classes = sorted(parse(label).pitch_classes)
        pitches = [(pitch + transposed) % 12 + base for pitch in classes for base in (60, 72)]
        note = sum(np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time) for pitch in pitches) * np.exp(-3 * time)
        sound[number * RATE_HZ : (number + 1) * RATE_HZ] += 0.05 * note
    return sound.astype(np.float32)


SOUND = play(OWN)


def test_only_the_own_chart_fits() -> None:
    assert fits(STARTS_S, OWN, SOUND, RATE_HZ)
    assert not fits(STARTS_S, OTHER, SOUND, RATE_HZ)
    assert not fits(STARTS_S, OWN, play(OWN, transposed=2), RATE_HZ)
    assert not fits(STARTS_S, [*OWN[2:], *OWN[:2]], SOUND, RATE_HZ)


@pytest.mark.parametrize("semitones", range(1, 12))
def test_a_chart_in_another_key_does_not_fit(semitones: int) -> None:
    assert not fits(STARTS_S, OWN, play(OWN, transposed=semitones), RATE_HZ)


@pytest.mark.parametrize("bars", [1, 2, 5, 15])
def test_a_chart_that_starts_bars_later_does_not_fit(bars: int) -> None:
    assert not fits(STARTS_S, [*OWN[bars:], *OWN[:bars]], SOUND, RATE_HZ)


def test_a_chart_of_the_first_bars_alone_is_compared_with_these() -> None:
    first = [*OWN[:8], *["N"] * 8]
    assert fits(STARTS_S, first, play([*OWN[:8], *OTHER[:8]]), RATE_HZ)
    assert not fits(STARTS_S, [*OTHER[:8], *["N"] * 8], SOUND, RATE_HZ)
    assert fits(STARTS_S, [*OTHER[:4], *["N"] * 12], SOUND, RATE_HZ), "eight seconds are too few"


def test_a_chart_of_an_intro_is_not_compared_with_a_fuller_repeat() -> None:
    twice = play(OWN[:8] * 2)
    twice[: 4 * RATE_HZ] = 0
    assert fits(STARTS_S, [*OWN[:8], *["N"] * 8], twice, RATE_HZ)


def test_a_loop_fits_at_each_of_its_rounds() -> None:
    loop = OWN[:4] * 4
    assert fits(STARTS_S, loop, play(loop), RATE_HZ)
    assert not fits(STARTS_S, [*loop[1:], loop[0]], play(loop), RATE_HZ)


@pytest.mark.parametrize("late_s", [-0.5, 0.5])
def test_a_chart_that_is_half_a_second_off_is_still_the_one(late_s: float) -> None:
    assert fits([0.0, *(start_s + late_s for start_s in STARTS_S[1:])], OWN, SOUND, RATE_HZ)


def test_the_level_of_the_audio_decides_nothing() -> None:
    quiet = SOUND * np.float32(1e-3)
    assert fits(STARTS_S, OWN, quiet, RATE_HZ)
    assert not fits(STARTS_S, OTHER, quiet, RATE_HZ)


def test_a_drone_contradicts_no_chart() -> None:
    drone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(SECONDS * RATE_HZ) / RATE_HZ).astype(np.float32)
    assert fits(STARTS_S, ["C:maj"] * 16, drone, RATE_HZ), "all other keys fit better, but the tone never changes"


@pytest.mark.parametrize("labels", [OWN, ["N"] * 16, ["C:maj", *["N"] * 15]])
def test_what_is_not_heard_contradicts_nothing(labels: list[str]) -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(SECONDS * RATE_HZ)).astype(np.float32)
    tone = np.sin(np.arange(SECONDS * RATE_HZ) / 10).astype(np.float32)
    for sound in (np.zeros_like(noise), noise, tone):
        assert fits(STARTS_S, labels, sound, RATE_HZ)
    assert fits(STARTS_S, labels, SOUND, RATE_HZ)
    assert fits([], [], SOUND, RATE_HZ)


def test_a_chart_of_other_audio_is_refused_in_one_line(tmp_path: Path) -> None:
    def chart(labels: list[str]) -> Path:
        spans = zip(pairwise([*STARTS_S, SECONDS]), labels, strict=True)
        (tmp_path / "chords.lab").write_text("".join(f"{start} {end} {label}\n" for (start, end), label in spans))
        return tmp_path / "chords.lab"

    own = harmony.from_chart(chart(OWN), len(SOUND), RATE_HZ, SOUND)
    assert (own.source, own.labels[:4]) == ("chart", OWN[:4])
    with pytest.raises(DataError, match=r"not the chords of this recording.*chords.lab"):
        harmony.from_chart(chart(OTHER), len(SOUND), RATE_HZ, SOUND)
    assert harmony.from_chart(chart(OTHER), len(SOUND), RATE_HZ).labels[:2] == OTHER[:2]


@pytest.mark.parametrize("wrong", ["slower", "a verse is missing", "a change of key is missing"])
def test_a_part_of_a_chart_that_does_not_fit_contradicts_it(wrong: str) -> None:
    starts_s, labels = [2.0 * bar for bar in range(32)], OWN + OWN[::-1]
    sound = play(labels)
    assert fits(starts_s, labels, sound, RATE_HZ)
    if wrong == "slower":
        starts_s = [1.02 * start_s for start_s in starts_s]
    elif wrong == "a verse is missing":
        starts_s = [*starts_s[:20], *(start_s + 3 for start_s in starts_s[20:])]
    else:
        sound = np.concatenate([play(labels)[: 44 * RATE_HZ], play(labels, transposed=1)[44 * RATE_HZ :]])
    assert not fits(starts_s, labels, sound, RATE_HZ)
