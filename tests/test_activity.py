"""The energy VAD: levels of known signals, and rules that hold for any part."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import yaml
from benchmarks.activity import scores, truth
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from instructme.dataset_tools import activity, audio
from instructme.manifests.rows import ACTIVITY_RATE_HZ


@pytest.mark.parametrize("rate_hz", [8000, 11025, 24000, 44100])
@pytest.mark.parametrize("seconds", [0, 0.05, 0.1, 1.0, 1.23])
def test_levels_of_a_square_wave_are_its_amplitude(rate_hz: int, seconds: float) -> None:
    wave = np.where(np.arange(round(seconds * rate_hz)) % 20 < 10, 0.1, -0.1).astype(np.float32)
    level_db = activity.levels(wave, rate_hz)
    assert len(level_db) == np.ceil(round(len(wave) * ACTIVITY_RATE_HZ / rate_hz, 9))
    assert level_db == pytest.approx(-20.0, abs=1e-5)


@given(arrays(np.float32, st.integers(0, 5000), elements=st.floats(-1, 1, width=32)), st.sampled_from([1000, 1105, 2205]))
def test_levels_hold_all_the_energy(wave: np.ndarray, rate_hz: int) -> None:
    level_db = activity.levels(wave, rate_hz)
    edges = [frame * rate_hz // 10 for frame in range(len(level_db))] + [len(wave)]
    power = [np.mean(np.float64(wave[a:b]) ** 2) for a, b in itertools.pairwise(edges)]
    assert 10 ** (level_db / 10) == pytest.approx(np.maximum(power, 1e-12), rel=1e-4)


def test_silence_is_never_active() -> None:
    assert activity.levels(np.zeros(24000, np.float32), 24000) == pytest.approx(audio.FLOOR_DB)
    assert not activity.detect(np.full(100, audio.FLOOR_DB)).any()
    assert len(activity.detect([])) == 0


def test_hum_is_never_active() -> None:
    assert not activity.detect(np.full(100, activity.QUIETEST_DB - 1)).any()


def level(text: str) -> np.ndarray:
    """Draw a level curve: # loud, + soft but over the release, . silent."""
    heights = {"#": -20.0, "+": -20.0 - (activity.ONSET_UNDER_DB + activity.RELEASE_UNDER_DB) / 2, ".": -110.0}
    return np.array([heights[sign] for sign in text])


def drawn(active: np.ndarray) -> str:
    return "".join("#" if frame else "." for frame in active)


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ("....####....####", "....####....####"),
        ("..##...##..", "..#######.."),
        ("..##....##..", "..##....##.."),
        ("##+++.....", "#####....."),
        ("....++##..", "....####.."),
        ("##....++++....##", "##............##"),
        ("...##...", "...##..."),
    ],
)
def test_hysteresis_and_short_rests(heard: str, expected: str) -> None:
    assert drawn(activity.detect(level(heard))) == expected


@given(arrays(np.float64, st.integers(1, 200), elements=st.floats(-60, -20)), st.floats(-4, 20))
def test_loudness_of_a_part_does_not_matter(level_db: np.ndarray, gain_db: float) -> None:
    """As long as all of it stays over the absolute floor."""
    whole = np.rint(level_db)
    assert (activity.detect(whole) == activity.detect(whole + round(gain_db))).all()


@given(arrays(np.float64, st.integers(1, 200), elements=st.floats(-120, 0)))
def test_the_loudest_frame_is_active_and_quiet_edges_are_not(level_db: np.ndarray) -> None:
    active = activity.detect(level_db)
    assert active[level_db.argmax()] == (level_db.max() > activity.QUIETEST_DB)
    on = np.flatnonzero(active)
    if len(on):
        assert level_db[on[[0, -1]]].min() >= activity.QUIETEST_DB


def test_frames_agree_with_the_notes_of_rendered_stems(shared_data: Path) -> None:
    pairs = []
    for midi in sorted((shared_data / "rendered_examples").glob("Track*/MIDI/*.mid")):
        stem = midi.parents[1] / "stems" / f"{midi.stem}.flac"
        found = activity.detect(np.rint(activity.levels(audio.read(stem, 24000), 24000)))
        pairs.append((truth([midi], len(found)), found))
    true, found = (np.concatenate(side) for side in zip(*pairs, strict=True))
    assert len(pairs) == sum(
        len(yaml.safe_load(path.read_text())["stems"]) for path in (shared_data / "rendered_examples").glob("*/metadata.yaml")
    )
    assert scores(true, found)[0] >= 0.95


@pytest.mark.parametrize(
    ("claps", "soft_plays"), [pytest.param(5, True, id="a twentieth of the time"), pytest.param(6, False, id="more")]
)
def test_a_few_loud_frames_do_not_silence_a_soft_part(claps: int, soft_plays: bool) -> None:
    level_db = np.full(100, -45.0)
    level_db[:claps] = -10.0
    assert activity.detect(level_db)[claps + 4 :].all() == soft_plays
    assert activity.detect(level_db)[:claps].all()


@pytest.mark.parametrize(
    ("under_db", "alone", "after_a_note"), [(24.5, True, True), (25.5, False, True), (27.5, False, True), (28.5, False, False)]
)
def test_what_is_too_soft_to_begin_may_still_ring(under_db: float, alone: bool, after_a_note: bool) -> None:
    loud, soft, rest = np.full(20, -10.0), np.full(6, -10.0 - under_db), np.full(20, -110.0)
    assert activity.detect(np.concatenate([loud, rest, soft]))[40:].all() == alone
    assert activity.detect(np.concatenate([rest, loud, soft]))[40:].all() == after_a_note


def test_a_breath_of_300_ms_is_no_rest_and_one_of_400_ms_is() -> None:
    for frames, filled in ((1, True), (3, True), (4, False)):
        level_db = np.full(30, -20.0)
        level_db[10 : 10 + frames] = -110.0
        assert activity.detect(level_db)[10 : 10 + frames].any() == filled


def test_a_part_of_noise_under_65_dbfs_never_plays() -> None:
    assert not activity.detect(np.full(50, -65.5)).any()
    assert activity.detect(np.full(50, -64.5)).all()


def test_weighting_is_loudness_less_the_level_while_it_plays() -> None:
    """Half of the frames sound at -20 dBFS: -23 LUFS are 3 dB less, however long the silence."""
    level_db = np.array([-20.0] * 10 + [audio.FLOOR_DB] * 10)
    active = level_db > -60
    assert activity.weighting_db(-23.0, level_db, active) == pytest.approx(-3.0, abs=1e-6)
    assert activity.weighting_db(-23.0, np.tile(level_db, 2)[:25], np.tile(active, 2)[:25]) == pytest.approx(-3.0, abs=1e-6)
    assert activity.weighting_db(-13.0, [-10.0, -16.9897], [True, True]) == pytest.approx(-13 - 10 * np.log10(0.06), abs=1e-4)


def test_weighting_is_0_where_loudness_is_not_defined() -> None:
    assert activity.weighting_db(None, np.full(5, -20.0), np.ones(5, bool)) == 0.0
    assert activity.weighting_db(-23.0, np.full(5, -20.0), np.zeros(5, bool)) == 0.0
