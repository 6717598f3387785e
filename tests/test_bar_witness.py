"""Bars and half-beats that chords and BeatNet contradict together, and those that only one of them does."""

from pathlib import Path

import numpy as np
import pytest

from instructme.dataset_tools.beats import bar_witness, rhythm
from instructme.dataset_tools.recognisers import beat_network

BEATS = np.arange(32)


def curve(bar: int, first: int = 0, height: float = 1.0, noise: float = 1.4, seed: int = 0) -> np.ndarray:
    """Make a noisy curve at beats that is higher on the first beat of bars."""
    return np.abs(height * (BEATS % bar == first) + 0.3 * noise * np.random.default_rng(seed).uniform(size=len(BEATS)))


@pytest.mark.parametrize("bar", [3, 4])
def test_bars_are_contradicted_where_both_agree_on_another_beat(bar: int) -> None:
    for late in range(bar):
        said = bar_witness.bars_against(curve(bar), curve(bar, seed=1), (BEATS + late) % bar + 1)
        assert (said is None) == (late == 0)
        assert late == 0 or f"beat {late + 1} of these bars" in str(said)


@pytest.mark.parametrize(("bar", "wrong"), [(4, 3), (3, 4)])
def test_bars_of_another_length_are_contradicted(bar: int, wrong: int) -> None:
    said = bar_witness.bars_against(curve(bar), curve(bar, seed=1), BEATS % wrong + 1)
    assert f"chords change every {bar} beats, and these bars have {wrong}" in str(said)


def test_one_witness_that_is_not_sure_contradicts_nothing() -> None:
    weak = curve(4, 1, height=0.35, noise=4, seed=3)
    assert bar_witness.bars_against(weak, curve(4), BEATS % 4 + 1) is None
    assert bar_witness.bars_against(weak, curve(4, 1), BEATS % 4 + 1) is not None


def test_two_beats_of_three_that_change_alike_are_no_bars_of_three() -> None:
    alike = 1 - curve(3, 1)
    assert bar_witness.bars_against(alike, alike, BEATS % 4 + 1) is None


@pytest.mark.parametrize("bar", [3, 4])
def test_bars_that_are_right_up_to_the_middle_are_contradicted(bar: int) -> None:
    both = [np.concatenate([curve(bar, (-place) % bar, seed=seed + place) for place in (0, 32)]) for seed in range(2)]
    right = np.arange(64) % bar + 1
    assert bar_witness.bars_against(*both, right) is None
    assert "beat 2 of these bars" in str(bar_witness.bars_against(*both, (np.arange(64) + (np.arange(64) >= 32)) % bar + 1))


def test_an_odd_bar_and_few_beats_tell_nothing() -> None:
    odd = np.concatenate([BEATS[:21] % 4 + 1, [5], BEATS[: len(BEATS) - 22] % 4 + 1])
    changes = (odd == 1).astype(np.float64)
    assert bar_witness.bars_against(changes, changes, odd) is None
    assert bar_witness.bars_against(np.ones(5), np.ones(5), np.array([1, 2, 3, 4, 1])) is None
    assert bar_witness.bars_against(np.zeros(0), np.zeros(0), np.zeros(0, np.int64)) is None


@pytest.mark.parametrize(("chords", "network", "contradicted"), [(0.5, 0.5, True), (0.5, 0.0, False), (0.0, 0.5, False)])
def test_half_a_beat_is_found_where_both_agree(chords: float, network: float, contradicted: bool) -> None:
    beats_s, activation = np.arange(32) * 0.5 + 1, np.zeros((1000, 3), np.float32)
    struck = np.rint((beats_s + network * 0.5) * beat_network.FRAME_RATE_HZ).astype(int)
    for near in (-1, 0, 1):
        activation[struck + near, 0] = 0.9
    said = bar_witness.half_beat_against(beats_s[::2] + chords * 0.5, activation, beats_s)
    assert (said is not None) == contradicted
    assert bar_witness.half_beat_against(beats_s[:3] + 0.25, activation, beats_s) is None  # few changes of chord


@pytest.mark.parametrize(("between", "contradicted"), [(16, True), (9, False), (1, False)])
def test_most_chords_must_change_between_the_beats(between: int, contradicted: bool) -> None:
    beats_s, activation = np.arange(32) * 0.5 + 1, np.full((1000, 3), 0.01, np.float32)
    for late_s, heard in ((0.0, 0.3), (0.25, 0.9)):
        activation[np.rint((beats_s + late_s) * beat_network.FRAME_RATE_HZ).astype(int), 0] = heard
    changes_s = np.sort(np.concatenate([beats_s[1 : between + 1] + 0.25, beats_s[between + 2 : 18]]))
    before_and_after_s = np.array([0.1, 0.2, 17.1, 17.2])
    said = bar_witness.half_beat_against(np.sort([*changes_s, *before_and_after_s]), activation, beats_s)
    assert (said is not None) == contradicted


@pytest.mark.parametrize("heard", [0.0, 0.01])
def test_a_network_that_hears_no_beats_contradicts_none(heard: float) -> None:
    beats_s, activation = np.arange(32) * 0.5 + 1, np.full((1000, 3), heard, np.float32)
    assert bar_witness.half_beat_against(beats_s[::2] + 0.25, activation, beats_s) is None


def test_midi_whose_chords_change_between_its_beats_has_no_bars(tmp_path: Path) -> None:
    import pretty_midi

    for late, trusted in ((0.0, True), (0.5, False)):
        midi = pretty_midi.PrettyMIDI(initial_tempo=120, resolution=960)
        midi.time_signature_changes = [pretty_midi.TimeSignature(4, 4, 0)]
        piano, bass = pretty_midi.Instrument(0), pretty_midi.Instrument(33)
        for beat in range(64):
            root = (60, 65, 67, 62)[beat // 4 % 4]
            for half in (0, 0.5):
                start = (beat + half + late) / 2
                piano.notes += [pretty_midi.Note(90, root + step, start, start + 0.2) for step in (0, 4, 7)]
            bass.notes += [pretty_midi.Note(90, root - 24, (beat + late) / 2, (beat + late) / 2 + 0.2)] if beat % 4 == 0 else []
        midi.instruments = [piano, bass]
        midi.write(str(tmp_path / "a.mid"))
        grid = rhythm.from_midi([tmp_path / "a.mid"], None, 24000)
        assert (grid.source, grid.trusted) == ("midi", trusted)
        assert grid.reason == (None if trusted else rhythm.BETWEEN)


@pytest.mark.parametrize(("eighths", "signature", "trusted"), [(8, (6, 8), False), (8, (12, 8), False), (6, (6, 8), True)])
def test_music_of_other_beats_than_those_of_a_compound_signature_has_no_bars(
    tmp_path: Path, eighths: int, signature: tuple[int, int], trusted: bool
) -> None:
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(initial_tempo=120, resolution=960)
    midi.time_signature_changes = [pretty_midi.TimeSignature(*signature, 0)]
    piano = pretty_midi.Instrument(0)
    for eighth in range(192):
        root = (60, 65, 67, 62)[eighth // eighths % 4]
        piano.notes += [pretty_midi.Note(90, root + step, eighth / 4, eighth / 4 + 0.2) for step in (0, 4, 7)]
    midi.instruments = [piano]
    midi.write(str(tmp_path / "a.mid"))
    grid = rhythm.from_midi([tmp_path / "a.mid"], None, 24000)
    assert (grid.source, grid.trusted) == ("midi", trusted)
    assert grid.reason == (None if trusted else rhythm.BETWEEN)
