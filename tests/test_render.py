"""Rendering: exact sums, one gain, no clipping, time-stretch, and windows that are decoded once."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_work import LENGTH, RATE_HZ, WINDOW, make_part, recipe

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import STEP
from instructme.dataset_tools.sharding import render, windows
from instructme.manifests.rows import DataError

EDIT = recipe("add", 0, "set-a", 0, ["bass", "drums"], ["bass", "drums", "piano"])


def reader(parts: dict[str, np.ndarray]):
    """Read from parts in 16 bit, or made up as float."""
    pcm = {name: audio.to_int16(part) for name, part in parts.items()}
    return lambda track_id, instrument, start, length: pcm[instrument][start : start + length]


@given(
    st.integers(0, 2**32 - 1), st.floats(0.001, 1.0), st.lists(st.sampled_from("bcdefghi"), min_size=1, max_size=6, unique=True)
)
@settings(max_examples=60, deadline=None)
def test_target_less_source_is_gain_times_the_added_part_within_rounding(seed: int, level: float, bed: list[str]) -> None:
    random = np.random.default_rng(seed)
    parts = {name: (random.integers(-32768, 32768, WINDOW) * level).astype(np.int16) for name in [*bed, "a"]}
    edit = dataclasses.replace(EDIT, source_instruments=sorted(bed), target_instruments=sorted([*bed, "a"]))
    made = render.render(edit, reader(parts))
    integers = {name: part.astype(np.int64) for name, part in parts.items()}
    mixed = sum(integers[name] for name in bed)
    for side, exact in ((made.source, mixed), (made.target, mixed + integers["a"])):
        assert np.abs(side / STEP - made.gain * exact).max() <= 0.51
        assert audio.peak(side) <= render.CEILING + STEP / 2 and side.dtype == np.float32
        assert np.array_equal(audio.to_int16(side) * np.float32(STEP), side), "on the 16-bit grid"
    peak = max(np.abs(mixed).max(), np.abs(mixed + integers["a"]).max()) * STEP
    assert made.gain == made.target_gain == pytest.approx(min(1.0, 10 ** (-1 / 20) / peak))


@pytest.mark.parametrize("gain_db", [-12.0, -6.0, 6.0])
def test_a_part_is_turned_by_the_decibels_that_the_recipe_states(gain_db: float) -> None:
    random = np.random.default_rng(0)
    parts = {name: random.integers(-3000, 3000, WINDOW).astype(np.int16) for name in ("bass", "drums")}
    edit = recipe("rebalance", 0, "set-a", 0, ["bass", "drums"], ["bass", "drums"], named=["drums"], gain_db=gain_db)
    made = render.render(edit, reader(parts))
    assert np.abs(made.source / STEP - (parts["bass"] + parts["drums"])).max() <= 0.51
    assert np.abs(made.target / STEP - (parts["bass"] + 10 ** (gain_db / 20) * parts["drums"])).max() <= 0.52
    assert [window.instrument for window in render.windows(edit)] == ["bass", "drums", "bass", "drums", "drums"]


sides = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True).map(sorted)


@given(st.integers(0, 2**32 - 1), st.floats(0.001, 1.0), sides, sides, st.integers(0, 500), st.sampled_from(["joint", "side"]))
@settings(max_examples=60, deadline=None)
def test_any_recipe_is_the_sum_of_its_parts_in_double_precision(
    seed: int, level: float, source: list[str], target: list[str], start: int, normalise: str
) -> None:
    """Both sides of any edit are independent sums times a gain, whatever is in them; swapped recipes give swapped sides."""
    random = np.random.default_rng(seed)
    parts = {name: (random.integers(-32768, 32768, 2000) * level).astype(np.int16) for name in "abcdefgh"}
    read = reader(parts)
    edit = dataclasses.replace(
        EDIT,
        source_instruments=source,
        target_instruments=target,
        source_start_samples=start,
        target_start_samples=start,
        length_samples=1000,
    )
    made = render.render(edit, read, normalise)
    exact = [sum(parts[name][start : start + 1000].astype(np.float64) for name in names) for names in (source, target)]
    peaks = [float(np.abs(side).max()) * STEP for side in exact]
    ceiling = 10 ** (-1 / 20)
    gains = (
        [ceiling / peak if peak else 1.0 for peak in peaks]
        if normalise == "side"
        else [min(1.0, ceiling / max(*peaks, 1e-9))] * 2
    )
    assert [made.gain, made.target_gain] == pytest.approx(gains, rel=1e-5)
    for side, whole, gain in zip((made.source, made.target), exact, gains, strict=True):
        assert np.abs(side / STEP - whole * gain).max() <= 0.52
    swapped = dataclasses.replace(edit, source_instruments=target, target_instruments=source)
    again = render.render(swapped, read, normalise)
    assert np.array_equal(again.source, made.target) and np.array_equal(again.target, made.source)


def test_never_amplifies_but_brings_each_side_to_the_ceiling_when_asked() -> None:
    quiet = {name: np.full(WINDOW, level, np.float32) for name, level in (("bass", 0.1), ("drums", 0.05), ("piano", 0.0625))}
    joint = render.render(EDIT, reader(quiet))
    assert joint.gain == joint.target_gain == 1.0
    side = render.render(EDIT, reader(quiet), "side")
    assert audio.peak_db(side.source) == pytest.approx(-1, abs=0.001) == audio.peak_db(side.target)
    assert side.gain > side.target_gain > 1
    silent = render.render(EDIT, reader({name: part * 0 for name, part in quiet.items()}), "side")
    assert silent.gain == silent.target_gain == 1.0 and not silent.source.any()
    with pytest.raises(DataError, match="no such normalisation: loud"):
        render.render(EDIT, reader(quiet), "loud")


def test_does_not_change_what_it_reads() -> None:
    parts = {name: audio.to_int16(make_part("set-a", name)[:WINDOW]) for name in ("bass", "drums", "piano")}
    before = {name: part.copy() for name, part in parts.items()}
    render.render(EDIT, reader(parts))
    assert all(np.array_equal(parts[name], before[name]) for name in parts)


@pytest.mark.parametrize("rate_hz", [16000, 24000, 44100])
@pytest.mark.parametrize("factor", [0.9, 0.97, 1.03, 1.1])
def test_a_click_at_t_is_heard_at_t_over_the_stretch_within_1_ms(rate_hz: int, factor: float) -> None:
    random = np.random.default_rng(0)
    click = np.exp(-np.arange(rate_hz // 50) * 400 / rate_hz) * random.standard_normal(rate_hz // 50)
    samples = np.zeros(math.ceil(10 * rate_hz * factor), np.float32)
    times = [0.3, 1.0, 2.5, 5.0, 8.0, 9.7]
    for time in times:
        first = round(time * factor * rate_hz)
        samples[first : first + len(click)] = click
    stretched = render.stretch(samples, factor, rate_hz)
    for time in times:
        first = round((time - 0.1) * rate_hz)
        energy = stretched[first : first + rate_hz // 5] ** 2
        heard = np.average(np.arange(len(energy)), weights=energy) / rate_hz - 0.1
        meant = np.average(np.arange(len(click)), weights=click**2) / rate_hz
        assert abs(heard - meant) < 0.001, f"click at {time} s is {(heard - meant) * 1000:.1f} ms off"


@given(st.integers(2, 60000), st.floats(0.8, 1.25))
@settings(max_examples=40, deadline=None)
def test_stretched_windows_have_exactly_the_length_of_the_source(length: int, factor: float) -> None:
    parts = {name: np.ones(math.ceil(length * 1.25) + 1, np.float32) / 8 for name in ("bass", "drums")}
    remix = dataclasses.replace(EDIT, length_samples=length, target_instruments=["drums"], target_stretch=factor)
    made = render.render(remix, reader(parts))
    assert len(made.source) == len(made.target) == length


def test_stretching_keeps_pitch_and_level_and_repeats_itself_exactly() -> None:
    tone = (0.25 * np.sin(2 * np.pi * 440 * np.arange(264000) / 24000)).astype(np.float32)
    fast = render.stretch(tone, 1.1, 24000)
    spectrum = np.abs(np.fft.rfft(fast[:240000] * np.hanning(240000)))
    assert spectrum.argmax() / 10 == pytest.approx(440, abs=1)
    assert audio.rms_db(fast) == pytest.approx(audio.rms_db(tone), abs=0.5)
    assert np.array_equal(fast, render.stretch(tone, 1.1, 24000))


def test_a_stretch_of_one_bypasses_the_stretcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "python_stretch", None)
    samples = np.ones(8, np.float32)
    assert render.stretch(samples, 1.0, 24000) is samples
    with pytest.raises(ImportError):
        render.stretch(samples, 1.01, 24000)


@pytest.fixture
def part(tmp_path: Path):
    for instrument in ("bass", "drums", "piano"):
        audio.write_flac(tmp_path / f"{instrument}.flac", make_part("set-a", instrument), RATE_HZ)
    return lambda track_id, instrument: tmp_path / f"{instrument}.flac"


def test_decodes_each_window_once_and_keeps_none_after_its_last_use(part) -> None:
    edits = [
        EDIT,
        recipe("remove", 0, "set-a", 0, ["bass", "piano"], ["bass"]),
        dataclasses.replace(EDIT, source_start_samples=9),
    ]
    reads = [window for edit in edits for window in render.windows(edit)]
    read = windows.Windows(part, reads)
    made = [render.render(edit, read, rate_hz=RATE_HZ) for edit in edits]
    assert read.decoded == len(set(reads)) == 5 and not read._held
    frugal = windows.Windows(part, reads, held_bytes=WINDOW * 2)
    again = [render.render(edit, frugal, rate_hz=RATE_HZ) for edit in edits]
    assert frugal.decoded > read.decoded
    for one, other in zip(made, again, strict=True):
        assert np.array_equal(one.source, other.source) and np.array_equal(one.target, other.target)


def test_never_holds_more_than_allowed(part) -> None:
    reads = [render.Window("set-a", "bass", start, 1000) for start in range(20)] * 2
    read = windows.Windows(part, reads, held_bytes=10_000)
    for window in reads:
        read(*window)
        assert sum(samples.nbytes for samples in read._held.values()) <= 10_000
    assert read.decoded == 35


def test_windows_beyond_the_end_and_damaged_parts_name_the_file(part, tmp_path: Path) -> None:
    assert len(windows.read(tmp_path / "bass.flac", LENGTH - 10, 10)) == 10
    for start, length in ((LENGTH - 10, 11), (LENGTH + 1, 5)):
        with pytest.raises(DataError, match=r"bass\.flac.*run prepare again"):
            windows.read(tmp_path / "bass.flac", start, length)
    with pytest.raises(DataError, match=rf"no samples {LENGTH - 10} to {LENGTH + 1}"):
        windows.read(tmp_path / "bass.flac", LENGTH - 10, 11)
    (tmp_path / "piano.flac").write_bytes(b"not audio")
    with pytest.raises(DataError, match=r"piano\.flac.*run prepare again"):
        windows.read(tmp_path / "piano.flac", 0, 10)


def test_room_that_a_window_took_is_free_again_after_its_last_read(part) -> None:
    """Reads come in pairs, and there is room for one window: each one is decoded once."""
    reads = [render.Window("set-a", "bass", start, 1000) for start in range(20) for _ in "ab"]
    read = windows.Windows(part, reads, held_bytes=2000)
    for window in reads:
        read(*window)
    assert read.decoded == 20
