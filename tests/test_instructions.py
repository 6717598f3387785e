"""Instructions: the paper's words, the user's templates, and what is refused."""

import re

import numpy as np
import pyarrow as pa
import pytest

from instructme.dataset_tools.pairing import instructions
from instructme.dataset_tools.triplets import default_templates
from instructme.manifests.rows import DataError

COLUMNS = {
    "instrument": pa.array(["flute", "viola", None]),
    "instruments": pa.array([None, "bass, piano", None]),
    "genre": pa.array([None, None, "R&B"]),
}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    "example",
    [
        *("add distorted electric guitar", "Add piccolo", "extract string section", "Remove clarinet"),
        *("replace guitar synth with synth pad", "remix with bass, piano, strings", "remix to R&B genre", "Remix with Jazz"),
    ],
)
def test_the_wordings_of_the_paper_are_among_the_defaults(example):
    texts = default_templates()[example.split()[0].lower()]
    patterns = [re.sub(r"\{\w+\}", "([^{}]+)", text) for text in texts]
    assert any(re.fullmatch(pattern, example) for pattern in patterns)


def test_each_row_gets_a_text_whose_fields_it_has(rng):
    texts = instructions.write(["with {instruments}", "to {genre} genre", "in {genre}"], COLUMNS, rng).to_pylist()
    assert texts[0] is None
    assert texts[1] == "with bass, piano"
    assert texts[2] in ("to R&B genre", "in R&B")


def test_templates_are_drawn_evenly(rng):
    columns = {"instrument": pa.array(["flute"] * 3000)}
    texts = instructions.write(["a {instrument}", "b {instrument}", "{instrument} c"], columns, rng).to_pylist()
    for text in ("a flute", "b flute", "flute c"):
        assert 900 < texts.count(text) < 1100


def test_braces_can_be_escaped(rng):
    assert instructions.write(["{{x}} {instrument}"], {"instrument": pa.array(["harp"])}, rng).to_pylist() == ["{x} harp"]


def test_lists_are_spoken_in_every_order_and_lose_nothing(rng):
    names = pa.array([["bass", "piano", "strings"]] * 400 + [[]])
    spoken = instructions.spoken_list(names, rng).to_pylist()
    assert spoken[-1] is None
    assert len(set(spoken[:-1])) == 6
    assert {", ".join(sorted(text.split(", "))) for text in spoken[:-1]} == {"bass, piano, strings"}


def test_user_templates_replace_those_of_their_task_only(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text('add: ["bring in the {instrument}"]\nremix: ["{instruments} only", "as {genre}"]\n')
    templates = instructions.read(path, default_templates())
    assert templates["add"] == ["bring in the {instrument}"]
    assert templates["remix"] == ["{instruments} only", "as {genre}"]
    assert templates["remove"] == default_templates()["remove"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("add: [a, {", "can't read"),
        ("", "no templates"),
        ("mix: ['{instrument}']", "unknown task 'mix'"),
        ("add: '{instrument}'", "list of texts"),
        ("add: []", "list of texts"),
        ("add: [add it]", "must have the fields {instrument}"),
        ("add: ['add {genre}']", "must have the fields {instrument}"),
        ("add: ['add {instrument} {instrument}']", "each once"),
        ("add: ['add {instrument.__class__}']", "must have the fields"),
        ("add: ['add {instrument!r}']", "must have the fields"),
        ("add: ['add {instrument']", "add {instrument"),
        ("remix: ['with {instruments}']", "also give a text with {genre}"),
    ],
)
def test_templates_that_can_not_work_are_explained(tmp_path, text, complaint):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=re.escape(complaint)) as error:
        instructions.read(path, default_templates())
    assert "\n" not in str(error.value)
