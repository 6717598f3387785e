"""Which files of one folder are a song: names that people give, and names drawn at random."""

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructme.dataset_tools.song_names import group, labels, title

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
]


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


def test_a_file_that_fits_no_song_is_a_stray() -> None:
    found = group(["highway.bass", "highway.drums", "lonely.bass", "lonely.vocals", "readme tone"])
    assert found.strays == ("readme tone",) and len(found.songs) == 2


def test_one_instrument_under_many_names_is_a_song_each_of_single_parts() -> None:
    found = group(["SongA_bass", "SongB_bass", "SongC_bass"])
    assert len(found.songs) == 3 and not found.aligned


def test_what_all_names_share_is_no_instrument_unless_it_says_which() -> None:
    assert list(labels(["Piano Man Vocals", "Piano Man Drums", "Piano Man Bass"]).values()) == ["Vocals", "Drums", "Bass"]
    for names in (["Kick In", "Kick Out"], ["Synth Bass", "Synth Lead", "Synth Pad"], ["Guitar Lead", "Guitar Rhythm"]):
        assert list(labels(names).values()) == names
    assert list(labels(["Piano_Kick", "Piano_Bass"], song="Piano").values()) == ["Kick", "Bass"]
    assert title(["Me - One.bass", "Me - One.drums"]) == "Me - One" and title(["bass", "drums"]) == ""


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
