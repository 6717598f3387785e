"""Studio file names: the word tables, and how names are cut into words."""

from collections import Counter

import pytest

from instructme.manifests import word_tables
from instructme.manifests.free_names import best_name


def test_every_spelling_has_one_meaning():
    spellings = Counter(spelt for row in word_tables.rows("words.csv") for spelt in row["spellings"].split())
    assert [spelt for spelt, times in spellings.items() if times > 1] == []


def test_every_qualifier_is_given_once_and_names_nothing():
    words = [word for row in word_tables.rows("qualifiers.csv") for word in row["words"].split()]
    assert words and len(set(words)) == len(words) and not set(words) & set(word_tables.WORDS)


def test_every_name_is_given_once_and_can_be_reached():
    names = [frozenset(name.split()) for row in word_tables.rows("names.csv") for name in row["names"].split(";")]
    assert [sorted(name) for name, times in Counter(names).items() if times > 1] == []
    reachable = {word for meaning in word_tables.WORDS.values() for word in meaning}
    assert {word for name in names for word in name} <= reachable


@pytest.mark.parametrize(
    ("label", "instrument"),
    [
        ("EGtr", "electric guitar"),
        ("E Gtr", "electric guitar"),
        ("e-gtr_02.wav", "electric guitar"),
        ("gtrs", "guitar"),
        ("bassguitarleft", "electric bass"),
        ("OHL", "drums"),
        ("O/H R", "drums"),
        ("B.V. 2", "backing vocals"),
        ("Hi-Hat", "drums"),
        ("TVox M F T", "vocals"),
        ("Cajón", "cajon"),
        ("12 String Gtr", "guitar"),
    ],
)
def test_words(label, instrument):
    found = best_name(label)
    assert found is not None and found.instrument == instrument


@pytest.mark.parametrize(
    ("label", "instrument"),
    [("Clrnt", "clarinet"), ("Xylopho", "xylophone"), ("Accoustik Gutar", "acoustic guitar"), ("elctricgtr", "electric guitar")],
)
def test_guesses_are_not_certain(label, instrument):
    assert best_name(label) == (instrument, False)


def test_a_guessed_word_never_overrules_a_certain_one():
    assert best_name("Morgan Bass") == ("bass", True)
    assert best_name("Organic Vocals") == ("vocals", True)


@pytest.mark.parametrize("label", ["", "...", "Track 07", "Qwerty", "東京", "\udcff", "12"])
def test_nothing_is_found_in_nothing(label):
    assert best_name(label) is None
