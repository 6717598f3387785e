"""Which files of one folder are a song: names that people give, and names drawn at random."""

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructme.dataset_tools.song_files import group

SEVERAL = {
    "SongA_bass|SongA_drums|SongB_bass|SongB_drums": {"SongA", "SongB"},
    "SongA_bass|SongA_drums|SongB_bass": {"SongA", "SongB"},
    "track1_bass|track1_drums|track2_bass|track2_drums": {"track1", "track2"},
    "Band - Highway - Vocals|Band - Highway - Kick|Band - Lonely - Vocals|Band - Lonely - Keys": {"Highway", "Lonely"},
    "Band - Highway - Vox|Band - Highway - Synth|Band - Lonely - Vox|Band - Lonely - Bass DI": {"Highway", "Lonely"},
    "1_Highway_(Vocals)|1_Highway_(Instrumental)|2_Lonely_(Vocals)|2_Lonely_(Instrumental)": {"1_Highway", "2_Lonely"},
    "01_Highway_Bass|02_Highway_Drums|03_Lonely_Bass|04_Lonely_Drums": {"Highway", "Lonely"},
    "001_bass|001_drums|002_bass|002_drums": {"001", "002"},
    "Highway_Bass_120bpm_Amin|Highway_Drums_120bpm|Lonely_Bass_98bpm_C maj|Lonely_Drums_98bpm": {"Highway", "Lonely"},
    "Bass - Highway|Drums - Highway|Bass - Lonely|Drums - Lonely": {"Highway", "Lonely"},
    "SongA_Drums_Kick|SongA_Drums_Snare|SongA_Bass|SongB_Drums_Kick|SongB_Drums_Snare": {"SongA", "SongB"},
    "HighwayBass|HighwayDrums|LonelyBass|LonelyDrums": {"Highway", "Lonely"},
    "Take1_Bass|Take1_Drums|Take2_Bass|Take2_Drums": {"Take1", "Take2"},
    "highway_bass|highway_drums|lonely_vocals|lonely_keys": {"highway", "lonely"},
    "Alpha~Bass|Alpha~Drums|Beta~Bass|Beta~Drums": {"Alpha", "Beta"},
    "Bass@Alpha|Drums@Alpha|Bass@Beta|Drums@Beta": {"Alpha", "Beta"},
    "Alpha {Bass}|Alpha {Drums}|Beta {Bass}|Beta {Drums}": {"Alpha", "Beta"},
    "Alpha, Bass|Alpha, Drums|Beta, Bass|Beta, Drums": {"Alpha", "Beta"},
    "Alpha—Bass|Alpha—Drums|Beta—Bass|Beta—Drums": {"Alpha", "Beta"},
    "Alpha・Bass|Alpha・Drums|Beta・Bass|Beta・Drums": {"Alpha", "Beta"},
    "Alpha（Bass）|Alpha（Drums）|Beta（Bass）|Beta（Drums）": {"Alpha", "Beta"},
    "Alpha_vocals|Alpha_no_vocals|Alpha_bass|Beta_vocals|Beta_no_vocals|Beta_bass": {"Alpha", "Beta"},
    "Bass1|Drums1|Vox1|Bass2|Drums2|Vox2": {"1", "2"},
    "alphabass|alphadrums|betabass|betadrums": {"alpha", "beta"},
    "a3f9_bass|a3f9_drums|b77c_bass|b77c_drums": {"a3f9", "b77c"},
    "Neon Sky (Vocals)|Neon Sky (Drums)|Neon Sky (Bass)|Rain (Vocals)|Rain (Drums)|Rain (Bass)": {"Neon Sky", "Rain"},
    "Alpha_(Vocals)_mdx_q1|Alpha_(Instrumental)_mdx_q1|Beta_(Vocals)_mdx_q1|Beta_(Instrumental)_mdx_q1": {"Alpha", "Beta"},
    "Blue_bass|Blue_drums|Blue Moon_bass|Blue Moon_drums": {"Blue", "Blue Moon"},
    "Storm_bass|Storm_drums|Storm Again_bass|Storm Again_drums": {"Storm", "Storm Again"},
    "Highway_bass|Highway_drums|Highway (Live)_bass|Highway (Live)_drums": {"Highway", "Highway (Live)"},
    "Fat Bass - bass|Fat Bass - drums|Drum Machine - bass|Drum Machine - drums": {"Fat Bass", "Drum Machine"},
    "Artist1_Song1_bass|Artist1_Song1_drums|Artist1_Song2_bass|Artist1_Song2_drums": {"Song1", "Song2"},
    "Highway_Insert 1 Kick|Highway_Insert 2 Bass|Lonely_Insert 1 Kick|Lonely_Insert 2 Bass": {"Highway", "Lonely"},
    "A_bass|A_drums|B_bass|B_drums|C_bass|C_drums": {"A", "B", "C"},
    "v1_bass|v1_drums|v2_bass|v2_drums": {"v1", "v2"},
    "In C_bass|In C_drums|In C#_bass|In C#_drums": {"C", "C#"},
}
ONE = [
    "Kick In|Kick Out|Snare Top|Snare Bottom|OH - L|OH - R|Bass DI|Gtr 1",
    "Electric Guitar|Electric Bass|Electric Piano|Acoustic Guitar|Acoustic Bass|Acoustic Piano",
    "Lead Vocals|Lead Guitar|Backing Vocals|Rhythm Guitar|Drums|Bass",
    "Hello_Lead_Vocals|Hello_Lead_Guitar|Hello_Backing_Vocals|Hello_Rhythm_Guitar",
    "Bob Vox|Bob Gtr|Alice Vox|Alice Gtr|Drums|Bass|Keys",
    "vocals.L|vocals.R|drums.L|drums.R|bass.L|bass.R",
    "DI_bass|Amp_bass|Sub_bass",
    "01_Kick|02_Snare|03_Bass|04_Gtr",
    "Audio 1_03|Audio 2_01|Bass_02|Drums_01",
    "Track 1 - Highway - Bass|Track 2 - Highway - Drums|Track 3 - Highway - Vox",
    "bass|drums|vocals|other",
    "Kick_01|Snare_01|Bass_01|Gtr_01|Gtr_02|Vox_01|Vox_02",
    "Kick A|Kick B|Snare A|Snare B|Gtr A|Gtr B|Bass|Vox",
    "Song - Bob Vox|Song - Bob Gtr|Song - Alice Vox|Song - Alice Gtr|Song - Drums|Song - Bass",
    "contrabass|synthbass|ebass|steeldrums|edrums",
    "Bass DI|Bass Amp|Gtr DI|Gtr Amp",
    "Bass & Hyper bass - LSD|Bass - LSD|Crash 1 - LSD|Guitar 1 - LSD|Hi-Hat - LSD|Hyper Bass - LSD|Hyper Kick - LSD|Perc - LSD",
]
DOUBTFUL = [
    "001_bass|001_drums|002_bass|002_drums",
    "Kick_Take1|Kick_Take2|Bass_Take1|Bass_Take2",
    "A_bass|A_drums|B_bass|B_drums",
    "Gtr 1|Gtr 2|Vox 1|Vox 2",
    "Rhythm_bass|Rhythm_drums|Solo_bass|Solo_drums",
    "Bass 57|Gtr 57|Bass 421|Gtr 421",
    "Rain_bass|Rain_drums|Rain Again_bass|Rain Again_drums",
    "Alpha_-3st_bass|Alpha_-3st_drums|Alpha_+3st_bass|Alpha_+3st_drums",
]
"""Names that mean one song or several, and nothing says which."""


@pytest.mark.parametrize("names", SEVERAL)
def test_songs_in_one_folder_are_told_apart(names: str) -> None:
    files = names.split("|")
    found = group(files)
    assert {song.name for song in found.songs} == SEVERAL[names] and not found.strays and found.aligned
    for song in found.songs:
        assert all(song.name in name for name in song.labels)
    assert sorted(name for song in found.songs for name in song.labels) == sorted(files)


@pytest.mark.parametrize("names", ONE)
def test_stems_of_one_song_stay_together(names: str) -> None:
    assert not group(names.split("|")).songs


@pytest.mark.parametrize("names", DOUBTFUL)
def test_a_grouping_that_rests_on_numbers_or_common_words_is_marked(names: str) -> None:
    assert group(names.split("|")).doubtful


@pytest.mark.parametrize(
    "names",
    [
        *("Alpha_bass|Beta_bass|Gamma_drums|Delta_drums", "Alpha_bass|Beta_drums|Gamma_bass", "bass - Alpha|drums - Beta"),
        "Hello Drums|Hello Bass|Hello Vox|Hello Keys|Goodbye Piano",
        "bass|drums|vox|Alpha_bass|Alpha_drums|Alpha_vox",
        "bass|drums|vox|Alpha_bass|Alpha_drums|Alpha_vox|Beta_bass|Beta_drums|Beta_vox",
        "Delta_Disco_Drum|Delta_Jazz_Drum|Delta_Hendrix_Drum|Delta_Gospel_Drum",
        "hello [vocals]|hello [music]|moon [vocals]|moon [music]",
    ],
)
def test_files_that_may_have_titles_of_their_own_are_marked(names: str) -> None:
    found = group(names.split("|"))
    assert not found.songs and found.doubtful


def test_a_grouping_by_titles_is_not_marked() -> None:
    for names in [key for key in SEVERAL if "Highway" in key]:
        assert not group(names.split("|")).doubtful, names
    assert not group(
        ["Kick In", "Kick Out", "Snare Top", "OH - L", "OH - R", "Bass DI", "Gtr 1", "Gtr 2", "Vox 1", "Vox 2"]
    ).doubtful


def test_sessions_of_pro_tools_are_one_song_or_marked() -> None:
    """Words of all songs' files that are there for several instruments are no titles: `OptoComp`, or the number of a region."""
    with Path(__file__).with_name("song_folder_names.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {song: group([row["file"] for row in rows if row["song"] == song]) for song in ("Another Love Song", "Heart Of Gold")}
    assert not found["Another Love Song"].songs and not found["Another Love Song"].doubtful
    assert found["Heart Of Gold"].doubtful


def test_a_file_that_fits_no_song_is_a_stray() -> None:
    found = group(["highway.bass", "highway.drums", "lonely.bass", "lonely.vocals", "readme tone"])
    assert found.strays == ("readme tone",) and len(found.songs) == 2


def test_one_instrument_under_many_names_is_a_song_each_of_single_parts() -> None:
    found = group(["SongA_bass", "SongB_bass", "SongC_bass"])
    assert len(found.songs) == 3 and not found.aligned


WORDS = ["Highway", "Lonely", "River", "Paradise", "Sunset", "Velvet", "Crystal", "Memory", "Desert", "Empire", "Hurricane"]
STEMS = ["bass", "drums", "vocals", "guitar", "piano", "Kick", "Snare Top", "Bass DI", "Lead Vox", "Keys", "Strings", "Gtr 1"]
with Path(__file__).with_name("studio_names.csv").open(encoding="utf-8", newline="") as file:
    STUDIO = [re.sub(r"\.\w{3,4}$", "", row["label"]) for row in csv.DictReader(file) if "/" not in row["label"]]


@given(
    st.lists(st.sampled_from(WORDS), min_size=2, max_size=5, unique=True),
    st.sets(st.sampled_from(STEMS), min_size=2, max_size=6),
    st.sampled_from(["_", " - ", ".", " ", "-"]),
    st.sampled_from(["", "{number:02d} ", "The Band - "]),
)
def test_songs_of_the_same_instruments_are_found_whatever_the_separator(
    titles: list[str], stems: set[str], separator: str, front: str
) -> None:
    files = [f"{song}{separator}{stem}" for song in titles for stem in sorted(stems)]
    named = {front.format(number=number) + file: file.split(separator)[0] for number, file in enumerate(files, 1)}
    found = group(list(named))
    assert {song.name for song in found.songs} == set(titles)
    assert all(named[name] == song.name for song in found.songs for name in song.labels)


@settings(max_examples=200)
@given(st.sets(st.sampled_from(STUDIO), min_size=5, max_size=20), st.booleans())
def test_file_names_of_a_studio_are_one_song(names: set[str], numbered: bool) -> None:
    files = [f"{number:02d}_{name}" if numbered else name for number, name in enumerate(sorted(names), 1)]
    assert not group(files).songs


@pytest.mark.parametrize(
    ("names", "doubtful"),
    [
        ("001_1|001_2|002_1|002_2", True),
        ("a 1|a 2|b 1|b 2", True),
        ("001_1|001_2|002_1", False),
        ("Gtr_L|Gtr_R|Keys_L|Keys_R", False),
        ("1|2|3|4", False),
    ],
)
def test_fronts_and_ends_that_pair_up_may_be_songs(names: str, doubtful: bool) -> None:
    found = group(names.split("|"))
    assert (found.songs, found.doubtful) == ((), doubtful)


def test_projects_of_fl_studio_are_songs() -> None:
    parts = ("Insert 1", "Insert 12", "808", "Master")
    found = group([f"beat{number}_{part}" for number in (1, 2) for part in parts])
    assert not found.doubtful and not found.strays
    assert {song.name: [*song.labels.values()] for song in found.songs} == {"beat1": [*parts], "beat2": [*parts]}
    assert {song.name for song in group(["a_Insert 1", "a_Kick", "a_b_Insert 1", "a_b_Kick"]).songs} == {"a", "a_b"}
    assert not group(["beat_Insert 1", "beat_Insert 2", "beat_Master"]).songs


def test_songs_of_one_instrument_each_are_doubtful() -> None:
    names = [f"beat{number}_{part}" for number in (1, 2) for part in ("Channel 1", "Channel 2", "808", "Loop")]
    assert group(names).doubtful


def test_a_grid_of_takes_is_doubtful_though_one_front_may_be_an_instrument() -> None:
    voices = [f"{voice}{number}" for voice in "SATB" for number in (1, 2)]
    assert group([f"{front}_{voice}" for front in ("DG_FT_take1", "DH1_take1") for voice in voices]).doubtful
    assert not group(["Kick_In", "Kick_Out", "Snare_In", "Snare_Out"]).doubtful
    assert not group(["Gtr_L", "Gtr_R", "Extra_L", "Extra_R"]).doubtful
