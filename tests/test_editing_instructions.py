"""Instructions are read back as what they were written from; people's own words, and what nobody knows."""

import re
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import write_tables

from instructme.dataset_tools.pairing import pool as pools
from instructme.dataset_tools.pairing.edits import PairOptions
from instructme.dataset_tools.tasks import task_module, task_names
from instructme.dataset_tools.triplets import Order, default_templates, draw
from instructme.manifests.genres import GENRES
from instructme.manifests.instruments import INSTRUMENTS
from instructme.manifests.rows import DataError
from instructme.pipelines.editing.sentences import LONGEST, parse, untrained

EDITABLE = [name for name, instrument in INSTRUMENTS.items() if instrument.editable]
OWN = {
    "add": ["bring the {instrument}!"],
    "remove": ["lose {instrument}"],
    "extract": ["just the {instrument} please"],
    "replace": ["{instrument_a} becomes {instrument_b}"],
    "remix": ["band: {instruments}", "{genre} it"],
}


def fields(told):
    return told.task, list(told.named), list(told.added), told.genre


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    write_tables(folder, 100, 5)
    return pools.load(folder)


@pytest.mark.parametrize("templates", [None, OWN], ids=["paper", "own"])
def test_every_drawn_recipe_is_read_back(pool, templates):
    words = templates or default_templates()
    order = Order("train", dict.fromkeys(words, 200))
    table, _ = draw(pool, [order], options=PairOptions(), templates=words, seed=1)
    rows = table.to_pylist()
    assert {row["task"] for row in rows} == set(words) and any(row["genre"] for row in rows)
    for row in rows:
        told = parse(row["instruction"], templates)
        named = [] if row["task"] == "remix" else sorted(row["named"])
        assert fields(told) == (row["task"], named, sorted(row["added"]), row["genre"]), row["instruction"]
        assert told.text == row["instruction"] and told.gain_db == row["gain_db"] and not told.warnings


@given(st.sampled_from(task_names()), st.data())
def test_every_name_of_the_vocabulary_fits_every_template(task, data):
    template = data.draw(st.sampled_from(default_templates()[task]))
    names = {field for _, field, _, _ in Formatter().parse(template) if field}
    two = data.draw(st.lists(st.sampled_from(EDITABLE), min_size=2, max_size=2, unique=True))
    some = data.draw(st.lists(st.sampled_from(EDITABLE), min_size=2, max_size=5, unique=True))
    genre = data.draw(st.sampled_from(GENRES))
    values = {
        "instrument": two[0],
        "instrument_a": two[0],
        "instrument_b": two[1],
        "instruments": ", ".join(some),
        "genre": genre,
        "gain": data.draw(st.integers(1, 24)),
    }
    text = template.format(**values)
    told = parse(data.draw(st.sampled_from([text, text.upper(), f"  {text.replace(' ', '  ')}\n"])))
    assert told.task == task and not told.warnings
    assert told.genre == (genre if "genre" in names else None)
    assert list(told.named) == ([two[0]] if task in ("remove", "extract", "replace", "rebalance") else [])
    brought = {"add": two[:1], "replace": two[1:], "remix": sorted(some) if "instruments" in names else []}
    assert list(told.added) == brought.get(task, [])


@pytest.mark.parametrize("task", task_names())
def test_every_synonym_is_put_into_the_words_of_training(task):
    for phrase in task_module(task).PHRASES:
        values = {"instrument": "viola", "instrument_a": "viola", "instrument_b": "the sax", "instruments": "viola and a sax"}
        told = parse(f"Please {phrase.format(**values, genre='a waltz', gain=4)}.")
        assert told.task == task, phrase
        assert any(re.fullmatch(re.sub(r"\\{\w+\\}", ".+", re.escape(text)), told.text) for text in task_module(task).TEMPLATES)
        assert not told.warnings
        assert told.genre or "viola" in told.named + told.added


@pytest.mark.parametrize(
    ("text", "read", "task", "named", "added", "genre"),
    [
        ("add distorted electric guitar", None, "add", [], ["distorted electric guitar"], None),
        ("Replace flute with accordion", None, "replace", ["flute"], ["accordion"], None),
        ("remix to R&B genre", None, "remix", [], [], "R&B"),
        ("Remix with Jazz", None, "remix", [], [], "Jazz"),
        ("remix with metal", None, "remix", [], [], "Metal"),
        ("remix with drum and bass", "remix with drums, bass", "remix", [], ["bass", "drums"], None),
        ("remix to drum and bass genre", "remix to Electronic genre", "remix", [], [], "Electronic"),
        ("remove everything but the vocals", "extract vocals", "extract", ["vocals"], [], None),
        ("could you take the drum kit out of the mix please", "remove drums", "remove", ["drums"], [], None),
        ("turn the song into a waltz", "remix to Waltz genre", "remix", [], [], "Waltz"),
        ("turn the guitar into a piano", "replace guitar with piano", "replace", ["guitar"], ["piano"], None),
        ("add BASS GUITAR", "add electric bass", "add", [], ["electric bass"], None),
    ],
)
def test_what_people_write(text, read, task, named, added, genre):
    told = parse(text)
    assert fields(told) == (task, named, added, genre)
    assert told.text == (read or text) and not told.warnings


@pytest.mark.parametrize(
    ("text", "task", "said"),
    [
        ("remvoe drums", None, "nearest known words are remove"),
        ("happier!", None, "nearest known words are add, remove, extract, replace, remix"),
        ("add bazoon", "add", "nearest are bassoon"),
        ("replace drums with qqq", "replace", 'no instrument is known as "qqq"'),
        ("remix to Jaz genre", "remix", "nearest are Jazz"),
        ("add drums and bass", "add", "one instrument at a time"),
        ("remove drums add piano", "remove", 'no instrument is known as "drums add piano"'),
        ("remove no drums", "remove", 'no instrument is known as "no drums"'),
        ("extract everything without drums", "extract", "no instrument"),
        ("add " + "x" * 400, "add", "no instrument"),
    ],
)
def test_what_is_not_understood_is_told_on_one_line(text, task, said):
    told = parse(text)
    assert told.task == task and told.text == text
    assert len(told.warnings) == 1 and said in told.warnings[0]
    assert "\n" not in told.warnings[0] and len(told.warnings[0]) < 300


@pytest.mark.parametrize("text", ["", " \n\t", "add " * 2500])
def test_empty_and_endless_instructions_are_refused(text):
    with pytest.raises(DataError, match="write for example") as error:
        parse(text)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


@given(st.text(max_size=LONGEST) | st.from_regex(r"(replace|remix|add|turn) [a-z&,+ {}().*\\]{0,80}( with| into)? ?[a-z]*"))
def test_any_words_are_read_or_refused(text):
    try:
        told = parse(text)
    except DataError:
        assert not text.strip()
        return
    assert told.text and (told.task in task_names() or told.warnings)


def test_what_a_run_was_not_trained_on_is_told():
    data = {"tasks": ["add", "replace"], "instruments": ["violin", "drums"], "genres": ["Rock"]}
    assert not list(untrained(parse("add drums"), data))
    assert not list(untrained(parse("add viola"), {}))
    assert list(untrained(parse("replace drums with viola"), data)) == ["the run was not trained on viola: nearest are violin"]
    said = list(untrained(parse("remix to Folk genre"), data))
    assert said[0].startswith("the run was not trained on the task remix") and said[1].endswith("Folk: nearest are Rock")


def test_an_instruction_that_names_nothing_is_read_by_the_words_of_training() -> None:
    told = parse("remove number 2", {"remove": ["remove number 2"]})
    assert (told.task, told.text, told.warnings) == ("remove", "remove number 2", ())
