"""What is read from the names of a song's files: titles, versions, and labels without them."""

import pytest

from instructme.dataset_tools.song_names import labels, title, without, work
from instructme.manifests.instruments import normalise


@pytest.mark.parametrize(
    ("name", "own"),
    [("Highway (Live)", "highway"), ("Take 2", ""), ("v2", ""), ("Chorus", ""), ("002", "002"), ("Blue Moon", "blue moon")],
)
def test_versions_and_sections_of_a_song_are_one_work(name: str, own: str) -> None:
    assert work(name) == own


def test_what_all_names_share_is_no_instrument_unless_it_says_which() -> None:
    assert list(labels(["Piano Man Vocals", "Piano Man Drums", "Piano Man Bass"]).values()) == ["Vocals", "Drums", "Bass"]
    for names in (["Kick In", "Kick Out"], ["Synth Bass", "Synth Lead", "Synth Pad"], ["Guitar Lead", "Guitar Rhythm"]):
        assert list(labels(names).values()) == names
    assert list(labels(["Piano_Kick", "Piano_Bass"], song="Piano").values()) == ["Kick", "Bass"]
    assert title(["Me - One.bass", "Me - One.drums"]) == "Me - One" and title(["bass", "drums"]) == ""
    for names in (
        ["Bass - Piano Man", "Drums - Piano Man", "Vocals - Piano Man"],
        ["Bass (Piano)", "Drums (Piano)", "Vocals (Piano)"],
    ):
        assert list(labels(names).values()) == ["Bass", "Drums", "Vocals"]
    assert list(labels(["Bass_Backing_Track)", "Piano_Backing_Track"]).values()) == ["Bass", "Piano"]
    assert list(labels(["Electric_Bass_Highway", "Piano_Highway"]).values()) == ["Electric_Bass", "Piano"]
    assert list(labels(["Bass_Guitar", "Lead_Guitar"]).values()) == ["Bass_Guitar", "Lead_Guitar"]
    assert list(labels(["BD_Keys", "BD_Hats", "BD_Heal it"]).values()) == ["Keys", "Hats", "Heal it"]
    assert list(labels(["E-Bass", "E-Gtr"]).values()) == ["E-Bass", "E-Gtr"]
    assert list(labels(["Aud 1 - Bass"]).values()) == ["Aud 1 - Bass"] and labels([]) == {}


@pytest.mark.parametrize(
    ("names", "song"),
    [
        (["Highway_bass", "highway_drums"], "Highway"),
        (["01_Highway_bass", "02_Highway_drums"], "Highway"),
        (["7_Rings_bass", "7_Rings_drums"], "7_Rings"),
        (["01_bass", "02_drums"], ""),
        ([], ""),
    ],
)
def test_a_title_has_no_number_of_a_file(names: list[str], song: str) -> None:
    assert title(names) == song


@pytest.mark.parametrize(
    ("name", "instrument", "song"),
    [
        ("Alpha_bass", "Bass", "Alpha"),
        ("Bass - Alpha", "bass", "Alpha"),
        ("Alpha_electric_bass", "bass", "Alpha"),
        ("Alpha", "bass", "Alpha"),
        ("Alpha_drums", "bass", "Alpha_drums"),
    ],
)
def test_an_instrument_is_cut_off_a_name(name: str, instrument: str, song: str) -> None:
    assert without(name, instrument) == song


def test_a_title_that_may_be_an_instrument_is_cut_off_behind_different_instruments() -> None:
    names = ["AuSep_1_vn_01_Jupiter", "AuSep_2_vc_01_Jupiter"]
    assert [normalise(label).instrument for label in labels(names).values()] == ["violin", "cello"]
    pads = ["Soft_Jupiter", "Loud_Jupiter"]
    assert {normalise(label).instrument for label in labels(pads).values()} == {"synthesizer"}
