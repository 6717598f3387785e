"""Stems that are not in the mix beside them as they are get told; an equaliser, a limiter and a delay of the mix are no fault."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hostile import HERE, invoke
from test_mix_lags import RATE_HZ, song

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.layouts import Rejected
from instructme.dataset_tools.stems import mix_check, song_spectra
from instructme.dataset_tools.stored import Stored
from instructme.manifests import tables
from instructme.manifests.rows import Reject, Track

STEMS = song()
SECONDS = 16


def told(stems: dict[str, Samples], mix: Samples, folder: Path) -> list[Rejected]:
    spectra = {
        name: song_spectra.of(Stored(folder).extend([wave.astype(np.float32)]), RATE_HZ, SECONDS * RATE_HZ)
        for name, wave in {**stems, "mix": mix}.items()
    }
    whole = spectra.pop("mix")
    return mix_check.check(spectra, whole, mix_check.common_lag_s(spectra, whole), "Mix.wav")


def delayed(wave: Samples, seconds: float) -> Samples:
    count = round(seconds * RATE_HZ)
    return np.concatenate([np.zeros(count, np.float32), wave[:-count]])


def late_half(wave: Samples, seconds: float) -> Samples:
    """Let the second half be late."""
    middle = len(wave) // 2
    return np.concatenate([wave[:middle], delayed(wave, seconds)[middle:]])


def mastered(mix: Samples) -> Samples:
    return np.asarray(np.tanh(3 * np.convolve(mix, [0.7, 0.3])[: len(mix)]) / 2)


@pytest.mark.parametrize("mix", [sum(STEMS.values()), 0.2 * sum(STEMS.values()), mastered(sum(STEMS.values()))])
@pytest.mark.parametrize("late_s", [0.0, 0.0061, 0.0261])
def test_a_mix_of_its_stems_is_not_told(mix: Samples, late_s: float, tmp_path: Path) -> None:
    assert told(STEMS, delayed(mix, late_s) if late_s else mix, tmp_path) == []
    assert told(STEMS, -mix, tmp_path) == []


@pytest.mark.parametrize("master", [np.asarray, mastered])
@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        (delayed(STEMS["guitar"], 0.4), "it is 0.400 s later than in Mix.wav, against the other stems"),
        (delayed(STEMS["guitar"], 0.012), "it is 0.012 s later than in Mix.wav, against the other stems"),
        (late_half(STEMS["guitar"], 0.2), "its second half is 0.200 s later than in Mix.wav, against the other stems"),
        (
            late_half(STEMS["guitar"][::-1], 0.2)[::-1],
            "its first half is 0.200 s earlier than in Mix.wav, against the other stems",
        ),
        (-STEMS["guitar"], "in Mix.wav it is inverted, against the other stems"),
        (STEMS["guitar"][::-1], "in Mix.wav it is not heard at its time: is it late, reversed or of another version?"),
    ],
)
def test_a_stem_that_is_not_in_the_mix_as_it_is_gets_told(master, wrong: Samples, detail: str, tmp_path: Path) -> None:
    assert told(STEMS | {"guitar": wrong}, master(sum(STEMS.values())), tmp_path) == [Rejected("guitar", "mix_differs", detail)]


def test_an_earlier_stem_is_told_with_its_lag(tmp_path: Path) -> None:
    early = {name: delayed(wave, 0.25) for name, wave in STEMS.items() if name != "piano"} | {"piano": STEMS["piano"]}
    (row,) = told(early, sum(STEMS.values()), tmp_path)
    assert row == Rejected("piano", "mix_differs", "it is 0.250 s earlier than in Mix.wav, against the other stems")


def test_of_two_stems_at_two_times_the_softer_one_is_told(tmp_path: Path) -> None:
    two = {"guitar": STEMS["guitar"], "bass": 3 * STEMS["bass"]}
    (row,) = told(two | {"guitar": delayed(two["guitar"], 0.1)}, sum(two.values()), tmp_path)
    assert row.item == "guitar"


def test_a_stem_that_the_mix_lacks_is_told(tmp_path: Path) -> None:
    (row,) = told(STEMS, sum(wave for name, wave in STEMS.items() if name != "drums"), tmp_path)
    assert row.item == "drums" and "not heard" in row.detail


def test_a_mix_that_holds_more_than_the_stems_is_told(tmp_path: Path) -> None:
    three = {name: wave for name, wave in STEMS.items() if name != "bass"}
    (row,) = told(three, sum(STEMS.values()), tmp_path)
    assert row.item == "" and "its stems explain" in row.detail and "may be missing" in row.detail


@pytest.mark.parametrize("copy", ["slower", "gated", "distorted"])
def test_a_changed_copy_that_the_mix_lacks_is_told(copy: str, tmp_path: Path) -> None:
    wave = STEMS["guitar"]
    slower = np.interp(np.arange(len(wave)) * 0.9995, np.arange(len(wave)), wave)
    loud = np.repeat(np.abs(wave).reshape(-1, 400).max(axis=1) > 0.05, 400)
    changed = {"slower": slower, "gated": wave * loud, "distorted": np.clip(20 * wave, -0.1, 0.1)}[copy]
    (row,) = told(STEMS | {"guitar 2": changed}, sum(STEMS.values()), tmp_path)
    assert row.item == "guitar 2" and "not heard at its time" in row.detail


def test_a_soft_stem_that_is_missing_is_told(tmp_path: Path) -> None:
    three = {name: wave for name, wave in STEMS.items() if name != "bass"}
    (row,) = told(three, sum(three.values()) + 0.25 * STEMS["bass"], tmp_path)
    assert row.item == "" and "its stems explain 98% of Mix.wav" in row.detail


def test_a_mix_of_another_song_is_told(tmp_path: Path) -> None:
    other = np.random.default_rng(9).standard_normal(SECONDS * RATE_HZ).astype(np.float32)
    (row,) = told(STEMS, other, tmp_path)
    assert row.item == "" and row.detail == "none of its stems is heard in Mix.wav: is one of another version or speed?"


def test_stems_that_were_normalised_are_told(tmp_path: Path) -> None:
    mix = sum(wave * (0.2 if name == "piano" else 1) for name, wave in STEMS.items())
    (row,) = told(STEMS, mix, tmp_path)
    assert row.item == "" and row.detail.endswith(
        "14 dB louder against piano in Mix.wav than in the stems: see prepare --balance-stems"
    )


def test_silence_tells_nothing(tmp_path: Path) -> None:
    mix = sum(STEMS.values())
    assert told({"bass": 0 * mix, **{name: wave for name, wave in STEMS.items() if name != "bass"}}, 0 * mix, tmp_path) == []
    assert told({"bass": 0 * mix}, mix, tmp_path) == []
    assert told(STEMS | {"flute": 0 * mix}, mix, tmp_path) == []


@pytest.mark.parametrize(("rate_hz", "form"), [(8000, "wav"), (44100, "flac"), (16000, "ogg")])
def test_prepare_compares_the_stems_with_their_mix(rate_hz: int, form: str, tmp_path: Path) -> None:
    import soxr

    folder = tmp_path / "data" / "Song"
    folder.mkdir(parents=True)
    for name, wave in (STEMS | {"guitar": delayed(STEMS["guitar"], 0.3)}).items():
        soundfile.write(folder / f"{name}.wav", wave, RATE_HZ, "FLOAT")
    mix = soxr.resample(0.5 * sum(STEMS.values()), RATE_HZ, rate_hz)
    soundfile.write(folder / f"Song Mix.{form}", np.stack([mix, mix], axis=1), rate_hz)
    work = tmp_path / "work"
    assert invoke("scan", tmp_path / "data", "-o", work).exit_code == 0
    assert invoke("prepare", work, "--sample-rate", RATE_HZ, "--rhythm", "none", "--chords", "none", *HERE).exit_code == 0
    (track,) = tables.read_rows(work / "tracks.parquet", Track)
    assert track.mix_path == f"Song/Song Mix.{form}"
    (row,) = [row for row in tables.read_rows(work / "rejects.parquet", Reject) if row.stage == "prepare"]
    assert (row.item, row.reason) == ("Song/guitar.wav", "mix_differs")
    assert row.detail == f"it is 0.300 s later than in Song/Song Mix.{form}, against the other stems"


@pytest.mark.parametrize("late_s", [-1.8, -0.5, 0.5003, 1.8])
def test_a_mix_that_begins_at_another_time_is_not_told(late_s: float, tmp_path: Path) -> None:
    spectra = {
        name: song_spectra.of(Stored(tmp_path).extend([delayed(wave, 2.0)]), RATE_HZ, SECONDS * RATE_HZ)
        for name, wave in STEMS.items()
    }
    soundfile.write(tmp_path / "mix.wav", delayed(0.5 * sum(STEMS.values()), 2 + late_s), RATE_HZ, "FLOAT")
    assert mix_check.compare(spectra, "mix.wav", tmp_path, SECONDS) == []


def test_a_mix_that_is_broken_costs_nothing_and_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "Song"
    folder.mkdir(parents=True)
    for name, wave in STEMS.items():
        soundfile.write(folder / f"{name}.wav", wave, RATE_HZ, "FLOAT")
    (folder / "Song Mix.wav").write_bytes(b"RIFF")
    work = tmp_path / "work"
    assert invoke("scan", tmp_path / "data", "-o", work).exit_code == 0
    assert invoke("prepare", work, "--sample-rate", RATE_HZ, "--rhythm", "none", "--chords", "none", *HERE).exit_code == 0
    (row,) = [row for row in tables.read_rows(work / "rejects.parquet", Reject) if row.stage == "prepare"]
    assert (row.item, row.reason) == ("Song/Song Mix.wav", "mix_unread")
    assert "can't be compared with it" in row.detail and str(tmp_path) not in row.detail


def test_stretches_beyond_a_short_file_are_silent(tmp_path: Path) -> None:
    wave = STEMS["guitar"]
    soundfile.write(tmp_path / "mix.wav", wave, RATE_HZ, "FLOAT")
    spectra = song_spectra.read(tmp_path / "mix.wav", 48.0)
    assert [bool(np.abs(row).max() > 0) for row in spectra] == [True, True, False, False, False, False]
    whole = song_spectra.of(Stored(tmp_path).extend([wave]), RATE_HZ, 48 * RATE_HZ)
    assert np.abs(spectra - whole).max() < 1e-3 * np.abs(whole).max()
    late = song_spectra.read(tmp_path / "mix.wav", 48.0, late_s=-20.0)
    assert [bool(np.abs(row).max() > 0) for row in late] == [False, False, True, True, True, False]
