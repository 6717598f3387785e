"""The server of a listening test gives away nothing, and takes nothing that does not belong to the session."""

import json
import secrets
import socket
import sqlite3
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_study import SYSTEMS, Rater

pytest.importorskip("fastapi")
import uvicorn

LINK = f"/s/{'a' * 32}/"
ELSEWHERE = [
    *("/study.yaml", "/answers.sqlite", "/results/results.md", "/clips/", "/static/../study.yaml", "/static/%2e%2e%2fserver.py"),
    *("/static/..%5c..%5cstudy.yaml", "/docs", "/openapi.json", "/s/", LINK, f"{LINK}clip/0/1/0", "/s/%00/"),
    *("/s/' OR 1=1 --/", "/s/../../etc/passwd"),
]
STRANGE = [
    {"kind": "rate", "place": 0, "value": 6},
    {"kind": "rate", "place": 9, "value": 3},
    {"kind": "rate", "place": -1, "value": 3},
    {"kind": "rate", "place": 0},
    {"kind": "rate", "place": 0, "value": "3"},
    {"kind": "rate", "place": 0, "value": True},
    {"kind": "rate", "place": 0, "value": 3, "session": 1},
    {"kind": "other", "place": 0},
    {"kind": "play", "place": 0, "click": "x'; DROP TABLE clicks"},
    {"kind": "play", "place": 0, "step": 10**9},
]


@pytest.fixture
def rater(client) -> Rater:
    rater = Rater(client)
    rater.page(lambda rater, place: 1)
    rater.page(lambda rater, place: 1)
    rater.read()
    assert rater.kind == "rate"
    return rater


def clip(rater: Rater, place: int):
    return rater.client.get(f"{rater.link}clip/{rater.step}/{rater.attempt}/{place}")


def test_pages_name_no_system_and_load_nothing_from_elsewhere(rater: Rater, study: Path) -> None:
    text = rater.text.lower()
    secret_words = [*SYSTEMS, "reference", "anchor", "key0", "0001", ".wav"]
    assert not [word for word in secret_words if word in text.partition("<body>")[2]]
    assert "http://" not in text and "https://" not in text
    policy = rater.client.get(rater.link).headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy


def test_clips_of_a_page_differ_in_nothing_but_sound(rater: Rater) -> None:
    answers = [clip(rater, place) for place in range(rater.places)]
    assert len({answer.content for answer in answers}) == len(answers) == 4
    assert len({len(answer.content) for answer in answers}) == 1
    assert len({json.dumps(dict(answer.headers)) for answer in answers}) == 1
    with wave.open(str(next(Path(rater.client.app.state.folder / "clips").iterdir()))) as file:
        assert file.getsampwidth() == 2


@pytest.mark.parametrize("path", ELSEWHERE)
def test_nothing_else_is_served(client, path: str) -> None:
    assert client.get(path).status_code in (404, 405)


def test_clips_of_other_pages_and_places_are_not_served(rater: Rater) -> None:
    here = f"{rater.link}clip/{rater.step}/{rater.attempt}"
    assert [rater.client.get(f"{here}/{place}").status_code for place in (0, 4, 5, -1, 99)] == [200, 200, 404, 404, 404]
    assert rater.client.get(f"{rater.link}clip/{int(rater.step) + 1}/1/0").status_code == 404
    assert rater.client.get(f"{here}/../../../study.yaml").status_code == 404


def test_another_session_can_not_be_written(client, rater: Rater, study: Path) -> None:
    forged = Rater(client)
    forged.link = f"/s/{secrets.token_urlsafe(24)}/"
    forged.step, forged.attempt = rater.step, "1"
    assert forged.send("/click", kind="rate", place=0, value=1).status_code == 404
    assert forged.send("/next").status_code == 404


@pytest.mark.parametrize("body", STRANGE)
def test_clicks_that_no_page_sends_are_refused(rater: Rater, study: Path, body: dict) -> None:
    rater.send("/click", kind="heard", place=0)
    before = stored(study)
    assert rater.send("/click", **body).status_code == 422
    assert stored(study) == before


def stored(study: Path) -> list[tuple]:
    file = sqlite3.connect(study / "answers.sqlite")
    found = file.execute("SELECT * FROM clicks").fetchall()
    file.close()
    return found


def test_long_bodies_are_refused(rater: Rater, study: Path) -> None:
    before = stored(study)
    assert rater.client.post(rater.link + "click", content=b"x" * 10_000_000).status_code == 413
    assert rater.client.post("/begin", content=b"participant=" + b"x" * 10_000_000).status_code == 413
    assert stored(study) == before


def test_a_participant_can_not_inject_into_the_page(client) -> None:
    text = client.get("/", params={"participant": '"><script>alert(1)</script>'}).text
    assert "<script>" not in text


@pytest.fixture
def port(client) -> Iterator[int]:
    """Serve the study on a port, too."""
    server = uvicorn.Server(uvicorn.Config(client.app, port=0, log_level="critical", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def test_a_thousand_forged_requests_at_once_leave_the_session_as_it_was(rater: Rater, study: Path, port: int) -> None:
    before = stored(study)
    body = json.dumps({"click": "0" * 32, "step": 0, "attempt": 1, "kind": "play", "place": 0})
    head = f"POST /s/{'b' * 32}/click HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for each in sockets:
        each.sendall(request * 50)
    assert rater.send("/click", kind="play", place=0).status_code == 200
    for each in sockets:
        answers = b""
        while answers.count(b"HTTP/1.1 404") < 50:
            more = each.recv(1 << 16)
            assert more, "the server has closed the connection"
            answers += more
        each.close()
    assert len(stored(study)) == len(before) + 1


def test_the_database_holds_no_link_that_opens_a_session(rater: Rater, study: Path) -> None:
    assert rater.link.strip("/").removeprefix("s/") not in (study / "answers.sqlite").read_bytes().decode("latin-1")
