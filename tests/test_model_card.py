"""The model card of a run: what it was trained on, its scores with intervals, its limits; nobody's own words are lost."""

import json

import pytest
import yaml

from instructme.manifests.rows import EditScore
from instructme.pipelines.evaluation import model_card
from instructme.pipelines.evaluation.score_tables import Scores

DATA = {"hash": "abc", "split": "train", "tasks": ["remove"], "instruments": ["drums", "piano"]}


def scores(better):
    rows = []
    for number in range(12):
        for system, value in (("run", 5.0 + better + 0.1 * number), ("identity", 5.0 + 0.1 * number)):
            rows.append(EditScore(str(number), "remove", "set", f"song {number}", system, "si_sdr_db", value, None))
    rows += [EditScore("x", "add", "set", "song 1", "run", name, None, "refused: can't add") for name in ("si_sdr_db", "joint")]
    return Scores(rows)


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text(json.dumps({"kind": "editor", "data": DATA}))
    return tmp_path / "run"


def test_the_card_says_data_scores_and_limits(run):
    assert "wrote the model card" in model_card.write(run, "run", scores(1.0), None)
    text = (run / "README.md").read_text()
    assert yaml.safe_load(text.split("---")[1])["pipeline_tag"] == "audio-to-audio"
    assert "Dataset `abc`, split train." in text and "- instruments: drums, piano" in text
    assert "| set: remove | `si_sdr_db` ↑ | 6.55 [" in text and "| 5.55 [" in text
    assert "- Refused edits: 1." in text and "worse than doing nothing" not in text


def test_what_is_worse_than_doing_nothing_is_a_limit(run):
    model_card.write(run, "run", scores(-1.0), None)
    assert "- set: remove: `si_sdr_db` is worse than doing nothing (▼)." in (run / "README.md").read_text()


def test_own_words_are_kept(run):
    (run / "README.md").write_text("# Mine")
    assert "was kept" in model_card.write(run, "run", scores(1.0), None)
    assert (run / "README.md").read_text() == "# Mine"
