"""Timbres of the corpus: soundfonts made of recordings sound as recorded, and draws follow the seed."""

import csv
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pretty_midi.constants import DRUM_MAP
from riff import chunks

from instructme.dataset_tools.corpus import hydrogen_kits, midi_score, recordings, rough_mix, soundfonts, synthesis, timbres
from instructme.manifests.rows import DataError
from instructme.pipelines import cli
from instructme.pipelines.stages import corpus as pipeline

RATE_HZ = recordings.RATE_HZ
KEYS = (48, 55, 62)
needs_fluidsynth = pytest.mark.skipif(shutil.which("fluidsynth") is None, reason="fluidsynth isn't installed")
needs_programs = pytest.mark.skipif(
    not (shutil.which("mma") and shutil.which("fluidsynth") and pipeline.FLUIDR3.exists()),
    reason="mma, fluidsynth or FluidR3 isn't installed",
)


def hertz(key: float) -> float:
    return 440 * 2 ** ((key - 69) / 12)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder of recordings: three notes of a clarinet, a kit of four drums, and one note of a held-out guitar."""
    folder = tmp_path_factory.mktemp("sounds")
    at_s = np.arange(3 * RATE_HZ // 2) / RATE_HZ
    rng = np.random.default_rng(0)
    listed = []

    def add(path: str, samples: np.ndarray, **row: str) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, samples.astype(np.float32), RATE_HZ)
        listed.append({"path": path, "licence": "CC0-1.0", "midi": "", **row})

    for key in KEYS:
        for place, label, family in (("reeds", "clarinet", "winds"), ("shinyguitar", "archtop_guitar_pickup", "guitar")):
            tone = 0.5 * np.sin(2 * np.pi * hertz(key) * at_s)
            add(f"{place}/{key}.wav", tone, family=family, instrument=label, kind="note", midi=str(key))
    for number, drum in enumerate(("kick", "snare", "hihat_closed", "hihat_open")):
        for loudness in (0.1, 0.6):
            hit = loudness * rng.standard_normal(RATE_HZ // 2) * np.exp(-at_s[: RATE_HZ // 2] * (8 + 4 * number)) / 3
            add(f"kit/{drum}_{loudness}.wav", hit, family="drums", instrument=drum, kind="oneshot")
    with (folder / "index.tsv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(listed[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(listed)
    return folder


def part(notes: list[tuple[int, int]], channel: int = 0) -> list[midi_score.Event]:
    """Play (key, velocity) one a second, at 120 bpm and 480 ticks a beat."""
    events = []
    for number, (key, velocity) in enumerate(notes):
        events.append((960 * number, mido.Message("note_on", channel=channel, note=key, velocity=velocity)))
        events.append((960 * number + 480, mido.Message("note_off", channel=channel, note=key)))
    return events


def played(path: Path, font: Path, program: int, events: list[midi_score.Event]) -> np.ndarray:
    score = midi_score.Score(480, [(0, mido.MetaMessage("set_tempo", tempo=500_000))], {program: events})
    midi_score.write(path, score, [program])
    return synthesis.synthesise(path, font, 44100 * (len(events) // 2))


@needs_fluidsynth
def test_recorded_notes_sound_at_their_pitch_and_velocity(sounds: Path, tmp_path: Path):
    font, presets = recordings.build(sounds, held_out=False)
    soundfonts.write(tmp_path / "made.sf2", font)
    (clarinet,) = [preset for preset in presets if preset.instruments == ("clarinet",)]
    events = timbres.played_by(part([(48, 100), (50, 100), (62, 30)]), clarinet.program)
    samples = played(tmp_path / "part.mid", tmp_path / "made.sf2", 71, events)
    seconds = samples[: 3 * 44100].reshape(3, 44100)[:, 2000:20000]
    for second, key in zip(seconds, (48, 50, 62), strict=True):
        peak_hz = np.abs(np.fft.rfft(second * np.hanning(len(second)), 1 << 18)).argmax() * 44100 / (1 << 18)
        assert abs(12 * np.log2(peak_hz / hertz(key))) < 0.1
    assert np.abs(seconds[2]).max() < 0.5 * np.abs(seconds[0]).max()


@needs_fluidsynth
def test_drums_begin_when_they_are_struck(sounds: Path, tmp_path: Path):
    font, presets = recordings.build(sounds, held_out=False)
    soundfonts.write(tmp_path / "made.sf2", font)
    (kit,) = [preset for preset in presets if preset.bank == recordings.DRUM_BANK]
    events = timbres.played_by(part([(36, 100), (38, 100), (42, 100)], channel=9), kit.program)
    samples = played(tmp_path / "part.mid", tmp_path / "made.sf2", midi_score.DRUMS, events)
    for second in samples[: 3 * 44100].reshape(3, 44100):
        assert np.flatnonzero(np.abs(second) > 0.2 * np.abs(second).max())[0] < 0.01 * 44100


def test_held_out_recordings_are_not_among_the_others(sounds: Path):
    for held_out in (False, True):
        _, presets = recordings.build(sounds, held_out)
        assert {preset.name == "shinyguitar" for preset in presets} == {held_out}


def test_a_soundfont_holds_its_recordings_as_the_format_asks(sounds: Path, tmp_path: Path):
    font, presets = recordings.build(sounds, held_out=False)
    soundfonts.write(tmp_path / "made.sf2", font)
    body = chunks((tmp_path / "made.sf2").read_bytes())[b"RIFF"]
    assert body[:4] == b"sfbk"
    lists = chunks(body[4:])
    assert list(lists) == [b"INFO", b"sdta", b"pdta"]
    info, tables = chunks(lists[b"INFO"]), chunks(lists[b"pdta"])
    assert info == {b"ifil": struct.pack("<HH", 2, 4), b"isng": b"EMU8000\0", b"INAM": b"recordings\0\0"}
    samples = np.frombuffer(chunks(lists[b"sdta"])[b"smpl"], "<i2")
    heads = [struct.unpack("<20s5IBbHH", tables[b"shdr"][at : at + 46]) for at in range(0, len(tables[b"shdr"]), 46)]
    assert heads[-1][0].startswith(b"EOS")
    end = 0
    for name, start, stop, loop_start, loop_stop, rate_hz, root, _, link, kind in heads[:-1]:
        assert start == end and samples[start:stop].any() and not samples[stop : stop + 46].any()
        assert (loop_start, loop_stop, rate_hz, link, kind) == (start, stop, RATE_HZ, 0, 1)
        assert name.rstrip(b"\0").decode() in (str(root), *recordings._KEYS)
        end = stop + 46
    assert end == len(samples)
    rows = [struct.unpack("<20sHHHIII", tables[b"phdr"][at : at + 38]) for at in range(0, len(tables[b"phdr"]), 38)]
    banks = sorted((each.bank, each.program) for each in presets)
    assert [(bank, program) for _, program, bank, *_ in rows] == [*banks, (0, 0)]
    assert [row[3] for row in rows] == list(range(len(rows))), "one zone for each preset"
    assert rows[-1][0].startswith(b"EOP") and len(tables[b"pbag"]) == 4 * len(rows)


@pytest.mark.parametrize(("release_s", "timecents"), [(1.0, 0), (4.0, 2400), (0.15, -3284)])
@pytest.mark.parametrize("exclusive", [0, 1])
def test_a_zone_is_written_as_generators(release_s: float, timecents: int, exclusive: int):
    """The numbers are those of the SoundFont 2.04 specification, section 8.1.2."""
    zone = soundfonts.Zone("a name of over twenty letters", np.ones(9, np.int16), (60, 64), (21, 127), 62, release_s, exclusive)
    tables = chunks(soundfonts.make("some", RATE_HZ, [soundfonts.SampledPreset("some", 0, 7, [zone])]).tables[4:])
    generators = [struct.unpack("<HBB", tables[b"igen"][at : at + 4]) for at in range(0, len(tables[b"igen"]), 4)]
    key_range, velocity_range, release, mode, *rest, end = generators
    assert (key_range, velocity_range, mode, end) == ((43, 60, 64), (44, 21, 127), (54, 0, 0), (0, 0, 0))
    assert release == (38, *struct.pack("<h", timecents))
    assert rest == [*([(57, 1, 0)] if exclusive else []), (58, 62, 0), (53, 0, 0)]
    assert tables[b"shdr"][:20] == b"a name of over twen\0", "names end with a zero"


def test_recordings_play_only_what_they_can(sounds: Path):
    _, presets = recordings.build(sounds, held_out=False)
    (clarinet,) = [preset for preset in presets if preset.bank == 0]
    assert clarinet.note_s == pytest.approx(0.8 * 1.5, abs=0.01)
    assert clarinet.suits("clarinet", 71, (50, 60), 0.5)
    assert not clarinet.suits("flute", 73, (50, 60), 0.5)
    assert not clarinet.suits("clarinet", 71, (50, 90), 0.5)
    assert not clarinet.suits("clarinet", 71, (50, 60), 3.0), "the recordings last 1.5 s"


@pytest.mark.parametrize(("content", "words"), [(None, "can't read"), ("path\tkind\n", "has no column family")])
def test_a_folder_of_recordings_needs_its_index(tmp_path: Path, content: str | None, words: str):
    if content:
        (tmp_path / "index.tsv").write_text(content)
    with pytest.raises(DataError, match=words):
        recordings.build(tmp_path, held_out=False)


def test_sources_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    font = tmp_path / "some.sf2"
    font.touch()
    monkeypatch.setitem(timbres.SOURCES, "a320u", timbres.SOURCES["a320u"]._replace(path=font))
    monkeypatch.setitem(timbres.SOURCES, "gmbank", timbres.SOURCES["gmbank"]._replace(path=tmp_path / "none.sf2"))
    monkeypatch.setattr(hydrogen_kits, "FOLDER", tmp_path / "none")
    assert timbres.installed(["a320u", "hydrogen"]) == ({"a320u": font}, ["hydrogen (apt-get install hydrogen-drumkits)"])
    assert timbres.installed(["a320u", "gmbank"]) == ({"a320u": font}, ["gmbank (apt-get install csound-soundfont)"])
    with pytest.raises(DataError, match="csound-soundfont"):
        timbres.installed(["gmbank"])
    with pytest.raises(DataError, match="no source of timbres 'zither'"):
        timbres.names("a320u,zither")
    varied, held_out = timbres.names("varied"), timbres.names("held-out")
    assert {"fluidr3", "fluidr3mono", "hydrogen"} <= set(varied) and "generaluser" in held_out
    assert set(varied) & set(held_out) == {timbres.RECORDINGS}


def test_a_part_keeps_its_instrument(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    fonts = {name: tmp_path / f"{name}.sf2" for name in ("a320u", "blackpearl", "redzeppelin")}
    orchestra = timbres.Orchestra(fonts)
    names = [timbres.normalise("", program=program).instrument for program in range(128)]
    for program in range(128):
        chances = [np.random.default_rng([seed, program]) for seed in range(20)]
        drawn = [timbres.draw(program, [], [], orchestra, chance) for chance in chances]
        again = timbres.draw(program, [], [], orchestra, np.random.default_rng([0, program]))
        assert again == drawn[0] and {each.source for each in drawn} == {"a320u"}
        assert {names[each.program] for each in drawn} == {names[program]} and program in {each.program for each in drawn}
    drums = [timbres.draw(midi_score.DRUMS, [], [], orchestra, np.random.default_rng(seed)) for seed in range(100)]
    assert {each.source for each in drums} == set(fonts) and all(each.soundfont == fonts[each.source] for each in drums)
    assert {each.program for each in drums} == {0, 8, 16, 24, 25, 32, 40}, "the kits of General MIDI"
    pianos = {timbres.draw(0, [], [], orchestra, np.random.default_rng(seed)).program for seed in range(20)}
    assert pianos == {0, 1}, "one of two is another piano"


@pytest.mark.parametrize(
    "programs",
    [range(88, 96), (80, 81, 84, 87), (82, 83, 85), (29, 30), (73, 74, 75, 77, 79), (16, 17, 18)],
    ids=["pads", "square leads", "saw leads", "driven guitars", "pipes", "organs"],
)
def test_programs_of_one_instrument_play_each_other_s_parts(programs: Sequence[int], tmp_path: Path):
    orchestra = timbres.Orchestra({"a320u": tmp_path / "a320u.sf2"})
    for program in programs:
        chances = [np.random.default_rng(seed) for seed in range(100)]
        assert {timbres.draw(program, [], [], orchestra, chance).program for chance in chances} == set(programs)


def test_recordings_play_two_fifths_of_the_parts_that_they_can(sounds: Path, tmp_path: Path):
    _, presets = recordings.build(sounds, held_out=True)
    orchestra = timbres.Orchestra({"a320u": tmp_path / "a320u.sf2"}, tmp_path / "made.sf2", presets)
    events = part([(50, 100), (60, 100)])
    times_s = [0.0, 0.5, 1.0, 1.5]
    chances = [np.random.default_rng(seed) for seed in range(300)]
    for program, driven in ((27, False), (30, True)):
        drawn = [timbres.draw(program, events, times_s, orchestra, chance) for chance in chances]
        recorded = [each for each in drawn if each.source == "recordings shinyguitar"]
        assert 0.32 < len(recorded) / len(drawn) < 0.48
        assert {(each.soundfont.name, each.licence, each.driven) for each in recorded} == {("made.sf2", "CC0-1.0", driven)}


def test_a_part_asks_for_its_keys_and_its_long_notes(tmp_path: Path):
    asked = []

    class Asked(recordings.RecordedPreset):
        def suits(self, *wanted: object) -> bool:
            asked.append(wanted)
            return False

    preset = Asked("asked", 0, 0, ("piano",), (), (0, 127), 9.0, "CC0-1.0")
    orchestra = timbres.Orchestra({"a320u": tmp_path / "a320u.sf2"}, None, [preset])
    notes = [("note_on", 90), ("note_off", 0)]
    events = [(0, mido.Message(kind, note=key, velocity=loud)) for key in range(40, 61) for kind, loud in notes]
    times_s = [at for number in range(21) for at in (number, number + 0.1 * (number + 1))]
    timbres.draw(0, events, times_s, orchestra, np.random.default_rng(0))
    timbres.draw(0, [], [], orchestra, np.random.default_rng(0))
    (instrument, program, keys, long_s), nothing = asked
    assert (instrument, program, keys) == ("piano", 0, (41.0, 59.0)) and long_s == pytest.approx(1.7)
    assert nothing == ("piano", 0, (0.0, 127.0), np.inf)


def test_hits_lie_on_the_notes_of_general_midi():
    names = dict(enumerate(DRUM_MAP, 35))
    words = {
        "kick": "Bass Drum", "snare_sidestick": "Side Stick", "snare": " Snare", "perc_clap": "Hand Clap",
        "tom_floor": "Floor Tom", "hihat_closed": "Closed Hi Hat", "hihat_foot": "Pedal Hi Hat", "hihat_open": "Open Hi Hat",
        "cymbal_crash": "Crash", "cymbal_ride": "Ride Cymbal", "cymbal_ridebell": "Ride Bell", "cymbal_china": "Chinese",
        "cymbal_splash": "Splash", "perc_tambourine": "Tambourine", "perc_cowbell": "Cowbell", "perc_vibraslap": "Vibraslap",
        "perc_bongo": "Bongo", "perc_conga": "Conga", "perc_timbale": "Timbale", "perc_agogo": "Agogo", "perc_cabasa": "Cabasa",
        "perc_maracas": "Maracas", "perc_guiro": "Guiro", "perc_claves": "Claves", "perc_woodblock": "Wood Block",
        "perc_triangle": "Triangle",
    }  # fmt: skip
    for drum, word in words.items():
        assert set(recordings._KEYS[drum]) == {key for key, name in names.items() if word in name}, drum
    assert [names[key] for drum in ("tom_mid", "tom_high") for key in recordings._KEYS[drum]] == [
        "Low Tom", "Low-Mid Tom", "Hi-Mid Tom", "High Tom",
    ]  # fmt: skip
    assert set(recordings._KEYS) == {*words, "tom_mid", "tom_high", "perc_shaker"}


def test_a_kit_borrows_the_drums_that_it_lacks_from_the_largest_other_kit(monkeypatch: pytest.MonkeyPatch):
    read: list[str] = []

    def noise(folder: Path, path: str, longest_s: float) -> np.ndarray:
        read.append(path)
        return np.random.default_rng(0).standard_normal(100).astype(np.float32)

    monkeypatch.setattr(recordings, "_read", noise)
    hits = {"a": ["kick", "snare"], **{name: ["kick", "snare", "perc_clap"] for name in "bcdfg"}}
    hits["e"] = ["kick", "snare", "perc_clap", "hihat_open"]
    rows = [
        {"path": f"{kit}/{drum}.wav", "instrument": drum, "kind": "oneshot", "family": "drums"}
        for kit in hits
        for drum in hits[kit]
    ]
    pools = recordings._pools(rows)
    assert recordings._kits(pools) == sorted(hits)
    recordings.drum_zones(Path(), recordings.complete_kit(pools, "a"))
    assert set(read) == {"a/kick.wav", "a/snare.wav", "e/hihat_open.wav", "e/perc_clap.wav"}


def test_a_short_hit_begins_at_its_attack_and_fades_in_its_second_half(tmp_path: Path):
    click = np.sin(2 * np.pi * 2000 * np.arange(1000) / RATE_HZ)
    soundfile.write(tmp_path / "click.wav", np.concatenate([np.zeros(300), click]), RATE_HZ, subtype="FLOAT")
    made = recordings._read(tmp_path, "click.wav", 1.0)
    wanted = np.concatenate([np.zeros(47), click])  # the first sample is 0, and 48 are kept before the attack
    wanted[-523:] *= np.linspace(1, 0, 523)
    assert made.shape == wanted.shape
    np.testing.assert_allclose(made, wanted, atol=0.05)


def test_hits_of_a_kit_are_as_loud_as_the_loudest_and_never_clip(sounds: Path):
    font, _ = recordings.build(sounds, held_out=False)
    samples = font.samples.astype(np.float64) / 32768
    assert np.abs(samples).max() <= 0.96
    loudest, _ = soundfile.read(sounds / "kit" / "kick_0.6.wav")
    level = np.sqrt(np.mean(loudest[:4800] ** 2))
    pools = recordings._pools(recordings.rows(sounds))
    zones = recordings.drum_zones(sounds, recordings.complete_kit(pools, "kit"))
    kicks = [zone.samples / 32768 for zone in zones if zone.name == "kick"]
    assert [np.sqrt(np.mean(hit[:4800] ** 2)) for hit in kicks] == pytest.approx([level] * 4, rel=0.06)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1 << 20), st.booleans(), st.booleans())
def test_a_treatment_keeps_length_silence_and_level(seed: int, drums: bool, driven: bool):
    rng = np.random.default_rng(seed)
    samples = np.concatenate([np.zeros(5000), 0.1 * rng.standard_normal(30000)]).astype(np.float32)
    treatment = rough_mix.draw(rng, drums, driven)
    treated = rough_mix.apply(samples, treatment, 44100)
    assert treated.shape == samples.shape and np.isfinite(treated).all()
    assert np.abs(treated[:4500]).max() < 0.02 * np.abs(treated).max(), "nothing sounds before the first note"
    change_db = 20 * np.log10(rough_mix._level(treated) / rough_mix._level(samples))
    assert abs(change_db - treatment.level_db) < 0.5
    assert np.array_equal(treated, rough_mix.apply(samples, treatment, 44100))
    assert not rough_mix.apply(np.zeros(5000, np.float32), treatment, 44100).any()


@needs_programs
def test_a_varied_corpus_says_who_plays(tmp_path: Path, sounds: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(pipeline.TIERS, "mini", (("north_wind",), 4.0))
    for name in ("a", "b"):
        arguments = [
            "corpus",
            str(tmp_path / name),
            "--timbres",
            "fluidr3,gmbank,recordings",
            "--sounds",
            str(sounds),
            "--hours",
            "0.001",
        ]
        done = CliRunner().invoke(cli.main, [*arguments, "--workers", "0"])
        assert done.exit_code == 0, done.output
    assert timbres.SOURCES["gmbank"].path.exists() or "not installed: gmbank (apt-get install csound-soundfont)" in done.output
    (one,), (other,) = (sorted((tmp_path / name).glob("*/Track*")) for name in ("a", "b"))
    assert {path.name: path.read_bytes() for path in one.rglob("*.flac")} == {
        path.name: path.read_bytes() for path in other.rglob("*.flac")
    }
    stems = yaml.safe_load((one / "metadata.yaml").read_text())["stems"]
    assert all(stem["timbre"]["licence"] and stem["treatment"]["seed"] for stem in stems.values())
    assert not list((tmp_path / "a").glob("*.sf2"))


@pytest.mark.parametrize("options", [["--sounds", "."], ["--timbres", "varied", "--soundfont", "x.sf2"]])
def test_options_that_exclude_each_other(tmp_path: Path, options: list[str]):
    done = CliRunner().invoke(cli.main, ["corpus", str(tmp_path / "out"), *options])
    assert done.exit_code == 2 and not (tmp_path / "out").exists()


def test_draws_are_the_same_where_no_kit_of_hydrogen_is_installed(sounds: Path, tmp_path: Path):
    """The numbers are those of the version before."""
    _, presets = recordings.build(sounds, held_out=False)
    fonts = {name: tmp_path / f"{name}.sf2" for name in ("fluidr3", "a320u", "blackpearl")}
    orchestra = timbres.Orchestra(fonts, tmp_path / "made.sf2", presets)
    drawn = [timbres.draw(midi_score.DRUMS, [], [], orchestra, np.random.default_rng(seed)) for seed in range(12)]
    assert [(each.source, each.program) for each in drawn] == [
        *[("blackpearl", 0)] * 2, *[("a320u", 0)] * 2, ("a320u", 40), ("a320u", 32), ("blackpearl", 0), ("a320u", 24),
        ("recordings kit", 0), ("fluidr3", 32), ("a320u", 40), ("fluidr3", 0),
    ]  # fmt: skip
