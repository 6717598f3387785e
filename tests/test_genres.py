"""Names of genres."""

import csv
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructme.manifests import genres
from instructme.manifests.genres import GENRES, normalise

DATA = Path(genres.__file__).with_name("data") / "genres.csv"


def test_vocabulary():
    assert 20 <= len(GENRES) <= 40 and len(set(GENRES)) == len(GENRES)
    assert {"Rock", "R&B", "Jazz"} <= set(GENRES)


def test_every_alias_has_one_genre():
    with DATA.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    keyed = {(genres._key(name), row["genre"]) for row in rows for name in (row["genre"], *row["aliases"].split(";")) if name}
    keys = Counter(key for key, _ in keyed)
    assert [key for key, times in keys.items() if times > 1] == []


@pytest.mark.parametrize("genre", GENRES)
def test_canonical_names_stay(genre):
    for spelt in (genre, genre.lower(), genre.upper(), genre.replace(" ", "_"), f" {genre} "):
        assert normalise(spelt) == genre


@given(st.text(max_size=60))
def test_any_text_is_read(label):
    genre = normalise(label)
    assert genre in {None, *GENRES} and (genre is None or normalise(genre) == genre)


@pytest.mark.parametrize(
    ("label", "genre"),
    [
        ("hip-hop", "Hip Hop"),
        ("HipHop", "Hip Hop"),
        ("rnb", "R&B"),
        ("R and B", "R&B"),
        ("Rhythm & Blues", "R&B"),
        ("R&B/Soul", "R&B"),
        ("rock and roll", "Rock"),
        ("Rock; Pop", "Rock"),
        ("bossa_nova", "Bossa Nova"),
        ("Norwegian folk", "Folk"),
        ("Drum & Bass", "Electronic"),
        ("other", None),
        ("", None),
    ],
)
def test_aliases(label, genre):
    assert normalise(label) == genre


def test_genres_of_medleydb(data):
    with (data / "medleydb" / "genre_counts.csv").open(encoding="utf-8", newline="") as file:
        assert all(normalise(row["genre"]) for row in csv.DictReader(file))


def test_genres_of_the_corpus_are_canonical():
    with files("instructme.dataset_tools").joinpath("corpus", "grooves.csv").open(encoding="utf-8") as file:
        assert {row["genre"] for row in csv.DictReader(file)} <= set(GENRES)
