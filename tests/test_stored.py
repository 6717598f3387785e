"""Signals of any length: read like arrays, and bounded in memory from stems to parts."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from pyloudnorm import Meter
from test_parts import TRACK, make_stem

from instructme.dataset_tools import audio, measures, parts, stored
from instructme.dataset_tools.midi import grid_check
from instructme.dataset_tools.prepare_track import PrepareSettings, prepare_track
from instructme.dataset_tools.stored import Stored


def noise(length: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(length).standard_normal((length, channels) if channels > 1 else length).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("held_bytes", [1 << 20, 100])
def test_what_is_added_is_read_in_memory_and_on_disk(tmp_path: Path, channels: int, held_bytes: int) -> None:
    wave, other = noise(1000, channels), noise(300, channels)
    signal = Stored(tmp_path, channels, held_bytes).extend([wave[:400], wave[400:]])
    signal.add(900, other)
    signal.add(1200, np.zeros_like(other))
    expected = np.zeros((1500, *wave.shape[1:]), dtype=np.float32)
    expected[:1000] += wave
    expected[900:1200] += other
    assert len(signal) == 1500
    assert (signal[:] == expected).all() and (signal[950:1490] == expected[950:1490]).all() and len(signal[1600:1700]) == 0


def test_stretches_begin_at_whole_seconds_and_leave_nothing_out() -> None:
    assert stored.stretches(1234, 100, 5) == [(0, 500), (500, 1000), (1000, 1234)]
    assert stored.stretches(1001, 100, 6) == [(0, 600), (600, 1001)]
    assert stored.stretches(500, 100, 5) == [(0, 500)] and stored.stretches(0, 100, 5) == []


def test_onsets_of_a_stored_signal_are_those_of_the_array(tmp_path: Path) -> None:
    wave = noise(3 * 24000 + 17)
    signal = Stored(tmp_path, held_bytes=1000).extend([wave])
    assert (grid_check.onset_envelope(signal, 24000) == grid_check.onset_envelope(wave, 24000)).all()


def test_loudness_of_blocks_is_that_of_the_whole() -> None:
    quiet, loud = 0.001 * noise(60000), 0.1 * noise(90000)
    wave = np.concatenate([quiet, loud, quiet, loud])
    whole = Meter(8000).integrated_loudness(wave)
    assert measures.integrated([wave], 8000) == whole
    assert measures.integrated(np.split(wave, 3), 8000) == pytest.approx(whole, abs=0.05)
    assert measures.integrated([wave, np.zeros(8000, dtype=np.float32)], 8000) == whole
    assert measures.integrated([np.zeros(8000, dtype=np.float32)], 8000) is None


def peak_bytes(root: Path, seconds: int) -> int:
    """Prepare a song of three stems and two channels, and measure the memory that arrays and buffers took."""
    root.mkdir()
    second = [np.random.default_rng(seed).integers(-3000, 3000, 8000) / np.float32(32768) for seed in range(3)]
    stems = [make_stem(root, f"s{seed}", f"i{seed}", np.tile(wave, seconds), 8000) for seed, wave in enumerate(second)]
    settings = PrepareSettings(8000, rhythm="none", chords="none", channels=2)
    tracemalloc.start()
    rows = prepare_track(TRACK, stems, root, root, settings)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(rows["parts"]) == 3 and len(rows["clips"]) == seconds // 10
    return peak


def test_memory_of_prepare_does_not_grow_with_the_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held as arrays, three times the length would take 8 MB more for each copy of a stereo signal."""
    monkeypatch.setattr(stored, "_BLOCK_SAMPLES", 80_000)
    monkeypatch.setattr(stored, "HELD_BYTES", 1 << 18)
    monkeypatch.setattr(parts, "_MEMORY_BYTES", 3 << 18)
    monkeypatch.setattr(audio, "_FLAC_HELD_BYTES", 1 << 18)
    peak_bytes(tmp_path / "imports", 20)
    assert peak_bytes(tmp_path / "long", 180) < 1.2 * peak_bytes(tmp_path / "short", 60)
