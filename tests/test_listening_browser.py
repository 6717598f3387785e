"""Two people take the listening test in a browser, on a wide screen and on a phone: what they click is what the results count."""

import json
import multiprocessing
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, chromium
from made_study import made_study

pytest.importorskip("fastapi")
import uvicorn

from instructme.pipelines.listening.ratings import read_ratings
from instructme.pipelines.listening.server import make_app
from instructme.pipelines.listening.study import read_stimuli, read_study

WIDTHS = (1400, 390)
ANSWER = """(async () => {
  const until = async (check) => { while (!check()) await new Promise((done) => setTimeout(done, 20)); };
  const page = document.getElementById("page"), clicked = [];
  for (const clip of page.querySelectorAll(".clip")) {
    const audio = clip.querySelector("audio"), button = clip.querySelector("button");
    await until(() => clip.classList.contains("heard") || (audio.paused && button.click()));
  }
  for (const choices of page.querySelectorAll("fieldset")) {
    await until(() => !choices.disabled);
    const inputs = [...choices.querySelectorAll("input")], place = +inputs[0].dataset.place;
    const value = RIGHT[place] || 1 + (+page.dataset.step * 3 + place * 2 + WIDTH) % inputs.length;
    inputs[value - 1].click();
    clicked.push([+page.dataset.step, page.dataset.kind, place, value]);
  }
  await until(() => !document.getElementById("next").disabled);
  return clicked;
})()"""
STATE = (
    "(() => { const page = document.getElementById('page'); return page ? [+page.dataset.step, page.dataset.kind] : null; })()"
)


def serve(study: Path, port: int) -> None:
    uvicorn.run(make_app(study), port=port, log_level="critical", access_log=False)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    scales = ("quality", "harmony")
    return made_study(tmp_path, items=1, headphones=True, headphones_right=6, training=True, heard_s=0.3, scales=scales)


@pytest.fixture
def address(study: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = multiprocessing.get_context("fork").Process(target=serve, args=(study, port))
    server.start()
    until = time.monotonic() + 600
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert time.monotonic() < until and server.is_alive()
            time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/"
    server.kill()
    server.join()


def wait(browser: Browser, old: list | None) -> list:
    """Wait for another page."""
    until = time.monotonic() + 240
    while time.monotonic() < until:
        try:
            state = browser.js(STATE) if browser.js("document.readyState") == "complete" else None
        except AssertionError as error:
            assert "navigated" in str(error) or "context" in str(error)
            continue
        if state and state != old:
            return state
        time.sleep(0.02)
    raise AssertionError(f"the page stays {old}")


def do_page(browser: Browser, width: int, right: list[int]) -> list[list]:
    """Play, judge and go on, as a person does; return what was clicked."""
    state = browser.js(STATE)
    answers = right if state[1] == "headphones" else []
    clicked = browser.js(ANSWER.replace("RIGHT", json.dumps(answers)).replace("WIDTH", str(width)))
    browser.js("setTimeout(() => document.getElementById('next').click(), 0)")
    wait(browser, state)
    return clicked


def lose_the_network(browser: Browser) -> None:
    """Click while nothing can be sent: the page says so, keeps the click, and sends it when the network is back."""
    kept = "Object.keys(localStorage).filter((name) => name.startsWith('click ')).length"

    def switch(offline: bool) -> None:
        throughput = {"downloadThroughput": -1, "uploadThroughput": -1}
        browser.call("Network.emulateNetworkConditions", offline=offline, latency=0, **throughput)

    switch(offline=True)
    browser.js("document.querySelector('audio').dispatchEvent(new Event('play'))")
    for step in (f"{kept} > 0 && document.getElementById('state').className == 'bad'", f"{kept} == 0"):
        browser.js(f"(async () => {{ while (!({step})) await new Promise((done) => setTimeout(done, 20)); }})()")
        switch(offline=False)


def begin(browser: Browser, address: str, width: int) -> str:
    """Agree on the first page; return the link of the session."""
    browser.open(address)
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
    browser.js("setTimeout(() => document.querySelector('button').click(), 0)")
    wait(browser, None)
    return browser.js("location.href")


def right_answers(study: Path) -> list[int]:
    return [int(each.system) for each in read_stimuli(study) if each.item == "headphones"]


def test_two_raters_in_a_browser(study: Path, address: str, tmp_path: Path) -> None:
    right = right_answers(study)
    clicked: dict[int, list] = {width: [] for width in WIDTHS}
    links = {}
    with chromium(tmp_path / "first") as browser:
        for width in WIDTHS:
            links[width] = begin(browser, address, width)
            for _ in range(5):
                assert browser.js("document.documentElement.scrollWidth <= innerWidth"), "no page is wider than its screen"
                clicked[width] += do_page(browser, width, right)
            before = browser.js(STATE)
            browser.js("setTimeout(() => location.reload(), 0)")
            time.sleep(0.3)
            assert wait(browser, None) == before
            lose_the_network(browser)
            clicked[width] += do_page(browser, width, right)
        assert not [event for event in browser.events if event.get("method") == "Runtime.exceptionThrown"]
        entries = [event["params"]["entry"] for event in browser.events if event.get("method") == "Log.entryAdded"]
        assert not [entry for entry in entries if "ERR_INTERNET_DISCONNECTED" not in entry["text"]]
    with chromium(tmp_path / "second") as browser:
        for width in WIDTHS:
            browser.open(links[width])
            while browser.js(STATE)[1] != "done":
                clicked[width] += do_page(browser, width, right)
            assert browser.js("document.getElementById('code').textContent") == read_study(study).completion_code
    file = sqlite3.connect(study / "answers.sqlite")
    for session, width in enumerate(WIDTHS, start=1):
        query = "SELECT step, page, place, value FROM clicks WHERE kind = 'rate' AND session = ? ORDER BY id"
        assert [list(row) for row in file.execute(query, (session,))] == clicked[width]
    file.close()
    rows = read_ratings(study, read_study(study)).rows
    counted = sorted(value for width in WIDTHS for _, kind, _, value in clicked[width] if kind == "rate")
    assert sorted(rows["value"]) == counted and len(counted) == 2 * 2 * 2 * 4
