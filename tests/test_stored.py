"""Signals of any length: read like arrays, and bounded in memory from stems to parts."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from pyloudnorm import Meter
from test_parts import TRACK, make_stem

from instructme.dataset_tools import activity, audio, same_songs, stored
from instructme.dataset_tools.beats import rhythm
from instructme.dataset_tools.midi import grid_check
from instructme.dataset_tools.prepare_track import PrepareSettings, prepare_track
from instructme.dataset_tools.stems import measures, parts
from instructme.dataset_tools.stored import Stored


def noise(length: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(length).standard_normal((length, channels) if channels > 1 else length).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("held_bytes", [1 << 20, 100])
def test_what_is_added_is_read_in_memory_and_on_disk(tmp_path: Path, channels: int, held_bytes: int) -> None:
    wave, other = noise(1000, channels), noise(300, channels)
    signal = Stored(tmp_path, channels, held_bytes).extend([wave[:400], wave[400:]])
    signal.add(900, other)
    signal.pad(1500)
    expected = np.zeros((1500, *wave.shape[1:]), dtype=np.float32)
    expected[:1000] += wave
    expected[900:1200] += other
    assert len(signal) == 1500
    assert (signal[:] == expected).all() and (signal[950:1490] == expected[950:1490]).all() and len(signal[1600:1700]) == 0
    blocks = list(signal.blocks(700, start=100, stop=1450))
    assert [start for start, _ in blocks] == [100, 800]
    assert (np.concatenate([block for _, block in blocks]) == expected[100:1450]).all()
    assert [len(block) for _, block in Stored(tmp_path, channels).blocks()] == [0]


def test_stretches_begin_at_whole_seconds_and_leave_nothing_out() -> None:
    assert stored.stretches(1234, 100, 5) == [(0, 500), (500, 1000), (1000, 1234)]
    assert stored.stretches(1001, 100, 6) == [(0, 600), (600, 1001)]
    assert stored.stretches(500, 100, 5) == [(0, 500)] and stored.stretches(0, 100, 5) == []


def test_onsets_of_a_stored_signal_are_those_of_the_array(tmp_path: Path) -> None:
    wave = noise(3 * 24000 + 17)
    signal = Stored(tmp_path, held_bytes=1000).extend([wave])
    assert (grid_check.onset_envelope(signal, 24000) == grid_check.onset_envelope(wave, 24000)).all()
    stereo = Stored(tmp_path, 2).extend([np.stack([2 * wave, 0 * wave], axis=1)])
    assert (grid_check.onset_envelope(stereo, 24000) == grid_check.onset_envelope(wave, 24000)).all()


def test_what_is_measured_in_blocks_is_that_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet, loud = 0.001 * noise(60000), 0.1 * noise(90000)
    wave = np.concatenate([quiet, loud, quiet, loud])
    signal, whole = Stored(tmp_path).extend([wave]), Meter(8000).integrated_loudness(wave)
    assert measures.lufs(signal, 8000) == whole
    levels_db = np.rint(activity.levels(wave, 8000)).tolist()
    monkeypatch.setattr(measures, "LONGEST_FRAMES", 100_000)
    monkeypatch.setattr(stored, "BLOCK_FRAMES", 10_000)
    assert measures.lufs(signal, 8000) == pytest.approx(whole, abs=0.05)
    assert measures.rms_db(signal) == pytest.approx(audio.rms_db(wave), abs=1e-6) and measures.peak(signal) == audio.peak(wave)
    assert measures.full_scale(signal) == pytest.approx(max(wave.max() * 32768 / 32767, -wave.min()))
    assert measures.levels_db(signal, 8000) == levels_db


def test_silence_behind_a_song_changes_no_loudness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "LONGEST_FRAMES", 80_000)
    signal = Stored(tmp_path).extend([0.1 * noise(80_000)])
    before = measures.lufs(signal, 8000)
    signal.pad(200_000)
    assert measures.lufs(signal, 8000) == before is not None
    assert measures.lufs(Stored(tmp_path).extend([np.zeros(200_000, dtype=np.float32)]), 8000) is None


def test_a_recording_whose_beats_are_found_in_stretches_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wave = np.zeros(40 * 8000, dtype=np.float32)
    for start in range(0, len(wave), 4000):
        wave[start : start + 400] = 0.3 * noise(400)
    settings = PrepareSettings(8000, rhythm="audio", chords="none")
    for longest_s in (40, 20):
        monkeypatch.setattr(rhythm, "LONGEST_S", longest_s)
        rows = prepare_track(TRACK, [make_stem(tmp_path, "drums", "drums", wave, 8000)], tmp_path, tmp_path, settings)
        assert ("long" in {row.reason for row in rows["rejects"]}) == (longest_s < 40)
        assert len(rows["rhythm"][0].beats_samples) == pytest.approx(80, abs=3)


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
    monkeypatch.setattr(stored, "BLOCK_FRAMES", 40_000)
    monkeypatch.setattr(measures, "LONGEST_FRAMES", 40_000)
    monkeypatch.setattr(stored, "HELD_BYTES", 1 << 18)
    monkeypatch.setattr(parts, "_MEMORY_BYTES", 3 << 18)
    monkeypatch.setattr(same_songs, "HEARD_S", 20)
    peak_bytes(tmp_path / "imports", 20)
    assert peak_bytes(tmp_path / "long", 180) < 1.2 * peak_bytes(tmp_path / "short", 60)
