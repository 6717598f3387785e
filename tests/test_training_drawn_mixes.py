"""Mixes for the separator: what is drawn, and that answers are the parts that are asked for."""

import json
from pathlib import Path

import numpy as np
import pytest
from gpu.bank_files import read_song
from hypothesis import given
from hypothesis import strategies as st

from instructme.manifests.instruments import INSTRUMENTS
from instructme.pipelines.training.drawn_mixes import NAMES, covers, draw, render
from instructme.pipelines.training.part_bank import BLOCK_SAMPLES, PartBank

WINDOW = 2 * BLOCK_SAMPLES


def sound(level: float, blocks: int = 8, silent: tuple[int, ...] = ()) -> np.ndarray:
    made = np.full(blocks * BLOCK_SAMPLES, round(level * 32768), np.int16)
    for block in silent:
        made[block * BLOCK_SAMPLES : (block + 1) * BLOCK_SAMPLES] = 0
    return made


@pytest.fixture(scope="module")
def bank() -> PartBank:
    made = PartBank(WINDOW)
    made.add([("drums", sound(0.1)), ("electric bass", sound(0.2)), ("acoustic guitar", sound(0.05)), ("piano", sound(0.15))])
    made.add([("drums", sound(0.12)), ("distorted electric guitar", sound(0.07)), ("flute", sound(0.11))])
    made.add([("vocals", sound(0.08))])
    return made


@pytest.mark.parametrize(
    ("name", "instrument", "expected"),
    [
        ("guitar", "distorted electric guitar", True),
        ("electric guitar", "distorted electric guitar", True),
        ("acoustic guitar", "distorted electric guitar", False),
        ("drums", "drum machine", True),
        ("saxophone", "tenor saxophone", True),
        ("piano", "electric piano", False),
        ("bass", "synth bass", True),
        ("flute", "flute", True),
        ("flute", "piccolo", False),
    ],
)
def test_a_name_covers_the_instruments_that_people_mean(name: str, instrument: str, expected: bool) -> None:
    assert covers(name, instrument) is expected


def test_every_instrument_covers_itself() -> None:
    assert all(covers(name, name) for name in INSTRUMENTS)


@given(st.integers(0, 10_000))
def test_mixes_have_two_to_five_parts_and_questions_say_what_they_cover(bank: PartBank, seed: int) -> None:
    drawn = draw(bank, 3, 2, np.random.default_rng(seed))
    for mix in range(3):
        there = drawn.parts[mix] >= 0
        named = [bank.parts[each].instrument for each in drawn.parts[mix][there]]
        assert 2 <= len(named) == len(set(named)) <= 5
        for question in range(2):
            name = NAMES[drawn.asked[mix, question]]
            assert drawn.covered[mix, question].tolist() == [float(covers(name, each)) for each in named] + [0.0] * (
                5 - len(named)
            )


def test_about_a_fifth_of_the_questions_is_about_nothing(bank: PartBank) -> None:
    drawn = draw(bank, 600, 2, np.random.default_rng(0))
    assert 0.16 < (drawn.covered.sum(axis=2) == 0).mean() < 0.24


def test_answers_are_the_covered_parts_and_the_mix_is_all(bank: PartBank) -> None:
    drawn = draw(bank, 8, 2, np.random.default_rng(3))
    drawn.speeds[:] = 1.0
    mix, answers, _ = render(bank, drawn, 24_000)
    middle = WINDOW // 2
    for row in range(8):
        levels = np.array([bank.parts[each].samples[0] / 32768 if each >= 0 else 0 for each in drawn.parts[row]])
        levels *= drawn.gains[row] * (drawn.parts[row] >= 0)
        np.testing.assert_allclose(mix[row, middle], levels.sum(), atol=1e-4)
        np.testing.assert_allclose(answers[row, :, middle], drawn.covered[row] @ levels, atol=1e-4)


def test_windows_are_drawn_where_the_part_sounds() -> None:
    bank = PartBank(WINDOW)
    bank.add([("drums", sound(0.1, 10, silent=tuple(range(2, 10)))), ("piano", sound(0.1, 10, silent=tuple(range(9))))])
    assert bank.parts[0].starts.tolist() == [0, 1]
    assert bank.parts[1].starts.tolist() == [8]


def test_speed_resamples_and_the_end_of_a_part_is_silent() -> None:
    bank = PartBank(WINDOW)
    ramp = np.arange(3 * BLOCK_SAMPLES, dtype=np.int16)
    bank.add([("piano", ramp)])
    fast = bank.window(0, 100, 1.25) * 32768
    np.testing.assert_allclose(fast[:5], 100 + 1.25 * np.arange(5), atol=0.01)
    assert not bank.window(0, 2 * BLOCK_SAMPLES, 1.0)[BLOCK_SAMPLES:].any()
    assert not bank.window(0, 4 * BLOCK_SAMPLES, 1.0).any()


@given(st.floats(0.8, 1.25))
def test_every_speed_reads_a_window(speed: float) -> None:
    bank = PartBank(98_304)
    bank.add([("piano", np.full(150_000, 3000, np.int16))])
    np.testing.assert_allclose(bank.window(0, 0, speed) * 32768, 3000, rtol=1e-6)


def test_the_end_of_a_part_of_an_hour_is_read_by_the_sample() -> None:
    """A float counts to 16.7 million, the samples of 12 minutes."""
    bank, start = PartBank(400), 3600 * 24000
    bank.add([("piano", np.concatenate([np.full(start, 3000, np.int16), np.arange(1000, dtype=np.int16)]))])
    window = bank.window(0, start + 1, 1.25) * 32768
    np.testing.assert_allclose(window, 1 + 1.25 * np.arange(400), atol=0.01)


def test_a_song_is_read_from_its_two_files(tmp_path: Path) -> None:
    np.concatenate([sound(0.1, 1), sound(0.2, 2)]).tofile(tmp_path / "a.i16")
    parts = [{"instrument": "drums", "start": 0, "samples": 12_000}, {"instrument": "piano", "start": 12_000, "samples": 24_000}]
    (tmp_path / "a.json").write_text(json.dumps({"song": "a", "split": "test", "source": "s", "parts": parts}))
    about, read = read_song(tmp_path / "a.json")
    assert about["split"] == "test"
    assert [(name, len(samples)) for name, samples in read] == [("drums", 12_000), ("piano", 24_000)]
