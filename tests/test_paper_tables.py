"""The tables in the paper's shape: every number of the paper, every system and control, and means that name their tasks."""

import numpy as np
import pytest

from instructme.manifests.rows import EditScore, SetScore
from instructme.pipelines.evaluation.paper_tables import ATOMIC, COLUMNS, markdown_of_paper, published
from instructme.pipelines.evaluation.score_tables import Scores


def scores(*tasks):
    rows, sets = [], []
    for place, task in enumerate(tasks):
        for system in ("ours", "identity"):
            sets.append(SetScore(task, "slakh", system, "fad_musicnn", 1.5, None, 3, 12, None, None))
            for metric in COLUMNS.values():
                rows += [EditScore(f"{task}{key}", task, "slakh", key, system, metric, 0.1 * place, None) for key in "abc"]
    return Scores(rows), sets


def test_the_means_of_the_paper_are_those_of_its_rows():
    numbers = published()
    for dataset in ("in-house", "Slakh"):
        for model in ("AUDIT", "InstructME"):
            rows = {row["task"]: row for row in numbers if (row["table"], row["dataset"], row["model"]) == ("1", dataset, model)}
            assert set(rows) == {*ATOMIC, "mean"}
            for column in ("FAD", "IA", "CRA", "PCH", "IOI"):
                mean = np.mean([float(rows[task][column]) for task in ATOMIC])
                assert mean == pytest.approx(float(rows["mean"][column]), abs=0.011)


def test_systems_controls_and_the_paper_stand_in_one_table():
    text = "\n".join(markdown_of_paper(*scores("remove", "add", "remix")))
    assert "| slakh | **ours** | remove | 1.50 | 0.00 | 0.00 | 0.00 | 0.00 |" in text
    assert "| slakh | **ours** | mean of remove, add | 1.50 | 0.05 |" in text
    assert "| slakh | identity | remix | 1.50 | 0.20 |" in text
    assert "| *Slakh* | *InstructME* | *mean* | *3.50* | *0.79* | *0.67* | *0.72* | *0.69* |" in text
    assert text.count("### Table") == 3 and "*without MSA*" in text


def test_a_mean_over_a_missing_value_is_not_stated():
    held, sets = scores("remove", "add")
    text = "\n".join(markdown_of_paper(held, [row for row in sets if row.task == "add"]))
    assert "| slakh | **ours** | mean of remove, add | – | 0.05 |" in text


def test_nothing_is_written_without_tasks_of_the_paper():
    assert list(markdown_of_paper(*scores("rebalance"))) == []
