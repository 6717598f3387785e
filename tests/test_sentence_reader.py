"""Sentences are read to the last word, or refused: those of training, people's own, and what no edit does."""

import csv
import json
import re
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from synthetic import write_tables

from instructme.dataset_tools.pairing import pool as pools
from instructme.dataset_tools.pairing.edits import PairOptions
from instructme.dataset_tools.tasks import task_module, task_names
from instructme.dataset_tools.triplets import Order, default_templates, draw
from instructme.manifests.genres import GENRES
from instructme.manifests.instruments import INSTRUMENTS
from instructme.pipelines.sentences import slots, typos
from instructme.pipelines.sentences.plan import EditStep
from instructme.pipelines.sentences.refusals import SentenceError
from instructme.pipelines.sentences.sentence_reader import LONGEST, read, trained_templates, untrained

EDITABLE = [name for name, instrument in INSTRUMENTS.items() if instrument.editable]
OWN = {
    "add": ["bring the {instrument}!"],
    "remove": ["lose {instrument}"],
    "extract": ["just the {instrument} please"],
    "replace": ["{instrument_a} becomes {instrument_b}"],
    "remix": ["band: {instruments}", "{genre} it"],
}


SENTENCES = list(csv.DictReader((Path(__file__).parent / "data/sentences.csv").open(encoding="utf-8")))


def step(sentence, templates=None):
    """Read a sentence of one step."""
    (only,) = read(sentence, templates).steps
    return only


def described(sentence):
    """Read a sentence as `edit --plan` prints it."""
    try:
        return [each.as_json() for each in read(sentence).steps]
    except SentenceError:
        return "refused"


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
        task, named, added = row["task"], sorted(row["named"]), sorted(row["added"])
        found = step(row["instruction"], templates)
        assert found.task == task and found.genre == row["genre"] and found.gain_db == row["gain_db"], row["instruction"]
        assert sorted(found.instruments) == (added if task in ("add", "remix") else named)
        assert sorted(found.with_instruments) == (added if task == "replace" else [])
        assert sorted(found.added) == added and sorted(found.named) == ([] if task == "remix" else named)
        assert found.text(templates) == row["instruction"]


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
    found = step(data.draw(st.sampled_from([text, text.upper(), f"  {text.replace(' ', '  ')}\n"])))
    assert found.task == task and found.genre == (genre if "genre" in names else None)
    assert list(found.instruments) == (some if "instruments" in names else [] if "genre" in names else two[:1])
    assert list(found.with_instruments) == (two[1:] if task == "replace" else [])


@pytest.mark.parametrize("task", task_names())
def test_every_phrase_is_put_into_the_words_of_training(task):
    module = task_module(task)
    for phrase in module.PHRASES:
        values = {"instrument": "viola", "instrument_a": "viola", "instrument_b": "the sax", "instruments": "viola and a sax"}
        found = step(f"Please {phrase.format(**values, genre='a waltz', gain=4)}.")
        assert found.task == task, phrase
        assert found.genre == "Waltz" or "viola" in found.instruments
        if not (found.genre and found.instruments):
            templates = [re.sub(r"\\{\w+\\}", ".+", re.escape(text)) for text in module.TEMPLATES]
            assert any(re.fullmatch(pattern, found.text()) for pattern in templates), phrase
        assert described(found.text()) == [found.as_json()], phrase


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ("add distorted electric guitar", "add distorted electric guitar"),
        ("Replace flute with accordion", "Replace flute with accordion"),
        ("remix to R&B genre", "remix to R&B genre"),
        ("Remix with Jazz", "Remix with Jazz"),
        ("remix with heavy metal", "remix to Metal genre"),
        ("remix with drum and bass", "remix with drums, bass"),
        ("remix to drum and bass genre", "remix to Electronic genre"),
        ("remove everything but the vocals", "extract vocals"),
        ("could you take the drum kit out of the mix please", "remove drums"),
        ("turn the song into a waltz", "remix to Waltz genre"),
        ("turn the guitar into a piano", "replace guitar with piano"),
        ("add BASS GUITAR", "add electric bass"),
        ("boost the bass a bit", "turn bass up by 3 dB"),
        ("make the drums quieter", "make the drums quieter"),
        ("bass 6 dB softer", "make the bass quieter"),
        ("mute the bassline in this rap track", "remove bass"),
        ("remix with a bass in the style of Funk", "remix with bass in the style of Funk"),
        ("make this jazz", "remix to Jazz genre"),
        ("I'd like the vocals gone, please", "remove vocals"),
        ("keep the music but remove the vocals", "remove vocals"),
        ("keep the piano and the bass, lose the rest", "extract piano, bass"),
        ("a bit more bass please", "turn bass up by 3 dB"),
        ("the vocals are too loud", "make the vocals quieter"),
        ("the bass is too quiet", "make the bass louder"),
        ("halve the volume of the strings", "make the strings quieter"),
    ],
)
def test_sentences_are_put_into_the_words_of_training(sentence, text):
    assert step(sentence).text() == text and not read(sentence).notes


def test_a_run_s_own_templates_are_its_words():
    assert step("lose the viola", OWN).text(OWN) == "lose viola"
    assert step("remove the viola", OWN).text(OWN) == "lose viola"


@pytest.mark.parametrize("row", SENTENCES, ids=[row["sentence"] for row in SENTENCES])
def test_collected_sentences_are_read_as_meant(row):
    assert described(row["sentence"]) == (row["plan"] if row["plan"] == "refused" else json.loads(row["plan"]))


@pytest.mark.parametrize(
    ("sentence", "word"),
    [
        ("add bazoon", '"bazoon" is not known'),
        ("replace drums with qqq", '"qqq" is not known'),
        ("frobnicate", '"frobnicate" is not known'),
        ("add reverb to the drums", "effects"),
        ("make it slower", "tempo"),
        ("add a click and a mix", '"click" is not known'),
        ("drums and bass sequence only", '"sequence" is not known'),
        ("remove kick", "drums, which are edited as a whole"),
        ("remove drums add piano", '"add" after "remove drums" fits nothing'),
        ("remove no drums", '"remove" fits nothing'),
        ("don't remove the drums", "what not to do"),
        ("what is this?", "a question"),
        ("add the second guitar", '"second"'),
        ("turn piano up by 90 dB", "up to 24 dB"),
        ("remove drums from 0:20 to 0:10", "no time span"),
        ("remove drums and add piano until 0:10", "give each step its own time"),
        ("remove the drums for 5 seconds", '"for"'),
        ("mute vocals for the last 10 seconds", "times count from the start"),
        ("bring in a flute at 1:00", 'such as "after 0:30"'),
        ("the drums are not too loud", "what not to do"),
        ("extract the drums and then the bass", 'no bass is left after "extract drums"'),
        ("remove strings, then make the violin louder", "no violin is left"),
        ("extract vocals, karaoke", 'leaves nothing after "extract vocals"'),
        ("make it rock and jazz", 'undoes "remix to Rock genre"'),
        ("add " + "x" * 400, "is not known"),
        ("replace the piano with the piano", "fit no edit"),
    ],
)
def test_a_refusal_names_the_word_and_a_sentence_that_works(sentence, word):
    with pytest.raises(SentenceError) as error:
        read(sentence)
    line = str(error.value)
    assert word in line and "\n" not in line and len(line) < 300
    assert read(line.rpartition('nearest that works: "')[2].rstrip('"')).steps


def test_a_refusal_offers_what_an_editor_can_make():
    with pytest.raises(SentenceError, match='works: "add piano"') as error:
        read("ad a little piano")
    assert str(error.value.offering(lambda text: text.startswith("extract"))).endswith('nearest that works: "extract piano"')
    assert "nearest" not in str(error.value.offering(lambda text: False))


@pytest.mark.parametrize(
    ("sentence", "read_as"),
    [("remvoe drums", "remove"), ("remove the drusm", "drums"), ("add a saxofone", None), ("remix to Jaz genre", None)],
)
def test_misspelt_words_are_read_and_said(sentence, read_as):
    if read_as is None:
        assert described(sentence) == "refused" or not read(sentence).notes
    else:
        assert read_as in read(sentence).notes[0]


@pytest.mark.parametrize("text", ["", " \n\t", "add " * 2500])
def test_empty_and_endless_sentences_are_refused(text):
    with pytest.raises(SentenceError, match="write for example") as error:
        read(text)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


@given(st.text(max_size=LONGEST) | st.from_regex(r"(replace|remix|add|turn) [a-z&,+ {}().*\\@]{0,80}( with| into)? ?[a-z]*"))
def test_any_words_are_read_or_refused_on_one_line(text):
    try:
        assert read(text).steps
    except SentenceError as error:
        assert "\n" not in str(error)


GOOD = [row["sentence"] for row in SENTENCES if row["plan"] != "refused"]
NOUNS = [
    "table",
    "window",
    "quickly",
    "green",
    "seven",
    "loudest",
    "maybe",
    "very",
    "really",
    "twice",
    "mountain",
    "cheese",
    "heavily",
    "backwards",
    "gently",
    "3rd",
    "x2",
    "never",
]


@given(st.sampled_from(GOOD), st.sampled_from(NOUNS) | st.from_regex(r"[a-z]{3,9}", fullmatch=True), st.data())
def test_a_word_more_never_gives_another_plan_in_silence(sentence, word, data):
    assume(not slots.instrument(word) and not slots.genre(word))
    words = sentence.split()
    place = data.draw(st.integers(0, len(words)))
    try:
        plan = read(" ".join([*words[:place], word, *words[place:]]))
    except SentenceError:
        return
    assert plan.notes or list(plan.steps) == list(read(sentence).steps)


def test_what_a_run_was_not_trained_on_is_told():
    data = {"tasks": ["add", "replace"], "instruments": ["violin", "drums"], "genres": ["Rock"]}
    assert not list(untrained(step("add drums"), data))
    assert not list(untrained(step("add viola"), {}))
    assert list(untrained(step("replace drums with viola"), data)) == ["the run was not trained on viola: nearest are violin"]
    said = list(untrained(step("remix to Folk genre"), data))
    assert said[0].startswith("the run was not trained on the task remix") and said[1].endswith("Folk: nearest are Rock")


def test_an_instruction_that_names_nothing_is_read_by_the_words_of_training() -> None:
    found = step("remove number 2", {"remove": ["remove number 2"]})
    assert (found.task, found.text()) == ("remove", "remove number 2")


def test_a_step_of_several_instruments_is_made_one_by_one() -> None:
    def texts(*parts, halves=False, **values):
        return [each.text for each in EditStep(*parts, **values).instructions(halves=halves)]

    assert texts("remove", ("bass", "drums")) == ["remove bass", "remove drums"]
    assert texts("replace", ("bass", "drums"), ("tuba",)) == ["replace bass with tuba", "remove drums"]
    assert texts("replace", ("bass",), ("tuba", "bells")) == ["replace bass with tuba", "add bells"]
    assert texts("replace", ("bass", "drums"), ("tuba",), halves=True) == ["remove bass", "remove drums", "add tuba"]
    assert texts("extract", ("bass", "drums")) == ["extract bass, drums"]
    assert texts("rebalance", ("bass", "drums"), gain_db=-3) == ["turn bass down by 3 dB", "turn drums down by 3 dB"]


def test_texts_of_a_run_are_read_from_its_folder(tmp_path: Path) -> None:
    assert trained_templates(tmp_path) is None
    (tmp_path / "config.json").write_text('{"data": {"templates": {"add": ["give {instrument}"]}}}')
    assert step("give the viola", trained_templates(tmp_path)).task == "add"
    (tmp_path / "config.json").write_text('{"data": {"templates": ["add"]}}')
    assert trained_templates(tmp_path) is None


@pytest.mark.parametrize(
    ("word", "right"),
    [("remvoe", "remove"), ("giutar", "guitar"), ("mut", None), ("bazz", "razz"), ("exrtact", "extract"), ("drusm", "drums")],
)
def test_typos_are_corrected_where_one_word_is_near(word, right):
    assert typos.correct(word, ["remove", "guitar", "mute", "extract", "bass", "razz", "drum", "drums"]) == right
