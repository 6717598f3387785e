"""Parts to clips: what is said of a window is true of its samples."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from instructme.dataset_tools import activity, audio, clips
from instructme.manifests.rows import Clip, Part, Rhythm

RATE_HZ = 1000
WINDOW = 10 * RATE_HZ
RHYTHM = Rhythm("t", "none", None, 0.0, False, None, False, None, None, [], [], "none", None, [], [], None, 0.0)


def make_part(instrument: str, wave: np.ndarray, editable: bool = True) -> Part:
    level_db = np.rint(activity.levels(wave, RATE_HZ)).astype(int)
    return Part(
        track_id="t",
        instrument=instrument,
        family="family",
        editable=editable,
        lead=False,
        path=f"{instrument}.flac",
        stems=["S"],
        sample_rate_hz=RATE_HZ,
        length_samples=len(wave),
        gain=1.0,
        lufs=None,
        rms_db=audio.rms_db(wave),
        peak_db=audio.peak_db(wave),
        bandwidth_hz=RATE_HZ // 2,
        level_db=level_db.tolist(),
        activity=activity.detect(level_db).tolist(),
    )


def cut(waves: dict[str, np.ndarray], rhythm: Rhythm = RHYTHM, window: int = WINDOW, **options: float) -> tuple[list[Clip], int]:
    made = [make_part(name, wave, name != "other") for name, wave in waves.items()]
    measured = [clips.measure(wave, window) for wave in waves.values()]
    return clips.cut(made, measured, clips.measure(sum(waves.values()), window), rhythm, window, **options)


def sound(pattern: str, amplitude: float = 0.1) -> np.ndarray:
    """Draw five seconds per sign: # plays, . is silent."""
    return np.repeat([amplitude if sign == "#" else 0.0 for sign in pattern], 5 * RATE_HZ).astype(np.float32)


def test_windows_follow_each_other_and_the_rest_is_left() -> None:
    found, dropped = cut({"bass": sound("#####")})
    assert [(clip.clip_id, clip.start_samples, clip.length_samples) for clip in found] == [
        ("t-0000", 0, WINDOW),
        ("t-0001", WINDOW, WINDOW),
    ]
    assert dropped == 0


def test_a_track_shorter_than_a_window_has_no_clip() -> None:
    assert cut({"bass": sound("#")}) == ([], 0)


def test_mostly_silent_windows_are_dropped_and_counted() -> None:
    bass, drums = sound("##......##"), sound("##....#.##")
    drums[2 * WINDOW : 2 * WINDOW + 1000] = 0.1
    found, dropped = cut({"bass": bass, "drums": drums})
    assert [clip.clip_id for clip in found] == ["t-0000", "t-0003", "t-0004"]
    assert dropped == 2


def test_only_parts_that_sound_are_listed() -> None:
    waves = {"bass": sound("####"), "drums": sound("..##"), "piano": sound("....")}
    waves["piano"][3] = audio.STEP
    found, _ = cut(waves)
    assert [clip.instruments for clip in found] == [["bass", "piano"], ["bass", "drums"]]
    for clip in found:
        assert len(clip.active) == len(clip.rms_db) == len(clip.peak_db) == len(clip.usable) == len(clip.instruments)


def test_parts_are_usable_when_active_and_heard() -> None:
    half = sound("##")
    half[3100:] = 0
    short = sound("##")
    short[2900:] = 0
    waves = {"bass": sound("##"), "flute": sound("##", 0.1 / 40), "half": half, "other": sound("##"), "short": short}
    (clip,), _ = cut(waves)
    assert dict(zip(clip.instruments, clip.usable, strict=True)) == {
        "bass": True,
        "flute": False,
        "half": True,
        "other": False,
        "short": False,
    }
    assert dict(zip(clip.instruments, clip.active, strict=True))["short"] == pytest.approx(0.29)
    (lenient,), _ = cut(waves, min_active=0.25, max_under_mix_db=60, min_lufs=-60)
    assert [name for name, usable in zip(lenient.instruments, lenient.usable, strict=True) if not usable] == ["other"]


@given(arrays(np.float32, (2, 2500), elements=st.floats(-1, 1, width=32)), st.integers(100, 2500))
def test_levels_are_those_of_the_samples(waves: np.ndarray, window: int) -> None:
    measured = clips.measure(waves[0], window)
    assert len(measured.rms_db) == len(measured.peak_db) == 2500 // window
    for index in range(2500 // window):
        part = waves[0, index * window : (index + 1) * window].astype(np.float64)
        assert measured.rms_db[index] == pytest.approx(20 * np.log10(max(np.sqrt(np.mean(part**2)), 1e-6)), abs=1e-4)
        assert measured.peak_db[index] == pytest.approx(20 * np.log10(max(np.abs(part).max(), 1e-6)), abs=1e-4)


def test_tempo_is_the_median_of_the_window() -> None:
    slow, fast = np.arange(0, WINDOW, 1000), np.arange(WINDOW, 2 * WINDOW, 500)
    beats = [*slow, *fast, 2 * WINDOW]
    found, _ = cut({"bass": sound("######")}, replace(RHYTHM, beats_samples=beats, beat_positions=[0] * len(beats)))
    assert [clip.tempo_bpm for clip in found] == [60.0, 120.0, None]


def test_chords_are_those_that_sound_in_the_window() -> None:
    starts = [0, 4000, 9000, 10000, 21000]
    chords = replace(RHYTHM, chord_starts_samples=starts, chord_labels=["C:maj", "F:maj", "F:maj", "G:7", "C:maj"])
    found, _ = cut({"bass": sound("######")}, chords)
    assert [clip.chords for clip in found] == [["C:maj", "F:maj"], ["G:7"], ["G:7", "C:maj"]]


@pytest.mark.parametrize("window", [3333, 12345])
def test_windows_need_not_be_whole_frames(window: int) -> None:
    found, dropped = cut({"bass": sound("######")}, window=window)
    assert len(found) == 30000 // window
    assert dropped == 0
    assert all(clip.active == [1.0] for clip in found)


def test_a_part_is_named_only_where_it_is_loud_enough_while_it_plays() -> None:
    waves = {"loud": sound("####"), "soft": sound("####", 0.004), "rare": sound("####", 0.008)}
    waves["rare"][3500:WINDOW] = 0  # -42 dBFS where it plays, -46.5 dBFS over the window
    usable = {clip.clip_id: dict(zip(clip.instruments, clip.usable, strict=True)) for clip in cut(waves)[0]}
    assert usable["t-0000"] == {"loud": True, "soft": False, "rare": True}
    assert cut(waves, min_lufs=-50)[0][0].usable == [True, True, True]
    assert cut(waves, min_lufs=-40)[0][0].usable == [True, False, False]


def test_loudness_is_weighed_as_it_is_over_the_whole_part() -> None:
    part = make_part("bass", sound("####"))
    assert activity.weighting_db(-30.0, part.level_db, part.activity) == pytest.approx(-10.0, abs=0.1)
    assert activity.weighting_db(None, part.level_db, part.activity) == 0.0
