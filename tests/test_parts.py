"""Stems to parts, on small stems of every irregularity that real datasets have."""

from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from instructme.dataset_tools import activity, audio
from instructme.dataset_tools.stems import parts
from instructme.manifests.rows import Part, Reject, Stem, Track

RATE_HZ = 24000
TRACK = Track("set-song", "set", "folder", "song", "song", None, None, "cc0", "train", False, "song", "song", True, *[None] * 4)


def make_stem(root: Path, name: str, instrument: str, wave: np.ndarray, rate_hz: int = RATE_HZ, **fields: object) -> Stem:
    """Write a float WAV, so that levels over full scale survive, and its row."""
    soundfile.write(root / f"{name}.wav", wave, rate_hz, subtype="FLOAT")
    stated = {
        "track_id": "set-song",
        "stem_id": name,
        "path": f"{name}.wav",
        "label": name,
        "program": None,
        "plugin": None,
        "instrument": instrument,
        "family": "family",
        "editable": instrument != "other",
        "lead": False,
        "rule": "name",
        "certain": True,
        "sample_rate_hz": rate_hz,
        "channels": wave.ndim,
        "length_samples": len(wave),
        "size_bytes": (root / f"{name}.wav").stat().st_size,
        "midi_path": None,
        "bleed": None,
        "known_bad": None,
        "flagged_rendered": None,
    }
    return Stem(**{**stated, **fields})


def noise(seconds: float, peak: float = 0.5, seed: int = 0, rate_hz: int = RATE_HZ) -> np.ndarray:
    wave = np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))
    return (wave * peak / np.abs(wave).max()).astype(np.float32)


def make(
    root: Path, stems: list[Stem], **options: float
) -> tuple[dict[str, Part], dict[str, np.ndarray], dict[str, np.ndarray], list[Reject]]:
    """Merge and write; return rows, samples yielded and samples read back from the files, by instrument."""
    merged, rejects = parts.merge(TRACK, stems, root, root, RATE_HZ, **options)
    made = [(part, sound[:]) for part, sound in parts.write(merged, root, Path("parts/set-song"), RATE_HZ)]
    files = {part.instrument: soundfile.read(root / Path(part.path).name, dtype="int16")[0] for part, _ in made}
    return {part.instrument: part for part, _ in made}, {part.instrument: wave for part, wave in made}, files, rejects


def test_stems_of_one_instrument_are_summed_in_float(tmp_path: Path) -> None:
    """In 16 bit each half step would have been lost."""
    left, right = noise(1, 0.3, seed=1), noise(1, 0.3, seed=2)
    stems = [make_stem(tmp_path, "l", "guitar", left), make_stem(tmp_path, "r", "guitar", right)]
    rows, _, files, rejects = make(tmp_path, stems)
    assert not rejects
    assert list(rows) == ["guitar"]
    assert rows["guitar"].stems == ["l", "r"]
    assert not rows["guitar"].lead
    assert rows["guitar"].path == "parts/set-song/guitar.flac"
    assert (files["guitar"] == np.rint((left + right) * 32768)).all()


def test_a_part_leads_if_one_of_its_stems_does(tmp_path: Path) -> None:
    stems = [make_stem(tmp_path, name, "guitar", noise(1, seed=ord(name)), lead=name == "b") for name in "abc"]
    stems.append(make_stem(tmp_path, "d", "bass", noise(1, seed=2)))
    rows, _, _, _ = make(tmp_path, stems)
    assert {name: row.lead for name, row in rows.items()} == {"bass": False, "guitar": True}


def test_doubles_over_full_scale_share_a_gain(tmp_path: Path) -> None:
    wave = noise(1, 0.9)
    double = wave * np.float32(0.999) * np.where(np.arange(len(wave)) % 2 == np.abs(wave).argmax() % 2, 1, -1).astype(np.float32)
    stems = [make_stem(tmp_path, name, "choir", each) for name, each in (("a", wave), ("b", double))]
    other = noise(1, 0.9, seed=3)
    stems.append(make_stem(tmp_path, "c", "bass", other))
    rows, _, files, _ = make(tmp_path, stems)
    assert rows["choir"].gain == rows["bass"].gain == pytest.approx(1 / 1.7991, rel=1e-4)
    assert np.abs(files["choir"].astype(int)).max() in (32767, 32768)
    assert np.abs(files["choir"] - 32768 * (wave + double) * rows["choir"].gain).max() <= 1
    assert np.abs(files["bass"] - 32768 * other * rows["bass"].gain).max() <= 1
    assert rows["choir"].peak_db == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("extreme", "clips"), [(-1.0, False), (32767 / 32768, False), (1.0, True), (-1.001, True)])
def test_full_scale_of_16_bit_needs_no_gain(tmp_path: Path, extreme: float, clips: bool) -> None:
    wave = noise(0.5)
    wave[7] = extreme
    rows, _, _, _ = make(tmp_path, [make_stem(tmp_path, "a", "bass", wave)])
    assert (rows["bass"].gain < 1) == clips


def test_what_is_measured_is_what_was_written(tmp_path: Path) -> None:
    stems = [make_stem(tmp_path, "a", "bass", noise(2, 1.4)), make_stem(tmp_path, "b", "drums", noise(2, 0.01, seed=3))]
    rows, waves, files, _ = make(tmp_path, stems)
    for instrument, row in rows.items():
        wave = files[instrument] / 32768
        assert (waves[instrument] == wave.astype(np.float32)).all()
        assert row.rms_db == pytest.approx(20 * np.log10(np.sqrt(np.mean(wave**2))), abs=1e-4)
        assert row.peak_db == pytest.approx(20 * np.log10(np.abs(wave).max()), abs=1e-4)
        assert row.lufs == pytest.approx(pyloudnorm.Meter(RATE_HZ).integrated_loudness(wave), abs=1e-3)
        assert row.level_db == np.rint(activity.levels(waves[instrument], RATE_HZ)).tolist()
        assert row.activity == activity.detect(row.level_db).tolist()
        assert len(row.activity) == 20


def test_full_scale_sine_has_the_loudness_of_the_standard(tmp_path: Path) -> None:
    """ITU-R BS.1770: a 997 Hz sine at 0 dBFS in one channel reads -3.01 LUFS."""
    wave = np.sin(2 * np.pi * 997 * np.arange(5 * RATE_HZ) / RATE_HZ).astype(np.float32) * np.float32(0.999)
    rows, _, _, _ = make(tmp_path, [make_stem(tmp_path, "a", "synth lead", wave)])
    assert rows["synth lead"].lufs == pytest.approx(-3.01, abs=0.1)


@pytest.mark.parametrize("wave", [np.zeros(RATE_HZ, np.float32), noise(0.3)])
def test_loudness_is_null_where_it_is_not_defined(tmp_path: Path, wave: np.ndarray) -> None:
    rows, _, _, _ = make(tmp_path, [make_stem(tmp_path, "a", "bass", wave)])
    assert rows["bass"].lufs is None


def test_stereo_and_rates_are_made_one(tmp_path: Path) -> None:
    stereo = np.stack([noise(2, 0.4, 1, 44100), noise(2, 0.4, 2, 44100)], axis=1)
    stems = [make_stem(tmp_path, "a", "piano", stereo, 44100), make_stem(tmp_path, "b", "piano", noise(2, 0.1, 3, 16000), 16000)]
    rows, _, files, _ = make(tmp_path, stems)
    assert rows["piano"].bandwidth_hz == 8000
    assert rows["piano"].length_samples == len(files["piano"]) == 2 * RATE_HZ
    expected = audio.resample(stereo.mean(axis=1), 44100, RATE_HZ) + audio.resample(noise(2, 0.1, 3, 16000), 16000, RATE_HZ)
    assert np.abs(files["piano"] - expected * 32768).max() <= 0.51


def test_shorter_stems_end_in_silence(tmp_path: Path) -> None:
    stems = [
        make_stem(tmp_path, "a", "bass", noise(3, seed=1)),
        make_stem(tmp_path, "b", "drums", noise(2, seed=2)),
        make_stem(tmp_path, "c", "bass", noise(1, seed=3)),
    ]
    rows, _, files, rejects = make(tmp_path, stems, length_tolerance_s=1.0)
    assert not rejects
    assert {row.length_samples for row in rows.values()} == {3 * RATE_HZ}
    assert files["drums"][: 2 * RATE_HZ].any()
    assert not files["drums"][2 * RATE_HZ :].any()


@pytest.mark.parametrize("odd_s", [0.5, 9.0])
def test_a_stem_of_another_length_is_rejected_and_the_rest_kept(tmp_path: Path, odd_s: float) -> None:
    stems = [make_stem(tmp_path, name, name, noise(3, seed=len(name))) for name in ("bass", "drums")]
    stems.append(make_stem(tmp_path, "fx", "effects", noise(odd_s)))
    rows, _, _, rejects = make(tmp_path, stems, length_tolerance_s=1.0)
    assert list(rows) == ["bass", "drums"]
    assert [(row.item, row.reason) for row in rejects] == [("fx.wav", "length_differs")]
    assert "--length-tolerance" in rejects[0].detail
    assert "effects" in make(tmp_path, stems, length_tolerance_s=10.0)[0]


def test_bad_stems_are_counted_and_the_rest_kept(tmp_path: Path) -> None:
    stems = [make_stem(tmp_path, name, name, noise(1)) for name in ("bass", "drums", "flute", "oboe", "viola", "tuba")]
    (tmp_path / "drums.wav").write_bytes(b"not audio")
    (tmp_path / "flute.wav").unlink()
    stems[3] = make_stem(tmp_path, "oboe", "oboe", noise(1), known_bad="white noise")
    broken = noise(1)
    broken[5] = np.nan
    stems[4] = make_stem(tmp_path, "viola", "viola", broken)
    stems[5] = make_stem(tmp_path, "tuba", "tuba", noise(1), path="../tuba.wav")
    rows, _, _, rejects = make(tmp_path, stems)
    assert list(rows) == ["bass"]
    assert sorted((row.item, row.reason) for row in rejects) == [
        ("../tuba.wav", "unreadable"),
        ("drums.wav", "unreadable"),
        ("flute.wav", "unreadable"),
        ("oboe.wav", "known_bad"),
        ("viola.wav", "unreadable"),
    ]
    assert not any(str(tmp_path) + "/" in row.detail for row in rejects)


def test_parts_that_wait_on_disk_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stems = [make_stem(tmp_path, name, name, noise(1, 1.2, seed)) for seed, name in enumerate(("bass", "drums"))]
    in_memory, _, _, _ = make(tmp_path, stems)
    bytes_before = {name: (tmp_path / f"{name}.flac").read_bytes() for name in in_memory}
    monkeypatch.setattr(parts, "_MEMORY_BYTES", 1000)
    on_disk, _, _, _ = make(tmp_path, stems)
    assert on_disk == in_memory
    assert {name: (tmp_path / f"{name}.flac").read_bytes() for name in on_disk} == bytes_before


def test_nothing_is_left_waiting_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_MEMORY_BYTES", 1000)
    make(tmp_path, [make_stem(tmp_path, "bass", "bass", noise(1))])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bass.flac", "bass.wav"]


def reasons(rejects) -> list[tuple[str, str]]:
    return [(Path(row.item).stem, row.reason) for row in rejects]


@pytest.mark.parametrize("share", [1.0, 0.9, 0.8])
def test_stems_and_channels_that_nearly_cancel_are_told(share: float, tmp_path: Path) -> None:
    wave, other = noise(2), noise(2, seed=5)
    stems = [make_stem(tmp_path, "a", "bass", wave), make_stem(tmp_path, "b", "bass", -share * wave)]
    stems.append(make_stem(tmp_path, "c", "piano", np.stack([other, -share * other], axis=1)))
    _, _, files, rejects = make(tmp_path, stems)
    assert reasons(rejects) == [("b", "cancels"), ("c", "cancels")]
    assert all(np.abs(files[name] / 32768 - sound).max() < 1e-4 for name, sound in (("bass", wave), ("piano", other)))


def test_the_opposite_of_all_stems_of_its_instrument_is_told_and_left_out(tmp_path: Path) -> None:
    one, other = noise(2, 0.3), noise(2, 0.3, seed=5)
    stems = [make_stem(tmp_path, name, "bass", wave) for name, wave in (("a", one), ("b", other), ("c", -one - other))]
    rows, _, files, rejects = make(tmp_path, stems)
    assert reasons(rejects) == [("c", "cancels")] and "together they are silent" in rejects[0].detail
    assert rows["bass"].stems == ["a", "b"] and np.abs(files["bass"] / 32768 - one - other).max() < 1e-4


def test_an_offset_that_drifts_is_taken_off_and_told(tmp_path: Path) -> None:
    drift = 0.2 * np.sin(2 * np.pi * 0.3 * np.arange(4 * RATE_HZ) / RATE_HZ)
    stems = [make_stem(tmp_path, "flute", "flute", drift + noise(4, 0.01))]
    rows, _, files, rejects = make(tmp_path, stems)
    assert reasons(rejects) == [("flute", "dc_offset")]
    middle = files["flute"][RATE_HZ:-RATE_HZ] / 32768 / rows["flute"].gain
    assert abs(np.abs(middle).max() - 0.01) < 0.002


@pytest.mark.parametrize("name", ["bass", "guitar", "other"])
def test_a_mixture_under_the_name_of_an_instrument_is_told_and_left_out(name: str, tmp_path: Path) -> None:
    waves = {"drums": noise(2, 0.5), "piano": noise(2, 0.2, seed=1), "vocals": noise(1.5, 0.3, seed=2)}
    stems = [make_stem(tmp_path, instrument, instrument, wave) for instrument, wave in waves.items()]
    mixture = 0.7 * sum(np.pad(wave, (0, 2 * RATE_HZ - len(wave))) for wave in waves.values())
    _, _, files, rejects = make(tmp_path, [*stems, make_stem(tmp_path, "mixed", name, np.tanh(mixture))])
    assert reasons(rejects) == [("mixed", "mixture")] and list(files) == ["drums", "piano", "vocals"]


def test_a_mixture_that_is_left_out_is_not_told_to_be_heard_twice(tmp_path: Path) -> None:
    waves = {"bass": noise(2, 0.5), "drums": noise(2, 0.02, seed=1), "piano": noise(2, 0.03, seed=2)}
    stems = [make_stem(tmp_path, instrument, instrument, np.pad(wave, (9, 0))) for instrument, wave in waves.items()]
    for name in ("band", "rest"):  # decoded before the piano, and after it
        early = make_stem(tmp_path, name, name, sum(waves.values()))
        _, _, files, rejects = make(tmp_path, [*stems, early])
        assert reasons(rejects) == [(name, "mixture")] and list(files) == ["bass", "drums", "piano"]


def test_stems_that_share_much_of_their_sound_are_no_mixture(tmp_path: Path) -> None:
    room = noise(2, 0.3)
    stems = [make_stem(tmp_path, str(n), str(n), room + 0.1 * (n + 1) * noise(2, 0.3, seed=n + 1)) for n in range(4)]
    rows, _, _, rejects = make(tmp_path, stems)
    assert {row.reason for row in rejects} == {"overlap"} and list(rows) == list("0123")
    near = [make_stem(tmp_path, name, name, room + share * noise(2, 0.3, seed=7)) for name, share in (("a", 0), ("b", 0.05))]
    rows, _, _, rejects = make(tmp_path, [*near, make_stem(tmp_path, "c", "c", noise(2, 0.01, seed=8))])
    assert reasons(rejects) == [("a", "overlap")] and list(rows) == list("abc")


@pytest.mark.parametrize("channels", [1, 2])
def test_a_bus_of_some_stems_is_left_out_and_its_part_is_as_without_it(channels: int, tmp_path: Path) -> None:
    waves = {name: noise(2, peak, seed) for seed, (name, peak) in enumerate([("kick", 0.5), ("snare", 0.3), ("oh", 0.1)])}
    drums = [make_stem(tmp_path, name, "drums", wave) for name, wave in waves.items()]
    others = [make_stem(tmp_path, name, name, noise(2, 0.3, seed=9 + len(name))) for name in ("bass", "piano")]
    _, _, without, rejects = make(tmp_path, [*drums, *others], channels=channels)
    assert not rejects
    bus = make_stem(tmp_path, "drums", "drums", np.tanh(0.8 * sum(waves.values())))
    rows, _, files, rejects = make(tmp_path, [bus, *drums, *others], channels=channels)
    assert reasons(rejects) == [("drums", "mixture")] and "kick.wav, oh.wav, snare.wav" in rejects[0].detail
    assert rows["drums"].stems == ["kick", "oh", "snare"]
    assert all((files[name] == without[name]).all() for name in without)


@pytest.mark.parametrize(("group", "piece"), [("Drums", "Kick"), ("Vox", "Lead Vox"), ("guitars", "Gtr solo")])
def test_a_group_beside_one_of_its_stems_is_told(group: str, piece: str, tmp_path: Path) -> None:
    one, other = noise(2, 0.4), noise(2, 0.4, seed=1)
    stems = [make_stem(tmp_path, piece, "guitar", one), make_stem(tmp_path, group, "guitar", one + other)]
    assert reasons(make(tmp_path, stems)[3]) == [(group, "overlap")]
    stems = [make_stem(tmp_path, "Snare Top", "drums", one), make_stem(tmp_path, "Snare Bottom", "drums", one + other)]
    assert not make(tmp_path, stems)[3]


def test_a_bus_that_holds_more_than_its_stems_is_told_and_kept(tmp_path: Path) -> None:
    kick, snare = noise(2, 0.5), noise(2, 0.4, seed=1)
    stems = [make_stem(tmp_path, "kick", "drums", kick), make_stem(tmp_path, "snare", "drums", snare)]
    bus = make_stem(tmp_path, "drums", "drums", 0.5 * (kick + snare) + noise(2, 0.12, seed=2))
    rows, _, _, rejects = make(tmp_path, [*stems, bus])
    assert reasons(rejects) == [("drums", "overlap")] and len(rows["drums"].stems) == 3


def test_one_channel_is_taken_of_opposite_ones(tmp_path: Path) -> None:
    wave = noise(1)
    rows, _, files, rejects = make(tmp_path, [make_stem(tmp_path, "a", "bass", np.stack([wave, -wave], axis=1))])
    assert reasons(rejects) == [("a", "cancels")]
    assert np.abs(files["bass"] / 32768 - wave).max() < 1e-4 and rows["bass"].rms_db > -40


def test_a_constant_offset_is_no_sound(tmp_path: Path) -> None:
    stems = [
        make_stem(tmp_path, "a", "flute", np.full(RATE_HZ, 0.1, np.float32)),
        make_stem(tmp_path, "b", "bass", noise(1) + 0.1),
    ]
    rows, _, _, rejects = make(tmp_path, stems)
    assert set(reasons(rejects)) == {("a", "dc_offset"), ("a", "silent"), ("b", "dc_offset")}
    assert not any(rows["flute"].activity) and abs(rows["bass"].rms_db - 20 * np.log10(noise(1).std())) < 0.1


def test_surround_is_told_and_both_channels_hold_its_mean(tmp_path: Path) -> None:
    wave = np.stack([noise(1, 0.3, seed) for seed in range(6)], axis=1)
    stems = [make_stem(tmp_path, "a", "piano", wave, channels=6), make_stem(tmp_path, "b", "bass", noise(1, seed=9))]
    rows, _, files, rejects = make(tmp_path, stems, channels=2)
    assert reasons(rejects) == [("a", "surround")] and set(rows) == {"piano", "bass"}
    assert np.abs(files["piano"] / 32768 - wave.mean(axis=1, keepdims=True)).max() < 1e-4
    assert reasons(make(tmp_path, stems)[3]) == [("a", "surround")]
