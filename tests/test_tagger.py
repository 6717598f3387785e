"""The head of the tagger: logistic regression against closed forms, calibration, its file, its metrics."""

import re
from dataclasses import replace

import numpy as np
import pytest
from made_work import make_work

from instructme.manifests import tables
from instructme.manifests.rows import Triplet
from instructme.model import tagger
from instructme.model.config import ModelError
from instructme.model.tagger import TagHead
from instructme.pipelines.evaluation import evaluate
from instructme.pipelines.evaluation.metrics import half_move, instruction_accuracy
from instructme.pipelines.training import tagger as training

RNG = np.random.default_rng(0)


def gaussians(count=400, shift=2.0):
    labels = RNG.random(count) < 0.5
    rows = RNG.standard_normal((count, 6))
    rows[:, 0] += shift * labels
    return rows, labels


def test_the_fit_is_where_the_gradient_vanishes():
    rows, labels = gaussians()
    weights, bias = tagger.fit(rows, labels, penalty=0.0)
    residual = 1 / (1 + np.exp(-(rows @ weights + bias))) - labels
    np.testing.assert_allclose(rows.T @ residual, 0, atol=1e-4)
    assert weights[0] == pytest.approx(2.0, abs=0.5)  # of two Gaussians with unit variance it is their distance


def test_calibration_undoes_a_scale_and_a_shift():
    logits = RNG.normal(0, 3, 4000)
    labels = RNG.random(4000) < 1 / (1 + np.exp(-logits))
    scale, shift = tagger.calibrate(5 * logits + 2, labels)
    assert scale == pytest.approx(0.2, rel=0.1) and shift == pytest.approx(-0.4, abs=0.15)


def test_auc_and_f1_of_known_cases():
    logits, labels = np.array([-1.0, -0.5, 0.5, 1.0]), np.array([False, True, False, True])
    assert tagger.auc(logits, labels) == pytest.approx(0.75)
    assert tagger.f1(logits, labels) == pytest.approx(0.5)
    assert np.isnan(tagger.auc(logits, np.zeros(4, bool)))
    assert tagger.auc(np.zeros(4), labels) == 0.5


def test_a_head_survives_its_file_and_damage_is_told(tmp_path):
    head = TagHead(("bass", "drums"), RNG.standard_normal((2, 200)), np.array([0.1, -2]), np.array([0.9, 0.6]))
    head.write(tmp_path / "tagger.csv")
    again = TagHead.read(tmp_path / "tagger.csv")
    assert again.names == head.names
    np.testing.assert_allclose(again.weights, head.weights, rtol=1e-4)
    assert again.reliable().names == ("bass",)
    (tmp_path / "tagger.csv").write_text("tag,auc\nbass,x\n")
    for path in (tmp_path / "tagger.csv", tmp_path / "gone.csv"):
        with pytest.raises(ModelError, match="train tagger"):
            TagHead.read(path)


HEAD = TagHead(("bass", "drums"), np.eye(2) * 4, np.array([-2.0, -2.0]), np.array([0.9, 0.9]))
BASS, DRUMS, BOTH, NONE = (np.array([each], float) for each in ((1, 0), (0, 1), (1, 1), (0, 0)))


def test_instruction_accuracy_is_equation_8():
    assert instruction_accuracy.score(BOTH, BOTH, HEAD) == 1
    assert instruction_accuracy.score(BASS, BOTH, HEAD) == 0.5
    assert instruction_accuracy.score(BASS, DRUMS, HEAD) == 0
    assert instruction_accuracy.score(NONE, NONE, HEAD) == 1
    none = TagHead((), np.zeros((0, 2)), np.zeros(0), np.zeros(0))
    assert instruction_accuracy.score(BASS, DRUMS, none) == "no_reliable_tag"


def test_a_genre_counts_where_the_instruction_names_one():
    head = TagHead(("bass", "Jazz", "Rock"), np.eye(3) * 4, np.full(3, -2.0), np.full(3, 0.9))
    jazz, rock, faint_jazz = (np.array([each], float) for each in ((1, 1, 0), (1, 0, 1), (1, 0.2, 0.1)))
    assert instruction_accuracy.score(jazz, rock, head, ("bass",)) == 1
    assert instruction_accuracy.score(jazz, rock, head, ("Rock",)) == 0.5
    assert instruction_accuracy.score(faint_jazz, jazz, head, ("Jazz",)) == 1  # the likeliest genre, however likely
    assert instruction_accuracy.score(jazz, rock, head, ("Swing",)) == 1  # the tagger does not know it
    assert half_move.score(rock, rock, jazz, head, ("Rock",)) == 1 and half_move.score(jazz, rock, jazz, head, ("Rock",)) == 0


def test_half_a_move_is_enough():
    assert half_move.score((BASS + BOTH) / 2, BASS, BOTH, HEAD, ("drums",)) == 1
    assert half_move.score(0.4 * BASS + 0.6 * BOTH, BASS, BOTH, HEAD, ("drums",)) == 0
    assert half_move.score(BOTH, DRUMS, BASS, HEAD, ("bass", "drums")) == 0.5
    assert half_move.score(BOTH, BOTH, BOTH, HEAD, ("drums",)) == "target_does_not_move"
    assert half_move.score(BOTH, BASS, BOTH, HEAD, ()) == "no_instrument_named"
    assert half_move.score(BOTH, BASS, BOTH, HEAD, ("harp",)) == "unknown_instrument"


def made(count, seed):
    rng = np.random.default_rng(seed)
    rows, labels = rng.standard_normal((count, 8)), []
    for row in rows:
        has = rng.random(3) < 0.5
        row[:3] += 4 * has
        labels.append(frozenset(name for name, each in zip(("bass", "drums", "piano"), has, strict=True) if each))
    return training.Examples(rows, labels)


def test_training_finds_the_tags_and_measures_them_on_other_songs(tmp_path):
    head, report = training.train(made(200, 0), made(80, 1), {"test": made(80, 2)})
    assert head.names == ("bass", "drums", "piano") and head.auc.min() > 0.97
    assert all(each["f1"] > 0.9 and each["sounds"] == 80 for each in report["test"].values())
    training.save(tmp_path / "run", head, report, {"data": "toy"})
    assert TagHead.read(tmp_path / "run/tagger.csv").names == head.names


def of_genre(count, seed):
    """Give half of the sounds a genre that two of the numbers tell, and leave the genre of the others unknown."""
    families, rng = made(count, seed), np.random.default_rng(seed + 100)
    labels = []
    for row, has in zip(families.embeddings, families.labels, strict=True):
        genre, known = ("Jazz", "Rock")[int(rng.random() < 0.5)], rng.random() < 0.5
        row[3 if genre == "Jazz" else 4] += 4
        labels.append(has | {genre} if known else has)
    return training.Examples(families.embeddings, labels)


def test_a_sound_of_unknown_genre_is_no_evidence_against_one():
    head, report = training.train(of_genre(200, 0), of_genre(120, 1), {"test": of_genre(120, 2)})
    assert head.names == ("bass", "drums", "piano", "Jazz", "Rock") and head.auc.min() > 0.97
    test = report["test"]
    assert test["bass"]["sounds"] == 120 and 40 < test["Jazz"]["sounds"] == test["Rock"]["sounds"] < 80
    assert test["Jazz"]["positive"] + test["Rock"]["positive"] == test["Jazz"]["sounds"]
    alone, _ = training.train(made(200, 0), made(120, 1), {})
    assert alone.names == ("bass", "drums", "piano")


def test_the_genre_of_a_remix_is_that_of_its_target(tmp_path):
    work = make_work(tmp_path)
    rows = [
        replace(row, genre="Jazz" if row.task == "remix" else None)
        for row in tables.read_rows(work / "triplets.parquet", Triplet)
    ]
    tables.write(work / "triplets.parquet", rows, Triplet, seed=0, parents=[work / "parts.parquet"])
    found = training.examples(work, "train", lambda samples, rate_hz: np.zeros((1, 4)), workers=0)
    sources, targets = found.labels[::2], found.labels[1::2]
    assert not any("Jazz" in labels for labels in sources)
    remixes = sum(row.task == "remix" and row.split == "train" for row in rows)
    assert sum("Jazz" in labels for labels in targets) == remixes > 0
    assert all(labels == {"Jazz", "drums", "piano"} for labels in targets if "Jazz" in labels)


def test_pianos_have_a_tag_of_their_own():
    assert training.tags(["electric piano", "organ", "drums"]) == {"piano", "keys", "drums"}


def test_the_package_has_a_tagger_that_knows_what_its_card_says():
    head = evaluate.read_tagger(None)
    card = evaluate.DEFAULT_TAGGER.with_suffix(".md").read_text()
    told = re.findall(r"^\| ([\w& ]+)(, not used)? \| [01]\.\d\d \|", card, re.MULTILINE)
    assert {name for name, unused in told if not unused} == set(head.names) >= {"drums", "bass", "guitar", "piano"}
    assert {name for name, unused in told if unused} == {"woodwind", "Pop", "Rock"}
    assert head.weights.shape == (len(head.names), 200) and np.isfinite(head.weights).all()
    assert head.auc.min() >= tagger.RELIABLE_AUC


def test_the_penalty_is_that_of_the_best_order_on_the_songs_that_calibrate():
    """Few examples in many dimensions: a weak penalty learns them by heart."""

    def made(count, seed):
        rng = np.random.default_rng(seed)
        rows, has = rng.standard_normal((count, 150)), rng.random(count) < 0.5
        rows[:, 0] += 1.2 * has
        return training.Examples(rows, [frozenset({"drums"}) if each else frozenset({"bass"}) for each in has])

    few, many, held = made(60, 0), made(4000, 1), made(2000, 2)
    for learned in (few, many):
        head, _ = training.train(learned, held, {})
        found = tagger.auc(held.embeddings @ head.weights[1], np.array(["drums" in each for each in held.labels]))
        every = [tagger.train_heads(learned.embeddings, learned.labels, penalty)[1][1] for penalty in tagger.PENALTIES]
        best = max(tagger.auc(held.embeddings @ each, np.array(["drums" in tags for tags in held.labels])) for each in every)
        assert found == pytest.approx(best)
