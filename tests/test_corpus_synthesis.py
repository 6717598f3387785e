"""Tracks of the corpus: levels, mix and metadata, with tones in the place of FluidSynth."""

import hashlib
import struct
from pathlib import Path

import mido
import numpy as np
import pyloudnorm
import pytest
import soundfile
import yaml

from instructme.dataset_tools.corpus import midi_score, synthesis
from instructme.dataset_tools.corpus.rough_mix import Treatment
from instructme.dataset_tools.corpus.timbres import Timbre
from instructme.manifests.rows import DataError
from instructme.manifests.word_tables import rows

RATE_HZ = synthesis.RATE_HZ
END_S = 3.0
SILENT, LOUD, QUIET = 5, 0, 33
PEAKS = {SILENT: 0.0, LOUD: 0.5, QUIET: 0.02, midi_score.DRUMS: 0.1}


def tone(program: int, length_samples: int) -> np.ndarray:
    at_s = np.arange(length_samples) / RATE_HZ
    return (PEAKS[program] * np.sin(2 * np.pi * (300 + program) * at_s)).astype(np.float32)


@pytest.fixture
def score(monkeypatch: pytest.MonkeyPatch) -> midi_score.Score:
    """Make a song of four programs that FluidSynth need not play."""

    def play(path: Path, soundfont: Path, length_samples: int) -> np.ndarray:
        messages = [each for track in mido.MidiFile(path).tracks for each in track if each.type in ("program_change", "note_on")]
        drums = any(each.type == "note_on" and each.channel == midi_score.DRUM_CHANNEL for each in messages)
        return tone(midi_score.DRUMS if drums else messages[0].program, length_samples)

    monkeypatch.setattr(synthesis, "synthesise", play)
    stems: dict[int, list[midi_score.Event]] = {}
    for channel, program in enumerate(sorted(PEAKS)):
        channel = midi_score.DRUM_CHANNEL if program == midi_score.DRUMS else channel
        changes = [] if program == midi_score.DRUMS else [(0, mido.Message("program_change", channel=channel, program=program))]
        notes = [(at, mido.Message(kind, channel=channel, note=60)) for at, kind in ((0, "note_on"), (480, "note_off"))]
        stems[program] = [*changes, *notes]
    return midi_score.Score(480, [(0, mido.MetaMessage("set_tempo", tempo=500_000))], stems, LOUD)


def stated(folder: Path) -> dict:
    return yaml.safe_load((folder / "metadata.yaml").read_text())


def test_a_track_is_the_sum_of_its_stems_at_full_level(score: midi_score.Score, tmp_path: Path):
    folder = tmp_path / "Track00001"
    synthesis.write_track(folder, score, Path("some.sf2"), END_S, {"genre": "Pop", "target_peak": "kept last"})
    names = ["S00", "S01", "S02"]
    assert sorted(path.stem for path in (folder / "stems").iterdir()) == names, "the silent one is left out"
    assert sorted(path.stem for path in (folder / "MIDI").iterdir()) == names
    stems = [soundfile.read(folder / "stems" / f"{name}.flac", dtype="int16") for name in names]
    mix, rate_hz = soundfile.read(folder / "mix.flac", dtype="int16")
    assert rate_hz == RATE_HZ and len(mix) == round((END_S + synthesis.TAIL_S) * RATE_HZ)
    np.testing.assert_array_equal(np.sum([samples for samples, _ in stems], axis=0), mix)
    assert np.abs(mix).max() / 32768 == pytest.approx(10 ** (-1 / 20), abs=1e-3)
    about = stated(folder)
    gain = about["overall_gain"]
    for (samples, _), program in zip(stems, (LOUD, QUIET, midi_score.DRUMS), strict=True):
        np.testing.assert_allclose(samples / 32768, tone(program, len(mix)) * gain, atol=2e-5)
    assert (about["normalized"], about["normalization_factor"], about["genre"]) == (False, None, "Pop")
    assert about["target_peak"] == "kept last"
    assert about["UUID"] == hashlib.md5((folder / "all_src.mid").read_bytes()).hexdigest()
    assert len(mido.MidiFile(folder / "all_src.mid").tracks) == 4, "the conductor and three programs"


def test_stems_get_the_levels_that_are_asked_for(score: midi_score.Score, tmp_path: Path):
    levels_lufs = {SILENT: -20.0, LOUD: -25.0, QUIET: -22.0, midi_score.DRUMS: -20.0}
    synthesis.write_track(tmp_path / "a", score, Path("some.sf2"), END_S, {}, levels_lufs)
    about = stated(tmp_path / "a")
    assert about["normalized"] and about["normalization_factor"] == -20.0
    measured = []
    for name, stem in about["stems"].items():
        samples, _ = soundfile.read(tmp_path / "a" / "stems" / f"{name}.flac")
        measured.append(pyloudnorm.Meter(RATE_HZ).integrated_loudness(samples) - 20 * np.log10(about["overall_gain"]))
        assert stem["integrated_loudness"] == levels_lufs[stem["program_num"]]
    assert measured == pytest.approx([-25, -22, -20], abs=0.05)


def test_metadata_names_each_stem_and_who_plays_it(score: midi_score.Score, tmp_path: Path):
    timbres = {program: Timbre(Path(f"{program}.sf2"), program % 128, "somebody", "MIT") for program in PEAKS}
    players = {program: synthesis.Player(timbre, Treatment(level_db=-3.0)) for program, timbre in timbres.items()}
    levels_lufs = dict.fromkeys(PEAKS, -24.0)
    synthesis.write_track(tmp_path / "a", score, Path("some.sf2"), END_S, {}, levels_lufs, players)
    first, bass, drums = stated(tmp_path / "a")["stems"].values()
    assert (first["inst_class"], first["midi_program_name"], first["is_drum"]) == ("Piano", "Acoustic Grand Piano", False)
    assert (bass["inst_class"], bass["midi_program_name"], bass["plugin_name"]) == ("Bass", "Electric Bass (finger)", "33.sf2")
    assert (drums["inst_class"], drums["midi_program_name"], drums["is_drum"]) == ("Drums", "Drums", True)
    assert [stem.get("lead") for stem in (first, bass, drums)] == [True, None, None]
    assert all(stem["audio_rendered"] and stem["midi_saved"] for stem in (first, bass, drums))
    assert bass["timbre"]["source"] == "somebody" and bass["treatment"]["level_db"] == -3.0
    assert bass["integrated_loudness"] == -27.0


def test_a_song_without_sound_is_refused(score: midi_score.Score, tmp_path: Path):
    silent = midi_score.Score(480, score.conductor, {SILENT: score.stems[SILENT]})
    with pytest.raises(DataError, match="nothing sounds"):
        synthesis.write_track(tmp_path / "a", silent, Path("some.sf2"), END_S, {})


def test_classes_are_those_of_slakh():
    known = {row["label"].lower() for row in rows("classes.csv") if row["layout"] == "slakh"}
    classes = [synthesis._slakh_class(program) for program in range(129)]
    assert {each.lower() for each in classes} <= known
    firsts = {classes[8 * family]: family for family in range(14)}
    assert list(firsts) == [
        *("Piano", "Chromatic Percussion", "Organ", "Guitar", "Bass", "Strings", "Strings (continued)", "Brass", "Reed", "Pipe"),
        *("Synth Lead", "Synth Pad", "Sound Effects", "Ethnic"),
    ]
    assert all(classes[program] == classes[program - program % 8] for program in range(112))
    assert classes[112:119] == ["Percussive"] * 7 and classes[119:] == ["Sound effects"] * 9 + ["Drums"]


def test_sound_is_cut_or_padded_to_its_length(monkeypatch: pytest.MonkeyPatch):
    stereo = np.array([[0.5, 0.25], [1.0, -1.0], [-0.5, 0.0]], dtype="<f4")

    def run(command: list[str], **options: object) -> object:
        Path(command[command.index("-F") + 1]).write_bytes(stereo.tobytes())
        return type("Done", (), {"returncode": 0, "stderr": ""})

    monkeypatch.setattr(synthesis.subprocess, "run", run)
    assert synthesis.synthesise(Path("a.mid"), Path("a.sf2"), 5).tolist() == [0.375, 0, -0.25, 0, 0]
    assert synthesis.synthesise(Path("a.mid"), Path("a.sf2"), 2).tolist() == [0.375, 0]


@pytest.mark.parametrize(("code", "message", "writes"), [(1, "", True), (0, "Failed to load SoundFont", True), (0, "", False)])
def test_a_soundfont_that_is_not_played_is_an_error(code: int, message: str, writes: bool, monkeypatch: pytest.MonkeyPatch):
    def run(command: list[str], **options: object) -> object:
        if writes:
            Path(command[command.index("-F") + 1]).write_bytes(struct.pack("<2f", 0.5, 0.5))
        return type("Done", (), {"returncode": code, "stderr": message})

    monkeypatch.setattr(synthesis.subprocess, "run", run)
    with pytest.raises(DataError, match=r"FluidSynth can't render a\.mid with a\.sf2"):
        synthesis.synthesise(Path("a.mid"), Path("a.sf2"), 1)
