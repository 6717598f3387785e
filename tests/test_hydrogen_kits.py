"""Drum kits of Hydrogen: their instruments by General MIDI's notes, their levels and licences."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from riff import chunks

from instructme.dataset_tools.corpus import hydrogen_kits, midi_score, recordings, timbres
from instructme.manifests.rows import DataError

RATE_HZ = recordings.RATE_HZ
NAMES = {
    "kick": ["Kick", "c3 - bass drum 1", "BassDrum", "VariBreaks Kick 1", "Pearl Kick"],
    "snare": ["Snare Jazz", "Pearl Snare", "Snare (Pearl Free Floating Maple 14x3.5)"],
    "snare_sidestick": ["Stick", "Pearl Side Stick", "Rim Click (Pearl Free Floating Maple 14x3.5)"],
    "hihat_closed": ["Closed HH", "Hi Hat Closed", "Hat Closed Bs", "VariBreaks Hat 1 Cl", "f#3 - hi-hat closed"],
    "hihat_foot": ["Pedal HH", "VariBreaks Hat 1 Pd", "Hi-Hat Pedal (Paiste Alpha Metal edge 14)"],
    "hihat_open": ["Open HH", "Hi Hat Opened", "Hat Op Dirty"],
    "tom_floor": ["Tom Low", "Floor Tom", "b3 - low tom", "Pearl Tom Floor"],
    "tom_mid": ["Tom", "Tom Mid", "c4 - middle tom", "Pearl Tom 2"],
    "tom_high": ["Tom Hi", "d4 - high tom", "Pearl Tom 1"],
    "cymbal_ride": ["Ride Jazz", "ride-crash20inch", "Paiste Ride"],
    "cymbal_ridebell": ["Ride Bell", "ride-cup", "Paiste Bell"],
    "cymbal_crash": ["Crash Left", "crash16inch"],
    "perc_cowbell": ["Cowbell", "g#4 - cowbell"],
    None: [
        "Snare Roll",
        "Hi-Hat Semiopen (Paiste)",
        "Sabian Hat Swish",
        "Hat Low",
        "FX",
        "",
        "Pearl Snare Rimshot",
        "Side OHH",
        "17",
    ],
}


@pytest.mark.parametrize(("drum", "name"), [(drum, name) for drum, names in NAMES.items() for name in names])
def test_an_instrument_of_hydrogen_is_a_drum_of_general_midi(drum: str | None, name: str):
    assert hydrogen_kits.drum_of(name) == drum


def kit(folder: Path, instruments: dict[str, list[tuple[str, float, float]]], volume: float = 1.0, *, old: bool = False) -> None:
    """Write a kit: the layers (file, highest velocity, gain) of each instrument, all noise; old kits have no layers."""
    folder.mkdir(parents=True)
    rows = []
    for name, layers in instruments.items():
        for file, velocity, _ in layers:
            noise = np.random.default_rng(len(file)).standard_normal(4000) * np.exp(-np.arange(4000) / 800)
            soundfile.write(folder / file, 0.1 * velocity * noise, RATE_HZ)
        described = "".join(
            f"<layer><filename>{file}</filename><max>{most}</max><gain>{gain}</gain><pitch>0</pitch></layer>"
            for file, most, gain in layers
        )
        described = f"<filename>{layers[0][0]}</filename>" if old else described
        rows.append(f"<instrument><name>{name}</name><volume>{volume}</volume>{described}</instrument>")
    start = "<drumkit_info>" if old else '<drumkit_info xmlns="http://www.hydrogen-music.org/drumkit">'
    (folder / "drumkit.xml").write_text(f"{start}<instrumentList>{''.join(rows)}</instrumentList></drumkit_info>")


@pytest.fixture
def kits(tmp_path: Path) -> Path:
    """Write three kits: a whole one, an old one with a kick and a snare alone, and one without either."""
    drums = {"Kick": [("soft.wav", 0.5, 1.0), ("hard.wav", 1.0, 2.0)], "Snare": [("snare.wav", 1.0, 1.0)]}
    kit(
        tmp_path / "BJA_Pacific",
        drums | {"Closed HH": [("hat.wav", 1.0, 1.0)], "Snare 2": [("other.wav", 1.0, 1.0)], "Crash": [("other.wav", 1.0, 1.0)]},
        0.5,
    )
    kit(tmp_path / "rumpf_kit_z01_h2", {"bass drum": [("k.flac", 1.0, 1.0)], "snare": [("s.flac", 1.0, 1.0)]}, old=True)
    kit(tmp_path / "Gimme A Hand 1.0", {"Tambourine": [("t.wav", 1.0, 1.0)]})
    kit(tmp_path / "a kit of another package", drums)
    (tmp_path / "BJA_Pacific" / "other.wav").unlink()
    return tmp_path


def test_kits_of_hydrogen_play_drums_under_their_licences(kits: Path):
    font, presets = hydrogen_kits.build(kits)
    assert [(each.name, each.program, each.bank) for each in presets] == [
        ("BJA_Pacific", 0, recordings.DRUM_BANK),
        ("rumpf_kit_z01_h2", 1, recordings.DRUM_BANK),
    ]
    assert [each.licence for each in presets] == [
        "CC-BY-SA-3.0-US AND GPL-2.0-only",
        "CC-BY-3.0 AND CC-BY-SA-3.0-US AND GPL-2.0-only",
    ], "with what they borrow"
    heads = chunks(font.tables[4:])[b"shdr"]
    names = {heads[at : at + 20].rstrip(b"\0") for at in range(0, len(heads), 46)}
    assert {b"kick", b"snare", b"hihat_closed", b"perc_tambourine"} <= names
    assert b"cymbal_crash" not in names, "the kit lists a file that it does not hold"
    assert hydrogen_kits.build(kits / "BJA_Pacific") is None


def test_hits_are_as_loud_as_their_kit_plays_them(kits: Path):
    drums = hydrogen_kits._read(kits, "BJA_Pacific")
    assert drums["kick"] == (["BJA_Pacific/soft.wav", "BJA_Pacific/hard.wav"], 0.5 * 2.0)
    assert drums["snare"] == (["BJA_Pacific/snare.wav"], 0.5), "the first instrument that is a snare"
    hits = {"snare": drums["snare"].paths}
    plain, soft = (recordings.drum_zones(kits, hits, gains)[0].samples for gains in (None, {"snare": 0.5}))
    np.testing.assert_allclose(soft, 0.5 * plain, atol=1.5)


def test_a_damaged_kit_is_told(kits: Path):
    (kits / "BJA_Pacific" / "drumkit.xml").write_text("<drumkit")
    with pytest.raises(DataError, match="install hydrogen-drumkits again, or leave hydrogen out"):
        hydrogen_kits.build(kits)


def test_kits_of_hydrogen_play_some_drums_and_nothing_else(kits: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(hydrogen_kits, "FOLDER", kits)
    font = tmp_path / "some.sf2"
    font.touch()
    monkeypatch.setitem(timbres.SOURCES, "a320u", timbres.SOURCES["a320u"]._replace(path=font))
    found, missing = timbres.orchestra(["a320u", "hydrogen"], None, tmp_path / "corpus")
    assert not missing and found.made == [tmp_path / "corpus" / ".hydrogen.sf2"] and found.made[0].stat().st_size > 1000
    for program, sources in (
        (midi_score.DRUMS, {"a320u", "hydrogen BJA_Pacific", "hydrogen rumpf_kit_z01_h2"}),
        (0, {"a320u"}),
    ):
        drawn = [timbres.draw(program, [], [], found, np.random.default_rng(seed)) for seed in range(100)]
        assert {each.source for each in drawn} == sources
        assert {each.soundfont.name for each in drawn if each.source != "a320u"} <= {".hydrogen.sf2"}
