"""Artist and title are read from the names of songs."""

from pathlib import Path

import pytest
from trees import found, sound


def test_names_of_artist_and_title_in_one_word_give_both_if_there_are_several_artists(root: Path) -> None:
    for song in ("AmyWho_RedSky", "AmyWho_Rain", "BobBand_Blue", "Song_One", "My Song_02"):
        sound(root / song / "bass.wav")
    tracks = {track.name: (track.artist, track.title) for track in found("folder", root)}
    assert tracks == {
        "AmyWho_RedSky": ("AmyWho", "RedSky"),
        "AmyWho_Rain": ("AmyWho", "Rain"),
        "BobBand_Blue": ("BobBand", "Blue"),
        "Song_One": (None, "Song_One"),
        "My Song_02": (None, "My Song_02"),
    }


def test_a_copy_has_no_artist(root: Path) -> None:
    for song in ("Highway", "Highway - Copy", "Highway - Copy (2)", "Highway - Copycat"):
        sound(root / song / "bass.wav")
    assert [track.artist for track in found("folder", root)] == [None, None, None, "Highway"]


def test_one_artist_in_all_names_may_be_the_name_of_the_collection(root: Path) -> None:
    for song in ("Warehouse_Red", "Warehouse_Blue"):
        sound(root / song / "bass.wav")
    assert [track.artist for track in found("folder", root)] == [None, None]


@pytest.mark.parametrize(
    ("folder_name", "artist", "title"),
    [
        ("05 - The Band - Highway", "The Band", "Highway"),
        ("05 The Band - Highway", "The Band", "Highway"),
        ("05. The Band - Highway", "The Band", "Highway"),
        ("2_1_The Band - Highway", "The Band", "Highway"),
        ("50 Cent - Highway", "50 Cent", "Highway"),
        ("05 - Highway", None, "05 - Highway"),
        ("The_Band_-_Long_Highway", "The Band", "Long Highway"),
        ("05_-_The Band – Highway", "The Band", "Highway"),
        ("The Band - 1999", "The Band", "1999"),
        ("Highway - Multitrack Stems", None, "Highway - Multitrack Stems"),
        ("Highway - 120 bpm - A minor", None, "Highway - 120 bpm - A minor"),
        ("Bass - Tim", None, "Bass - Tim"),
    ],
)
def test_a_number_in_front_is_not_of_the_artist(root: Path, folder_name: str, artist: str | None, title: str) -> None:
    for stem in ("bass", "drums"):
        sound(root / folder_name / f"{stem}.wav")
    (song,) = found("folder", root)
    assert (song.artist, song.title) == (artist, title)
