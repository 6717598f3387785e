"""A rater's way through the listening test over HTTP: every click is a row, and nobody gets at anything else."""

import re
import secrets
import sqlite3
from pathlib import Path

import pytest
from made_study import Rater

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from instructme.manifests.rows import DataError
from instructme.pipelines.listening.ratings import read_ratings
from instructme.pipelines.listening.server import make_app
from instructme.pipelines.listening.study import read_study


def rows(study: Path, query: str) -> list[tuple]:
    file = sqlite3.connect(study / "answers.sqlite")
    found = file.execute(query).fetchall()
    file.close()
    return found


def by_place(rater: Rater, place: int) -> int:
    return 1 + (int(rater.step) + place) % min(5, 2 if rater.kind == "pair" else 5)


def test_every_answer_of_a_whole_test_is_a_row(study: Path, client: TestClient) -> None:
    rater = Rater(client)
    rater.finish(by_place)
    stored = rows(study, "SELECT step, page, place, value FROM clicks WHERE kind = 'rate' ORDER BY id")
    assert stored == rater.log
    scales = rows(
        study, "SELECT scale, COUNT(*), COUNT(DISTINCT item) FROM clicks WHERE kind='rate' AND page='rate' GROUP BY scale"
    )
    assert scales == [("harmony", 24, 6), ("quality", 24, 6), ("relevance", 24, 6)]
    assert 'data-kind="done"' in rater.text and re.search(r'id="code">[0-9A-F]{8}<', rater.text)


def test_answers_of_another_study_are_refused(study: Path, client: TestClient) -> None:
    Rater(client).finish(by_place)
    assert read_ratings(study, read_study(study)).sessions == 1
    table = study / "stimuli.csv"
    table.write_text(table.read_text().replace("orca", "gull"))
    for use in (make_app, lambda folder: read_ratings(folder, read_study(folder))):
        with pytest.raises(DataError, match="holds answers to other clips than stimuli"):
            use(study)


def test_a_reload_shows_what_was_answered(client: TestClient) -> None:
    rater = Rater(client)
    rater.page(by_place)
    rater.page(by_place)
    rater.read()
    assert rater.kind == "rate"
    rater.send("/click", kind="heard", place=0)
    rater.send("/click", kind="rate", place=0, value=4)
    step = rater.step
    rater.read()
    assert rater.step == step
    assert re.findall(r'value="(\d)" data-place="(\d)" checked', rater.text) == [("4", "0")]


def test_a_click_that_arrives_twice_is_one_row(study: Path, client: TestClient) -> None:
    rater = Rater(client)
    rater.page(by_place)
    rater.page(by_place)
    rater.read()
    click = secrets.token_hex(16)
    rater.send("/click", kind="heard", place=1)
    assert [rater.send("/click", click, kind="rate", place=1, value=2).status_code for _ in range(3)] == [200] * 3
    assert rows(study, f"SELECT COUNT(*), MAX(value) FROM clicks WHERE click = '{click}'") == [(1, 2)]


def test_next_pressed_twice_moves_one_page(client: TestClient) -> None:
    rater = Rater(client)
    rater.page(by_place)
    first = rater.step
    assert rater.send("/next").status_code == 200
    rater.read()
    assert int(rater.step) == int(first) + 1


def test_a_window_that_was_left_behind_changes_nothing(study: Path, client: TestClient) -> None:
    rater = Rater(client)
    rater.page(by_place)
    rater.page(by_place)
    rater.page(by_place)
    old = rater.step
    rater.read()
    rater.step = old
    assert rater.send("/click", kind="rate", place=0, value=5).status_code == 409
    assert rows(study, "SELECT late, value FROM clicks ORDER BY id DESC LIMIT 1") == [(1, 5)]


def test_a_page_goes_on_only_when_all_clips_are_judged(client: TestClient) -> None:
    rater = Rater(client)
    rater.page(by_place)
    rater.page(by_place)
    rater.read()
    assert rater.send("/next").status_code == 422
    assert rater.send("/click", kind="rate", place=0, value=3).status_code == 422, "not heard yet"


def test_the_same_participant_goes_on_where_they_were(study: Path, client: TestClient) -> None:
    first = Rater(client, "5f3a'; DROP TABLE clicks; --")
    first.page(by_place)
    again = Rater(client, "5f3a'; DROP TABLE clicks; --")
    assert again.link == first.link
    again.read()
    assert again.step == "1"
    assert "5f3a" not in (study / "answers.sqlite").read_bytes().decode("latin-1")
    assert "5f3a" not in str(rows(study, "SELECT * FROM sessions"))
