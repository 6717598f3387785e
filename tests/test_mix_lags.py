"""Stems whose starts were cut are laid where the mix has them; where it does not tell for certain, they are told."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hostile import HERE, invoke
from test_parts import make_stem

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems import mix_lags
from instructme.manifests import tables
from instructme.manifests.rows import DataError, Part, Reject, Track

RATE_HZ = 8000
CUTS_S = {"bass": 3.0, "drums": 0.0, "guitar": 1.0, "piano": 2.0}


def song(seconds: int = 16) -> dict[str, Samples]:
    """Make four instruments of random notes that fade."""
    waves = {}
    for number, name in enumerate(CUTS_S):
        random, wave = np.random.default_rng(number), np.zeros(seconds * RATE_HZ, np.float32)
        for start in random.uniform(0, seconds - 1, 6 * seconds):
            time = np.arange(RATE_HZ // 2) / RATE_HZ
            hz = 55 * (2 + 3 * number) * 2 ** (random.integers(0, 12) / 12)
            tone = random.standard_normal(len(time)) if name == "drums" else np.sin(2 * np.pi * hz * time)
            at = round(start * RATE_HZ)
            wave[at : at + len(time)] += 0.1 * tone * np.exp(-8 * time)
        waves[name] = wave
    return waves


def prepared(folder: Path, waves: dict[str, Samples], mix: Samples | None) -> tuple[dict[str, Samples], list[tuple[str, str]]]:
    """Scan and prepare the stems, cut at their starts; give the parts as read back, and the rejects."""
    (folder / "data" / "Song").mkdir(parents=True)
    for name, wave in waves.items():
        soundfile.write(folder / "data" / "Song" / f"{name}.wav", wave[round(CUTS_S[name] * RATE_HZ) :], RATE_HZ, "FLOAT")
    if mix is not None:
        soundfile.write(folder / "data" / "Song" / "Song Mix.wav", mix, RATE_HZ, "FLOAT")
    work = folder / "work"
    options = ("--sample-rate", RATE_HZ, "--rhythm", "none", "--chords", "none", *HERE)
    assert invoke("scan", folder / "data", "-o", work).exit_code == 0
    assert invoke("prepare", work, *options).exit_code == 0
    (track,) = tables.read_rows(work / "tracks.parquet", Track)
    assert track.mix_path == (None if mix is None else "Song/Song Mix.wav")
    parts = {part.instrument: audio.read(work / part.path) for part in tables.read_rows(work / "parts.parquet", Part)}
    rejects = [(row.item, row.reason) for row in tables.read_rows(work / "rejects.parquet", Reject) if row.stage == "prepare"]
    return parts, sorted(rejects)


@pytest.mark.parametrize("mastered", [False, True])
def test_stems_are_laid_where_the_mix_has_them(mastered: bool, tmp_path: Path) -> None:
    waves = song()
    mix = sum(waves.values())
    mix = np.tanh(3 * np.convolve(mix, [0.7, 0.3])[: len(mix)]) / 2 if mastered else mix
    parts, told = prepared(tmp_path, waves, mix)
    moved = [(f"Song/{name}.wav", "stem_moved") for name in ("bass", "guitar", "piano")]
    # What was cut was no silence, so the mix holds more than the stems.
    assert told == [("Song", "mix_differs"), *moved]
    for name, wave in waves.items():
        cut = round(CUTS_S[name] * RATE_HZ)
        silent = np.concatenate([np.zeros(cut, np.float32), wave[cut:]])
        assert np.abs(parts[name] - silent).max() < 1e-4


def test_whole_seconds_are_told_without_a_mix(tmp_path: Path) -> None:
    parts, told = prepared(tmp_path, song(), None)
    assert told == [("Song", "trimmed")] and len(parts) == 4


def test_a_stem_that_the_mix_lacks_is_told(tmp_path: Path) -> None:
    waves = song()
    parts, told = prepared(tmp_path, waves, sum(wave for name, wave in waves.items() if name != "piano"))
    assert told == [("Song/bass.wav", "stem_moved"), ("Song/guitar.wav", "stem_moved"), ("Song/piano.wav", "trimmed")]
    assert len(parts) == 4


def test_a_mix_of_another_song_moves_nothing(tmp_path: Path) -> None:
    parts, told = prepared(tmp_path, song(), np.random.default_rng(9).standard_normal(16 * RATE_HZ).astype(np.float32) / 9)
    assert told == [("Song", "trimmed")] and len(parts) == 4


def lags(waves: dict[str, Samples], mix: Samples, folder: Path) -> dict[str, float]:
    return mix_lags.find(
        [make_stem(folder, name, name, wave, RATE_HZ) for name, wave in waves.items()],
        "mix",
        lambda path: mix if path == "mix" else waves[path.removesuffix(".wav")],
    )


def test_stems_that_end_early_stay_where_they_are_in_a_mix_that_is_late(tmp_path: Path) -> None:
    waves = song()
    mix = np.concatenate([np.zeros(200, np.float32), sum(waves.values())])
    ends = dict(zip(waves, (0, 2, 3, 7), strict=True))
    cut = {name: wave[: len(wave) - ends[name] * RATE_HZ] for name, wave in waves.items()}
    assert lags(cut, mix, tmp_path) == {f"{name}.wav": 0.0 for name in waves}


def test_a_loop_and_silence_have_no_certain_place(tmp_path: Path) -> None:
    waves = song()
    loop = np.tile(waves["drums"][: 2 * RATE_HZ], 8)
    mix = waves["bass"] + loop
    held = {"loop": loop[: 5 * RATE_HZ], "silence": 0 * loop, "bass": waves["bass"][RATE_HZ // 2 :]}
    assert lags(held, mix, tmp_path) == {"bass.wav": 0.5}
    assert lags({"loop": loop[2 * RATE_HZ :], "bass": waves["bass"]}, mix, tmp_path) == {"bass.wav": 0.0}
    loop = loop + 0.4 * waves["drums"]
    held = {"loop": loop[3 * RATE_HZ :], "early": loop[3 * RATE_HZ : -RATE_HZ]}
    assert lags(held, waves["bass"] + loop, tmp_path) == {"loop.wav": 3.0}  # it ends with the mix, to the sample
    assert set(lags({"loop": loop[: -2 * RATE_HZ]}, waves["bass"] + loop, tmp_path).values()) <= {0.0}


def test_a_mix_or_a_stem_that_cannot_be_read_stops_nothing(tmp_path: Path) -> None:
    waves = song(8)
    stems = [make_stem(tmp_path, name, name, wave, RATE_HZ) for name, wave in waves.items()]

    def read(path: str) -> Samples:
        if path == lost:
            raise DataError("no audio")
        return sum(waves.values()) if path == "mix" else waves[path.removesuffix(".wav")]

    lost = "mix"
    assert mix_lags.find(stems, "mix", read) == {}
    lost = "drums.wav"
    assert mix_lags.find(stems, "mix", read) == {"bass.wav": 0.0, "guitar.wav": 0.0, "piano.wav": 0.0}


@pytest.mark.parametrize(("later_s", "placed"), [(0.03, True), (-0.03, True), (-0.3, False)])
def test_a_delay_of_a_plugin_moves_no_stem(later_s: float, placed: bool, tmp_path: Path) -> None:
    """What begins 0.3 s before the mix has no certain place."""
    waves = song(8)
    late = round(later_s * RATE_HZ)
    mix = sum(wave if name != "bass" else np.roll(wave, late) for name, wave in waves.items())
    assert lags(waves, mix, tmp_path) == {f"{name}.wav": 0.0 for name in waves if placed or name != "bass"}


def test_the_end_of_a_loop_has_no_certain_place_though_it_ends_with_the_mix(tmp_path: Path) -> None:
    waves = song()
    loop = np.tile(waves["drums"][: 2 * RATE_HZ], 8)
    loop[: 4 * RATE_HZ] = 0
    loop[-4 * RATE_HZ :] *= 1.03
    assert not lags({"loop": loop[-4 * RATE_HZ :]}, waves["bass"] + loop, tmp_path)
