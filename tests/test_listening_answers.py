"""Clicks that come at the same time are committed together; one that fails takes no other with it."""

import secrets
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from instructme.pipelines.listening.answers import Answers, Click


@pytest.fixture
def answers(tmp_path: Path) -> Answers:
    return Answers(tmp_path / "answers.sqlite")


def click(kind: str = "play") -> Click:
    return Click(secrets.token_hex(16), 0, kind, "volume", place=0)


def together(answers: Answers, changes: list) -> list:
    """Let all changes wait for one commit; give their results or errors."""
    with ThreadPoolExecutor(len(changes)) as threads:
        with answers._writing:
            waiting = [threads.submit(change) for change in changes]
            while len(answers._queue) < len(changes):
                threading.Event().wait(0.001)
        return [each.exception() or each.result() for each in waiting]


def test_clicks_of_one_commit_are_all_on_the_disk(answers: Answers, tmp_path: Path) -> None:
    session = answers.session(answers.begin(""))
    clicks = [click() for _ in range(20)]
    commits: list[str] = []
    answers._file.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
    assert together(answers, [lambda each=each: answers.store(session, each) for each in clicks]) == [True] * 20
    assert commits == ["COMMIT"]
    stored = sqlite3.connect(tmp_path / "answers.sqlite").execute("SELECT click FROM clicks").fetchall()
    assert sorted(stored) == sorted((each.click,) for each in clicks)


def test_a_change_that_fails_takes_no_other_with_it(answers: Answers) -> None:
    session = answers.session(answers.begin(""))
    bad = Click(secrets.token_hex(16), 0, "play", "volume", item=["not a text"])  # type: ignore[arg-type]
    changes = [click(), bad, click("heard")]
    good, error, best = together(answers, [lambda each=each: answers.store(session, each) for each in changes])
    assert (good, best) == (True, True) and isinstance(error, sqlite3.Error)
    assert answers.page(session)[1] == {0}


def test_a_commit_that_fails_is_told_to_all_who_wait(answers: Answers) -> None:
    session = answers.session(answers.begin(""))
    answers._file.execute("PRAGMA query_only = ON")
    found = together(answers, [lambda: answers.store(session, click()), lambda: answers.store(session, click())])
    assert all(isinstance(each, sqlite3.OperationalError) for each in found)
    answers._file.execute("PRAGMA query_only = OFF")
    assert answers.store(session, click())
