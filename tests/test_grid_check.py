"""Do notes, beats and the audio lie on one grid: made cases whose answer is known."""

import numpy as np
import numpy.typing as npt
import pytest

from instructme.dataset_tools.midi import grid_check
from instructme.dataset_tools.midi.tempo_map import TempoMap

RATE_HZ = 24000
BLOCK = grid_check.BLOCK_S * grid_check.ENVELOPE_HZ


def tempo_map(onsets: npt.ArrayLike, quarter_s: float = 0.5, *signatures: tuple[float, int, int]) -> TempoMap:
    """Make notes, in quarter notes, at one tempo."""
    notes = np.asarray(onsets, dtype=np.float64)
    clock = np.zeros(1), np.zeros(1), np.array([quarter_s])
    return TempoMap(*clock, signatures, notes, np.full(len(notes), 0.5), np.zeros(len(notes), bool))


def test_notes_are_placed_in_the_bars_of_their_own_time_signature() -> None:
    """4/4, then from quarter 8 on 6/8, whose beats are dotted quarters."""
    placed = grid_check.phases(tempo_map([0, 7, 8, 9.5, 11.75], 0.5, (0.0, 4, 4), (8.0, 6, 8)))
    assert [each.tolist() for each in placed] == [[0, 7, 0, 1, 2.5], [4, 4, 2, 2, 2], [0.5, 0.5, 0.75, 0.75, 0.75]]


def test_triplets_of_a_loose_player_are_on_the_grid() -> None:
    """Deviations of 20 ms at 180 bpm blur sixths of a beat, which are 56 ms apart, and leave thirds clear."""
    thirds = np.arange(96 * 3) / 3 + np.random.default_rng(0).normal(0, 0.02 * 3, 96 * 3)
    assert grid_check.share_on_grid(tempo_map(np.sort(np.maximum(thirds, 0)), 1 / 3)) == 1.0


def test_a_steady_bass_note_has_one_onset() -> None:
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    note = np.where(time_s >= 0.5, 0.5 * np.sin(2 * np.pi * 55 * time_s), 0).astype(np.float32)
    envelope = grid_check.onset_envelope(note, RATE_HZ)
    assert abs(int(envelope.argmax()) - 50) <= 1
    assert envelope[55:195].max() < 0.1 * envelope.max()


def struck(seconds: float, seed: int = 0) -> npt.NDArray[np.int64]:
    """Draw frames of notes, two a second, none of them in the last half second."""
    frames = int(seconds * grid_check.ENVELOPE_HZ)
    return np.sort(np.random.default_rng(seed).choice(frames - 50, int(2 * seconds), replace=False))


def heard(notes: npt.NDArray[np.int64], frames: int) -> npt.NDArray[np.float32]:
    return np.bincount(notes, minlength=frames).astype(np.float32)


def test_each_block_of_20_s_is_asked_on_its_own() -> None:
    """The audio of the middle one of three is 100 ms late."""
    notes = struck(60)
    late = notes + 10 * ((notes >= BLOCK) & (notes < 2 * BLOCK - 10))
    share = float(np.mean((notes < BLOCK) | (notes >= 2 * BLOCK)))
    assert grid_check.share_in_audio(notes / 100, heard(late, 3 * BLOCK)) == pytest.approx(share, abs=1e-9)


def test_the_last_second_of_a_song_is_too_short_to_be_asked() -> None:
    notes = struck(20)
    end = BLOCK + np.arange(0, 150, 7)
    envelope = heard(np.concatenate([notes, end + 5]), BLOCK + 160)
    assert grid_check.share_in_audio(np.concatenate([notes, end]) / 100, envelope) == 1.0


def test_silence_confirms_no_notes() -> None:
    notes = struck(20) / 100
    assert grid_check.share_in_audio(notes, np.zeros(BLOCK, np.float32)) == 0.0
    assert grid_check.share_in_audio(notes, np.full(BLOCK, 0.5, np.float32)) == 0.0


@pytest.mark.parametrize("drift", [0.0, 0.0025, -0.0025, 0.005, -0.004])
def test_a_drift_is_measured_from_start_to_end(drift: float) -> None:
    random = np.random.default_rng(0)
    notes = np.sort(random.choice(np.arange(200) * 15, 150, replace=False))
    played = np.rint(notes * (1 + drift)).astype(int)
    played[30:45] += random.integers(-9, 9, 15)  # one part errs
    envelope = heard(np.sort(played), 3050)
    assert grid_check.drift_s(notes / 100, envelope) == pytest.approx(30.5 * drift, abs=0.03)
    assert grid_check.drift_s(notes[:20] / 100, envelope) == 0.0, "too few notes"


@pytest.mark.parametrize("level", [0.001, 1.0, 1000.0])
@pytest.mark.parametrize(("correlation", "share"), [(0.07, 0.0), (0.2, 1.0)])
def test_notes_and_audio_must_correlate_by_a_tenth_at_any_level(level: float, correlation: float, share: float) -> None:
    notes = struck(20)
    played = heard(notes, BLOCK).astype(np.float64)
    played = (played - played.mean()) / played.std()
    smooth = np.sin(np.arange(BLOCK) * 2 * np.pi / 1000)
    smooth -= played * (smooth @ played) / BLOCK
    sound = correlation * played + np.sqrt(1 - correlation**2) * smooth / smooth.std()
    assert grid_check.share_in_audio(notes / 100, (level * (10 + sound)).astype(np.float32)) == share


def test_beats_agree_where_they_meet_onsets_and_keep_time() -> None:
    """Of ten beats, the last three meet no onset; then the sixth one is 80 ms late, with the onset it meets."""
    frames = 37 + 50 * np.arange(10)
    envelope = np.zeros(600)
    envelope[frames] = 1.0
    assert grid_check.agreement(frames, envelope) == 1.0
    silent = envelope.copy()
    silent[frames[7:]] = 0.0
    assert grid_check.agreement(frames, silent) == pytest.approx(0.7)
    frames[5] += 8
    envelope[frames[5]] = 1.0
    assert grid_check.agreement(frames, envelope) == pytest.approx(0.8)


@pytest.mark.parametrize("place", [0, 9])
def test_the_first_and_the_last_beat_may_be_off_time_too(place: int) -> None:
    """Moved out by 80 ms, with the onset it meets. The first beat has the interval of the second one."""
    frames = 37 + 50 * np.arange(10)
    frames[place] += 8 if place else -8
    envelope = np.zeros(600)
    envelope[frames] = 1.0
    assert grid_check.agreement(frames, envelope) == pytest.approx(0.9 if place else 0.8)
