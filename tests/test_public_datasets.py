"""Trees of public datasets without a layout of their own: songs, splits, instruments and mixes are right, or doubts are told."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from trees import sound

from instructme.dataset_tools.layouts import FoundTrack, Rejected, folder
from instructme.manifests.instruments import normalise

FOUR = ("bass", "drums", "other", "vocals")
CHOIR = [f"{voice}{number}" for voice in "SATB" for number in (1, 2)]


class Tree(NamedTuple):
    """The files of a dataset, and what is read: titles with splits, stems and mix of one song, and whether a doubt is told."""

    files: list[str]
    songs: dict[str, str | None]
    stems: set[str] | None = None
    mix: str | None = None
    doubted: bool = False


def paths(*parts: str) -> list[str]:
    """List all paths of parts that are given as `a|b|c`."""
    return ["/".join(each) for each in product(*(part.split("|") for part in parts))]


TREES = {
    "DSD100": Tree(
        [
            f"{kind}/{song}/{stem}"
            for song in ("Dev/051 - AM Contra - Heart", "Test/001 - ANiMAL - Clinic A")
            for kind, stems in (("Mixtures", ["mixture"]), ("Sources", FOUR))
            for stem in stems
        ],
        {"Heart": "validation", "Clinic A": "test"},
        {"bass", "drums", "other", "vocals"},
    ),
    "URMP": Tree(
        [
            *paths("01_Jupiter_vn_vc", "AuMix_01_Jupiter_vn_vc|AuSep_1_vn_01_Jupiter|AuSep_2_vc_01_Jupiter"),
            *paths("20_Pavane_tpt_vn", "AuMix_20_Pavane_tpt_vn|AuSep_1_tpt_20_Pavane|AuSep_2_vn_20_Pavane"),
        ],
        {"01_Jupiter_vn_vc": None, "20_Pavane_tpt_vn": None},
        {"violin", "cello"},
        "01_Jupiter_vn_vc/AuMix_01_Jupiter_vn_vc.wav",
        doubted=True,
    ),
    "Bach10": Tree(
        [f"{song}/{song}{part}" for song in ("01-AchGott", "02-AchLieben") for part in ("", "-bassoon", "-clarinet", "-violin")],
        {"01-AchGott": None, "02-AchLieben": None},
        {"bassoon", "clarinet", "violin"},
        "01-AchGott/01-AchGott.wav",
    ),
    "CocoChorales": Tree(
        [
            *paths("main_dataset", "train/string_track000001", "mix|stems_audio/1_violin|stems_audio/4_cello"),
            *paths("main_dataset", "test/brass_track000002", "mix|stems_audio/1_trumpet|stems_audio/4_tuba"),
        ],
        {"string_track000001": "train", "brass_track000002": "test"},
        {"trumpet", "tuba"},
        "main_dataset/test/brass_track000002/mix.wav",
    ),
    "ccMixter": Tree(
        paths("Alex_-_Art_Now|Emily_-_Wake_Up", "mix|source-01|source-02"),
        {"Art Now": None, "Wake Up": None},
        {"other"},
        "Alex_-_Art_Now/mix.wav",
        doubted=True,
    ),
    "jaCappella": Tree(
        paths("bossa/Komori|jazz/Yuki", "alto|bass|finger_snap|lead_vocal|soprano|mixture"),
        {"Komori": None, "Yuki": None},
        None,
        "bossa/Komori/mixture.wav",
    ),
    "TRIOS": Tree(
        paths("brahms|mozart", "mix|piano|violin"), {"brahms": None, "mozart": None}, {"piano", "violin"}, "brahms/mix.wav"
    ),
    "DnR": Tree(
        paths("tr|cv|tt", "1002", "mix|speech|music|sfx"),
        {"1002": "test"},
        {"other", "spoken voice", "sound effects"},
        "cv/1002/mix.wav",
    ),
    "Saraga": Tree(
        [
            f"Concert/{song}/{song}.{part}"
            for song in ("Bhuvini", "Apparama")
            for part in ("multitrack-vocal", "multitrack-violin", "multitrack-ghatam", "mp3")
        ],
        {"Bhuvini": None, "Apparama": None},
        {"vocals", "violin", "percussion"},
        "Concert/Apparama/Apparama.mp3.wav",
    ),
    "Moises": Tree(
        [f"{song} - {stem} - Eb major - 120bpm - 440hz" for song in ("Hello", "World") for stem in FOUR],
        {"Hello": None, "World": None},
        {"bass", "drums", "other", "vocals"},
    ),
    "MVSEP": Tree(
        [f"2024-abc-{song}_{stem}_(mvsep.com)" for song in ("songa", "songb") for stem in FOUR],
        {"songa": None, "songb": None},
        {"bass", "drums", "other", "vocals"},
    ),
    "Choral Singing Dataset": Tree(
        [f"CSD_{song}_{voice}_{n}" for song in ("ER", "LI") for voice in ("alto", "soprano", "tenor") for n in (1, 2)],
        {"ER": None, "LI": None},
        doubted=True,
    ),
    "ESMUC": Tree([f"{song}_take1_{voice}" for song in ("DG_FT", "DH1") for voice in CHOIR], {"ESMUC": None}, doubted=True),
    "Dagstuhl": Tree(
        [f"wav/DCS_{song}_FullChoir_Take0{take}_{voice}_LRX" for song in ("LI", "TP") for take in (1, 2) for voice in CHOIR],
        {},
        doubted=True,
    ),
    "FMA": Tree(paths("000|001", "000002|000005"), {"000": None, "001": None}, {"other"}, doubted=True),
    "MAESTRO": Tree(paths("2004|2006", "MIDI-R1_02|MIDI-R1_03"), {"2004": None, "2006": None}, {"other"}, doubted=True),
    "MusicNet": Tree(paths("train_data|test_data", "1727|1728"), {"MusicNet": "train"}, {"other"}, doubted=True),
    "IRMAS": Tree(
        [f"{name}/[{name}][cla]000{n}__{n}" for name in ("cel", "gac") for n in (1, 2)],
        {"cel": None, "gac": None},
        doubted=True,
    ),
    "GTZAN": Tree(
        [f"genres/{genre}/{genre}.{n:05d}" for genre in ("blues", "rock") for n in (0, 1)],
        {"blues": None, "rock": None},
        {"other"},
        doubted=True,
    ),
    "MIR-1K": Tree(
        [f"Wavfile/{singer}_1_0{n}" for singer in ("abjones", "amy") for n in (1, 2)], {"Wavfile": None}, doubted=True
    ),
    "FL Studio": Tree(
        [f"beat{n}_{part}" for n in (1, 2) for part in ("Insert 1", "Insert 2", "808", "Master")],
        {"beat1": None, "beat2": None},
        {"other", "drum machine"},
    ),
    "Suno": Tree(
        [f"{song} ({part})" for song in ("Neon Sky", "Rain") for part in ("Vocals", "Backing Vocals", "Drums", "Guitar")],
        {"Neon Sky": None, "Rain": None},
        {"vocals", "backing vocals", "drums", "guitar"},
    ),
    "Ultimate Vocal Remover": Tree(
        [
            f"{song}_({part})_model_bs_roformer_ep_317_sdr_12.9755"
            for song in ("Alpha", "Beta")
            for part in ("Vocals", "Instrumental")
        ],
        {"Alpha": None, "Beta": None},
        {"vocals"},
    ),
    "Cambridge": Tree(
        paths("AlexanderRoss_GoodbyeBolero_Full|ANiMAL_EasyTiger_Excerpt", "01_Kick1|02_SnareUp|03_BassDI|04_LeadVox"),
        {"GoodbyeBolero": None, "EasyTiger": None},
        {"drums", "bass", "lead vocals"},
    ),
    "Clone Hero": Tree(
        paths("Band - One|Band - Two", "song|guitar|drums_1|drums_2|vocals|preview"),
        {"One": None, "Two": None},
        {"other", "guitar", "drums", "vocals"},
    ),
    "Splice": Tree(
        [f"SO_AM_{name}" for name in ("120_drum_loop", "120_bass_loop_Am", "95_drum_loop_lofi", "140_synth_loop_Gmaj")],
        {"SO_AM": None},
        doubted=True,
    ),
    "construction kits": Tree(
        [
            f"{kit}/{part}"
            for kit in ("Sunrise (128 BPM - Fmin)", "Moon (126 BPM - Gmin)")
            for part in ("Kick", "Bassline", "Pad")
        ],
        {"Sunrise (128 BPM - Fmin)": None, "Moon (126 BPM - Gmin)": None},
    ),
    "EnsembleSet": Tree(paths("Beethoven|Dvorak", "Mix_1|Close", "Violin_1|Viola"), {}, doubted=True),
    "ENST": Tree(paths("drummer_1|drummer_2", "audio", "kick|snare|wet_mix", "001_hits|036_phrase"), {}, doubted=True),
}


@pytest.mark.parametrize("name", TREES)
def test_songs_are_right_or_doubts_are_told(name: str, tmp_path: Path) -> None:
    tree, root = TREES[name], tmp_path / name
    for path in tree.files:
        sound(root / f"{path}.wav")
    items = list(folder.tracks(root))
    songs = [item for item in items if isinstance(item, FoundTrack)]
    reasons = {item.reason for item in items if isinstance(item, Rejected)}
    assert tree.songs.items() <= {song.title: song.split for song in songs}.items()
    assert not tree.songs or {song.title for song in songs} == {*tree.songs}
    assert ("grouping" in reasons) == tree.doubted
    first = [song for song in songs if song.title == next(iter(tree.songs), None)]
    if tree.mix:
        with_mix = [song for song in songs if song.mix_path == root / tree.mix]
        assert len(with_mix) == 1
        first = with_mix
    if tree.stems:
        assert set(instruments(first[0])) == tree.stems


def instruments(song: FoundTrack) -> Iterator[str]:
    for stem in song.stems:
        yield normalise(stem.label).instrument
