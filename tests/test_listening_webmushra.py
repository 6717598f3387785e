"""A study goes to webMUSHRA as a configuration, and the answers that webMUSHRA writes come back as ratings."""

import csv
from pathlib import Path

import pytest
import yaml

from instructme.manifests.rows import DataError
from instructme.pipelines.listening.opinion_scores import opinions
from instructme.pipelines.listening.results import results_of_webmushra
from instructme.pipelines.listening.webmushra import export, read_answers

POINTS = {"reference": 5, "anchor": 1, "orca": 2, "wren": 4}


@pytest.fixture
def config(study: Path, tmp_path: Path) -> dict:
    export(study, tmp_path / "out")
    return yaml.safe_load((tmp_path / "out/configs/study.yaml").read_text())


def rated(config: dict) -> list[dict]:
    return [page for pages in config["pages"] if isinstance(pages, list) for page in pages[1:]]


def test_the_configuration_holds_each_triplet_once_on_each_scale(config: dict, tmp_path: Path) -> None:
    pages = rated(config)
    assert len({page["id"] for page in pages}) == len(pages) == 6 * 3
    assert [pages[0] for pages in config["pages"] if isinstance(pages, list)] == ["random"] * 3
    for page in pages:
        assert set(page["stimuli"]) == set(POINTS) and [each["value"] for each in page["response"]] == [1, 2, 3, 4, 5]
        assert all((tmp_path / "out" / file).is_file() for file in page["stimuli"].values())
    assert config["pages"][-1]["type"] == "finish" and config["pages"][-1]["writeResults"]


def write(path: Path, header: list[str], rows: list[list]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_answers_of_an_exported_study_come_back_as_they_were_given(config: dict, tmp_path: Path) -> None:
    """As `service/write.php` of webMUSHRA writes them: blanks around the rating, a question before the page."""
    rows = [
        ["study", rater, page["id"], f" {POINTS[system] - (rater == 'b' and system == 'wren')} ", system, 1234]
        for rater in ("a", "b")
        for page in rated(config)
        for system in POINTS
    ]
    header = ["session_test_id", "participant", "trial_id", "stimuli_rating", "stimuli", "rating_time"]
    ratings, missing = read_answers(write(tmp_path / "lms.csv", header, rows))
    assert ratings.sessions == 2 and len(ratings.rows) == len(rows) and missing == 0
    found = {
        (each.system, each.scale): each.mean for each in opinions(ratings.rows) if (each.task, each.length_s) == ("all", "all")
    }
    assert found["wren", "harmony"] == 3.5 and found["orca", "quality"] == 2
    assert {each.task for each in opinions(ratings.rows)} == {"all", "remove", "remix"}


def test_answers_of_any_mushra_test_become_one_to_five(tmp_path: Path) -> None:
    header = [
        "session_test_id",
        "email",
        "session_uuid",
        "trial_id",
        "rating_stimulus",
        "rating_score",
        "rating_time",
        "rating_comment",
    ]
    rows = [
        ["mine", "", uuid, page, system, score, 99, ""]
        for uuid in ("u1", "u2", "u3")
        for page in ("song1", "song2")
        for system, score in (("reference", 100), ("C1", 50), ("anchor35", 0), ("C2", "NA"))
    ]
    path = write(tmp_path / "mushra.csv", header, rows)
    text = "\n".join(results_of_webmushra(path, tmp_path / "tables"))
    assert "3 raters came" in text and "6 clips were not judged" in text
    assert "| C1 | all | 3.00 [3.00, 3.00] | 3 | 6 |" in text and "| anchor35 | all | 1.00" in text
    assert (tmp_path / "tables/ratings.csv").read_text().count("\n") == 19


def test_without_a_question_the_same_page_again_is_another_rater(tmp_path: Path) -> None:
    header = ["session_test_id", "trial_id", "stimuli_rating", "stimuli", "rating_time"]
    rows = [["mine", "page", points, "C1", 1] for points in (3, 4)]
    assert read_answers(write(tmp_path / "lms.csv", header, rows))[0].sessions == 2


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        (["session_test_id", "trial_id", "stimuli_rating", "stimuli"], ["a", "b", "6", "c"], "line 2: stimuli_rating is '6'"),
        (["session_test_id", "trial_id", "rating_score", "rating_stimulus"], ["a", "b", "x", "c"], "line 2: rating_score is 'x'"),
        (["session_test_id", "trial_id", "choice_answer"], ["a", "b", "c"], "is no result of webMUSHRA"),
        (["session_test_id", "trial_id", "stimuli_rating", "stimuli"], ["a", "b", "NA", "c"], "no answers"),
    ],
)
def test_other_files_are_explained(tmp_path: Path, header: list[str], row: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_answers(write(tmp_path / "lms.csv", header, [row]))
