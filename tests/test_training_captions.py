"""Check captions: each drawn one is true of its mix, truth between mixes, and users' tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructme.manifests.rows import DataError
from instructme.pipelines.training import captions
from instructme.pipelines.training.captions import FALSE, TRUE, UNKNOWN, Caption, Mix, spoken

NAMES = ("bass", "drums", "piano", "violin")
mixes = st.builds(
    Mix,
    st.frozensets(st.sampled_from(NAMES)),
    st.sampled_from([None, "Jazz", "Rock"]),
    st.sampled_from([(), ("a happy music",), ("sad", "slow and sad")]),
)


@given(mixes, mixes, st.integers(0, 2**31))
def test_a_drawn_caption_is_true_and_says_what_it_claims(mix, other, seed):
    caption = captions.draw(mix, np.random.default_rng(seed))
    assert caption.truth(mix) == TRUE
    assert caption == captions.draw(mix, np.random.default_rng(seed))
    if caption.own:
        assert caption.text in mix.captions
        return
    assert all((name in caption.text) == (name in caption.instruments) for name in NAMES)
    assert all((genre in caption.text) == (genre == caption.genre) for genre in ("Jazz", "Rock"))
    if caption.truth(other) == TRUE:
        assert caption.instruments <= other.instruments and caption.genre in (None, other.genre)
    if caption.complete and other.instruments != mix.instruments:
        assert caption.truth(other) == FALSE


def test_all_kinds_are_drawn():
    mix = Mix(frozenset({"bass", "drums"}), "Jazz", ("a happy music",))
    drawn = [captions.draw(mix, np.random.default_rng(seed)) for seed in range(300)]
    texts = {caption.text for caption in drawn}
    assert {"a happy music", "Jazz music", "music with bass", "a mix of bass and drums"} <= texts
    assert 120 < sum(caption.own for caption in drawn) < 180


@pytest.mark.parametrize(
    ("caption", "mix", "wanted"),
    [
        (Caption("music with bass", frozenset({"bass"})), Mix(frozenset({"bass", "drums"})), TRUE),
        (Caption("only bass", frozenset({"bass"}), complete=True), Mix(frozenset({"bass", "drums"})), FALSE),
        (Caption("Jazz music", genre="Jazz"), Mix(frozenset({"bass"})), UNKNOWN),
        (Caption("Jazz music", genre="Jazz"), Mix(frozenset({"bass"}), "Rock"), FALSE),
        (Caption("Jazz music with piano", frozenset({"piano"}), genre="Jazz"), Mix(frozenset({"bass"})), FALSE),
        (Caption("sad", own=True), Mix(frozenset(), captions=("happy",)), FALSE),
        (Caption("sad", own=True), Mix(frozenset()), UNKNOWN),
    ],
)
def test_truth(caption, mix, wanted):
    assert caption.truth(mix) == wanted
    assert captions.truth([mix], [caption]).tolist() == [[wanted]]


def test_sides_of_a_recipe():
    recipe = {"source_instruments": ["bass", "other"], "target_instruments": ["piano"], "genre": "Jazz"}
    recipe |= {"source_track": "a", "target_track": "b"}
    source, target = captions.sides(recipe, {"b": ("a happy music",)})
    assert source == Mix(frozenset({"bass"}))
    assert target == Mix(frozenset({"piano"}), "Jazz", ("a happy music",))
    assert captions.describe(source).text == "a mix of bass"


def test_names_are_joined_as_one_says_them():
    assert [spoken(NAMES[:count]) for count in range(4)] == ["", "bass", "bass and drums", "bass, drums and piano"]


def test_a_table_of_captions(tmp_path):
    path = tmp_path / "captions.csv"
    path.write_text('\ufefftrack_id,caption\na,"happy, fast"\na,loud\nb,sad\n', encoding="utf-8")
    assert captions.read(path) == {"a": ("happy, fast", "loud"), "b": ("sad",)}


@pytest.mark.parametrize(
    "text", [None, "", "a,happy\n", "track_id,caption\n", "track_id,caption\na,\n", "track_id,caption\n,x\n"]
)
def test_other_tables_are_refused_in_one_line(tmp_path, text):
    path = tmp_path / "captions.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match="track_id,caption") as error:
        captions.read(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_a_comma_without_quotes_cuts_no_caption(tmp_path):
    path = tmp_path / "captions.csv"
    path.write_text("track_id,caption\na,happy\nb,sad, slow\n")
    with pytest.raises(DataError, match="line 3 has more cells than the header: write quotes around"):
        captions.read(path)
