"""Sums of stems at another time, such as a late bounce, are left out; what is late, but no sum, is not."""

from pathlib import Path

import numpy as np
import pytest
from test_parts import RATE_HZ, make, make_stem, noise, reasons

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems import late_sums, song_spectra
from instructme.dataset_tools.stored import BLOCK_FRAMES, Stored

LAGS_S = (0.03, 1323.4 / 44100, 1 / 44100, 0.1, -0.02, 1.5)


@pytest.fixture
def song(data: Path) -> dict[str, Samples]:
    """Read five real stems of one song."""
    folder = data / "real_stems" / "mdn_multitrack"
    waves = {path.stem: audio.read(path, RATE_HZ) for path in sorted(folder.glob("*.*"))}
    length = max(map(len, waves.values()))
    return {name: 0.2 * np.pad(wave, (0, length - len(wave))) for name, wave in waves.items()}


def late(wave: Samples, by_s: float) -> Samples:
    """Delay a wave, also by part of a sample: by phases, as `earlier` does not."""
    size = len(wave) + 4 * RATE_HZ
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size, 1 / RATE_HZ) * by_s)
    return np.fft.irfft(np.fft.rfft(wave, size) * turn, size)[: len(wave)].astype(np.float32)


def lags(folder: Path, waves: dict[str, Samples]) -> dict[str, float]:
    length = max(map(len, waves.values()))
    return late_sums.lags({name: song_spectra.of(Stored(folder).extend([wave]), RATE_HZ, length) for name, wave in waves.items()})


def stems(folder: Path, waves: dict[str, Samples]) -> list:
    """Write stems; what is not of the song has a name that is no instrument's."""
    return [
        make_stem(folder, name, "other" if name == "Summe" else name, wave, rule="unmatched" if name == "Summe" else "class")
        for name, wave in waves.items()
    ]


@pytest.mark.parametrize("lag_s", LAGS_S)
def test_the_lag_of_a_sum_is_found_to_a_part_of_a_sample(lag_s: float, song: dict[str, Samples], tmp_path: Path) -> None:
    bus = song["clav"] + 0.5 * song["horns"] + song["drums"]
    found = lags(tmp_path, {**song, "bus": -late(bus, lag_s)})
    assert found["bus"] == pytest.approx(lag_s, abs=2e-6)


def test_stems_of_a_song_and_sums_at_their_time_have_no_lag(song: dict[str, Samples], tmp_path: Path) -> None:
    assert not lags(tmp_path, song)
    assert not lags(tmp_path, {**song, "bus": song["clav"] + song["horns"]}).keys() & {"bus"}
    assert not lags(tmp_path, {"a": noise(9), "b": noise(9, seed=1), "silent": np.zeros(9 * RATE_HZ, np.float32)})


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("lag_s", LAGS_S)
def test_a_mix_at_another_time_is_left_out_and_told(
    lag_s: float, channels: int, song: dict[str, Samples], tmp_path: Path
) -> None:
    mix = sum(song.values())
    rows, _, _, rejects = make(tmp_path, stems(tmp_path, {**song, "Summe": late(np.tanh(mix), lag_s)}), channels=channels)
    assert reasons(rejects) == [("Summe", "mixture")] and set(rows) == {*song}
    word = f"{abs(lag_s):.3g} s {'later' if lag_s > 0 else 'earlier'} than they are"
    assert word in rejects[0].detail or lag_s == 1 / 44100


@pytest.mark.parametrize("lag_s", [1.9, -1.9])
def test_a_mix_that_lost_an_end_of_the_song_is_compared_where_it_is_there(
    lag_s: float, song: dict[str, Samples], tmp_path: Path
) -> None:
    mix = late(sum(song.values()), lag_s)
    waves = {**song, "group": mix[: -RATE_HZ // 2] if lag_s > 0 else mix}
    assert reasons(make(tmp_path, stems(tmp_path, waves))[3]) == [("group", "mixture")]


def test_late_buses_and_late_mixes_of_one_song_are_all_left_out(song: dict[str, Samples], tmp_path: Path) -> None:
    """A late mix holds a late bus, too, and a bus at its time explains nothing of either."""
    waves = {**song, "group": song["clav"] + song["horns"], "late group": late(song["clav"] + song["horns"], 0.05)}
    waves |= {"Summe": late(sum(song.values()), 0.03), "Summe 2": late(sum(song.values()), 0.4)}
    rows, _, _, rejects = make(tmp_path, stems(tmp_path, waves))
    left_out = {name: reason for name, reason in reasons(rejects) if reason != "overlap"}
    assert left_out == {"group": "mixture", "late group": "twice", "Summe": "mixture", "Summe 2": "mixture"}
    assert set(rows) == {*song}


def test_a_late_sum_with_a_sound_of_its_own_is_told_and_used(song: dict[str, Samples], tmp_path: Path) -> None:
    own = song.pop("leadguitar")
    bus = song["clav"] + song["horns"]
    bus += 0.4 * own * np.linalg.norm(bus) / np.linalg.norm(own)
    rows, _, _, rejects = make(tmp_path, stems(tmp_path, {**song, "group": late(bus, 0.03)}))
    assert reasons(rejects) == [("group", "overlap")] and "group" in rows
    assert "0.03 s later than they are: it is heard twice" in rejects[0].detail


def test_echoes_rooms_and_canons_are_no_late_sums(song: dict[str, Samples], tmp_path: Path) -> None:
    room = sum(level * late(song["drums"], lag_s) for lag_s, level in ((0.011, 1), (0.017, 0.7), (0.031, 0.6), (0.052, 0.4)))
    waves = {**song, "room": room, "answer": late(song["horns"], 1.0) + song["bassguitar"][::-1]}
    rows, _, _, rejects = make(tmp_path, stems(tmp_path, waves))
    assert not rejects and set(rows) == {*waves}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("by", [0.0, 7.0, 7.25, -3.5, 30000.5, -30000.25])
def test_a_sound_is_moved_by_any_time(by: float, channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_sums, "BLOCK_FRAMES", 9000)
    assert BLOCK_FRAMES > 9000
    time = np.arange(60000) / RATE_HZ
    window = np.exp(-(((time - 1.2) / 0.2) ** 2))
    wave = ((np.sin(2 * np.pi * 700 * time) + np.sin(2 * np.pi * 9000 * time)) * window / 2).astype(np.float32)
    later = time + by / RATE_HZ
    shifted = (np.sin(2 * np.pi * 700 * later) + np.sin(2 * np.pi * 9000 * later)) * np.exp(-(((later - 1.2) / 0.2) ** 2)) / 2
    sound = wave if channels == 1 else np.stack([wave, -wave], axis=1)
    moved = late_sums.earlier(Stored(tmp_path, channels).extend([sound]), by / RATE_HZ, RATE_HZ, tmp_path)
    heard = moved[:] if channels == 1 else moved[:][:, 0]
    assert len(moved) == len(sound) and np.abs(heard - shifted).max() < 2e-3
    assert channels == 1 or np.array_equal(moved[:][:, 1], -heard)


def test_stretches_lie_all_over_a_long_song(tmp_path: Path) -> None:
    """A bus that sounds at the end alone is found."""
    rate_hz = 8000
    quiet = np.zeros(100 * rate_hz, np.float32)
    one, two, three = (np.concatenate([quiet, noise(20, seed=seed, rate_hz=rate_hz)]) for seed in range(3))
    bus = np.roll(one + two, 400)
    found = {
        name: song_spectra.of(Stored(tmp_path).extend([wave]), rate_hz, len(one))
        for name, wave in {"one": one, "two": two, "three": three, "bus": bus}.items()
    }
    assert found["one"].shape[0] == 8 and late_sums.lags(found)["bus"] == pytest.approx(0.05, abs=1e-5)


def test_the_lag_of_a_sum_is_found_under_loud_steady_tones(tmp_path: Path) -> None:
    time_s = np.arange(8 * RATE_HZ) / RATE_HZ
    waves = {
        str(seed): (noise(8, 0.05, seed) + 0.3 * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)
        for seed, hz in enumerate((55, 110, 165))
    }
    assert lags(tmp_path, {**waves, "bus": late(waves["0"] + waves["1"], 0.03)})["bus"] == pytest.approx(0.03, abs=1e-5)
