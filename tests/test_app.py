"""The page of `app`: its answers are edits, refusals are one line, and nothing but its own songs is ever read or served."""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pytest
import soundfile
import uvicorn
from browser import Browser, chromium
from editing_stand_in import music, stand_in
from fastapi import FastAPI
from fastapi.testclient import TestClient

from instructme.manifests.rows import DataError
from instructme.pipelines.app import edit_server, uploads
from instructme.pipelines.app.edit_stream import EditQueue
from instructme.pipelines.app.uploads import EXAMPLES, Uploads
from instructme.pipelines.editing.editor import EditBlock
from instructme.pipelines.sentences.plan import EditStep

HOME = "http://127.0.0.1"
SECRET = "nobody may read this"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.flac").write_text(SECRET)
    (tmp_path / "app").mkdir()
    return tmp_path / "app"


@pytest.fixture
def client(folder: Path) -> TestClient:
    return TestClient(edit_server.make_app(stand_in(removed=0.5), folder), base_url=HOME)


def wav(seconds: float = 1.0, channels: int = 2, rate: int = 44100, form: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, music(seconds, channels, rate), rate, format=form, subtype="PCM_16")
    return file.getvalue()


def send(client: TestClient, name: str = "song.wav", body: bytes | None = None) -> dict:
    return client.post("/songs", params={"name": name}, content=wav() if body is None else body).json()


def edit(client: TestClient, song: str, sentence: str = "remove drums") -> list[dict]:
    answer = client.post(f"/songs/{song}/edits", json={"sentence": sentence})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def sound(client: TestClient, song: str, side: str) -> np.ndarray:
    return soundfile.read(io.BytesIO(client.get(f"/songs/{song}/{side}.flac").content), dtype="float32")[0]


def test_an_upload_is_edited_as_by_the_editor(client: TestClient) -> None:
    song = send(client)
    assert (song["name"], song["seconds"], song["rate_hz"], song["channels"]) == ("song.wav", 1.0, 44100, 2)
    assert song["view"].count("data:image/png") == 1
    lines = edit(client, song["id"])
    shares = [line["share"] for line in lines]
    assert shares == sorted(shares) and (shares[0], shares[-1]) == (0, 1)
    assert lines[-1]["view"].count("data:image/png") == 2
    before, after = (sound(client, song["id"], side) for side in ("source", "result"))
    wanted = stand_in(removed=0.5).edit(before, 44100, "remove drums")
    assert np.abs(after - wanted).max() < 2**-14 < np.abs(before - wanted).max()
    download = client.get(f"/songs/{song['id']}/result.flac").headers["content-disposition"]
    assert download.startswith("attachment") and "song%20%28edited%29.flac" in download


def test_a_song_over_full_scale_is_turned_down_and_not_cut(client: TestClient) -> None:
    """The page compares it with a result that is turned down."""
    file, loud = io.BytesIO(), 4 * music(1.0, 2, 44100) / np.abs(music(1.0, 2, 44100)).max()
    soundfile.write(file, loud, 44100, format="WAV", subtype="FLOAT")
    np.testing.assert_allclose(sound(client, send(client, body=file.getvalue())["id"], "source"), loud / 4, atol=1e-6)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_need_no_upload(client: TestClient, name: str) -> None:
    song = client.post(f"/examples/{name}").json()
    assert song["seconds"] == 10 and song["name"] == EXAMPLES[name]
    assert edit(client, song["id"])[-1]["share"] == 1


def test_a_refusal_offers_only_what_the_editor_can_make(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_remove(step: EditStep) -> None:
        if step.task != "remove":
            raise DataError("can't")

    editor = stand_in(removed=0.5)
    monkeypatch.setattr(editor, "check", only_remove)
    client = TestClient(edit_server.make_app(editor, folder), base_url=HOME)
    line = client.get("/plan", params={"sentence": "extract teh pianola"}).json()["error"]
    assert line.endswith('nearest that works: "remove drums"')


def test_a_song_that_was_not_sent_as_a_whole_is_noted_under_its_own_name(client: TestClient, folder: Path) -> None:
    body = wav()
    (notes,) = (line["notes"] for line in edit(client, send(client, "mine.wav", body[: len(body) // 2])["id"]) if "notes" in line)
    assert len(notes) == 1 and notes[0].startswith("mine.wav: its header states") and str(folder) not in notes[0]


def test_a_plan_is_steps_and_notes_or_one_line(client: TestClient) -> None:
    plan = client.get("/plan", params={"sentence": "remvoe the drums after 0:10"}).json()
    assert plan["steps"] == [{"task": "remove", "instruments": ["drums"], "start_s": 10}]
    assert plan["notes"] == ['"remvoe" is read as "remove"']
    for sentence in ("", "add reverb", "x" * 600):
        line = client.get("/plan", params={"sentence": sentence}).json()["error"]
        assert line and "\n" not in line and len(line) < 300


def test_the_page_offers_what_the_editor_can(folder: Path) -> None:
    editor = stand_in()
    able = TestClient(edit_server.make_app(editor, folder), base_url=HOME).get("/").text
    assert all(f">{sentence}<" in able for sentence in edit_server.SENTENCES)
    editor._denoise = None
    assert not [each for each in edit_server.SENTENCES if EditQueue(editor, Uploads(folder)).can(each)]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "can't read audio: song.wav"),
        (b"words" * 1000, "can't read audio: song.wav"),
        (wav(form="FLAC")[:20_000], "can't read audio: song.wav"),
        (wav(0.1, 9), "song.wav has 9 channels"),
        (wav(0.1, 1, 384_000), "384000 Hz"),
        (wav(3.0, 1, 8000), "song.wav is longer than"),
        (wav(1.5, 2, 48_000), "song.wav is larger than"),
    ],
)
def test_a_file_that_can_not_be_used_is_one_line_and_gone(
    client: TestClient, folder: Path, body: bytes, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "LONGEST_S", 2)
    monkeypatch.setattr(uploads, "MOST_BYTES", 200_000)
    answer = client.post("/songs", params={"name": "song.wav"}, content=body)
    line = answer.json()["error"]
    assert answer.status_code == 422 and complaint in line and "\n" not in line and str(folder) not in line
    assert not list(folder.iterdir())


def test_hours_of_silence_in_a_small_file_are_not_decoded(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(601 * 8000, np.int16), 8000, format="FLAC")
    monkeypatch.setattr(uploads, "decode", None)
    assert len(file.getvalue()) < 100_000 and "longer than 10 minutes" in send(client, body=file.getvalue())["error"]


@pytest.mark.parametrize(
    ("sentence", "complaint"), [("add reverb", "reverb"), ("remove bass after 0:10", "song.wav is 1.0 s long"), ("", "empty")]
)
def test_an_edit_that_is_refused_is_one_line(client: TestClient, folder: Path, sentence: str, complaint: str) -> None:
    (line,) = [each["error"] for each in edit(client, send(client)["id"], sentence) if "error" in each]
    assert complaint in line and "\n" not in line and str(folder) not in line


def test_a_fault_is_a_line_here_and_a_traceback_there(client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> Iterator[None]:
        raise ZeroDivisionError("a fault")

    song = send(client)["id"]
    client.app.state.edits._editor.blocks = broken
    assert "the terminal" in edit(client, song)[-1]["error"] and "ZeroDivisionError: a fault" in capsys.readouterr().err


def test_a_stopped_edit_lets_the_next_one_in(client: TestClient) -> None:
    song, edits = client.app.state.uploads[send(client)["id"]], client.app.state.edits
    first, second = edits.lines(song, "remove bass"), edits.lines(song, "remove drums")
    assert json.loads(next(first)) == {"share": 0.0}
    assert json.loads(next(second)) == {"waiting": True}
    first.close()
    assert json.loads(list(second)[-1])["share"] == 1.0


@pytest.mark.parametrize("name", ["../../secret.flac", "/etc/passwd", "a\0b", "<img src=x onerror=alert(1)>", "ö" * 900, "\n\r"])
def test_names_are_shown_and_never_opened(client: TestClient, folder: Path, name: str) -> None:
    song = send(client, name)
    assert song["seconds"] == 1 and song["name"].isprintable() and len(song["name"]) <= 120 and name not in song["view"]
    edit(client, song["id"])
    assert client.get(f"/songs/{song['id']}/result.flac").status_code == 200
    (inside,) = folder.iterdir()
    assert {path.name for path in inside.iterdir()} == {"sent", "source.flac", "result.flac"}
    assert inside.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/songs/../secret.flac",
            "/songs/..%2f..%2fsecret.flac",
            "/songs/%2e%2e/source.flac",
            "/secret.flac",
            "/app/secret.flac",
        ),
        *("//etc/passwd", "/songs/%2fetc%2fpasswd/source.flac", "/docs", "/openapi.json", "/songs/none/result.flac"),
    ],
)
def test_no_other_file_is_served(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404 and SECRET not in answer.text
    assert client.post("/examples/..%2f..%2fsecret").status_code == 404


def test_a_result_is_not_there_before_an_edit(client: TestClient) -> None:
    assert client.get(f"/songs/{send(client)['id']}/result.flac").status_code == 404


def test_other_pages_and_names_are_refused(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        assert client.post("/examples/funk", headers={"origin": origin}).status_code == 403
    assert client.post("/examples/funk", headers={"origin": HOME}).status_code == 200


def test_old_songs_are_deleted_but_not_while_they_are_edited(client: TestClient, folder: Path) -> None:
    songs = [send(client)["id"]]
    running = client.app.state.edits.lines(client.app.state.uploads[songs[0]], "remove bass")
    next(running)
    songs += [send(client)["id"] for _ in range(5)]
    assert json.loads(list(running)[-1])["share"] == 1.0
    there = [client.get(f"/songs/{song}/source.flac").status_code for song in songs]
    assert there == [200, 404, 404, 200, 200, 200] and len(list(folder.iterdir())) == 4
    assert "choose it again" in client.post(f"/songs/{songs[1]}/edits", json={"sentence": "remove bass"}).json()["error"]


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/")
    assert "http:" not in answer.text and "https:" not in answer.text and "connect-src 'self'" in answer.text
    assert answer.headers["x-frame-options"] == "DENY" and answer.headers["cache-control"] == "no-store"


def test_the_folder_is_deleted_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[Path] = []

    def run(self: uvicorn.Server, sockets: object) -> None:
        folders.append(self.config.app.state.uploads._folder)
        assert folders[0].is_dir() and folders[0].stat().st_mode & 0o077 == 0
        raise KeyboardInterrupt

    monkeypatch.setattr(uvicorn.Server, "run", run)
    with pytest.raises(KeyboardInterrupt):
        edit_server.serve(stand_in(), "127.0.0.1", 0, lambda address: None)
    assert not folders[0].exists()


def test_an_address_that_is_taken_is_one_line() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(DataError, match="choose another --port"):
        edit_server.serve(stand_in(), "127.0.0.1", taken.getsockname()[1], lambda address: None)


@contextmanager
def served(app: FastAPI) -> Iterator[int]:
    """Serve it in a thread; give the port."""
    program = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=program.run)
    thread.start()
    try:
        while not program.started:
            assert thread.is_alive()
        yield program.servers[0].sockets[0].getsockname()[1]
    finally:
        program.should_exit = True
        thread.join()


def test_a_browser_that_leaves_stops_its_edit(folder: Path) -> None:
    stopped = threading.Event()

    def slow(*_: object) -> Iterator[EditBlock]:
        try:
            while not stopped.wait(0.01):
                yield EditBlock(np.zeros((0, 2), np.float32), 0.0)
        finally:
            stopped.set()

    editor = stand_in()
    editor.blocks = slow
    app = edit_server.make_app(editor, folder)
    with served(app) as port:
        song = app.state.uploads.add_example("funk").id
        gone = HTTPConnection("127.0.0.1", port, timeout=60)
        gone.request(
            "POST", f"/songs/{song}/edits", json.dumps({"sentence": "remove bass"}), {"Content-Type": "application/json"}
        )
        assert gone.getresponse().readline()
        gone.close()
        left = stopped.wait(60)
        stopped.set()
    assert left and not app.state.edits._busy.locked()


@pytest.fixture
def browser(folder: Path, tmp_path: Path) -> Iterator[Browser]:
    """Open the page of a server that removes half of everything."""
    with served(edit_server.make_app(stand_in(removed=0.5), folder)) as port, chromium(tmp_path / "profile") as browser:
        browser.open(f"{HOME}:{port}/")
        browser.js(
            """window.at = (id) => document.getElementById(id);
                window.until = async (test) => { for (let round = 0; round < 5000 && !test(); round++)
                    await new Promise((done) => setTimeout(done, 20)); return test(); };
                window.now = () => parseFloat(document.querySelector('.now').textContent);
                window.heard = () => document.querySelector('[aria-pressed=true]').dataset.side;
                window.type = (text) => { at('sentence').value = text; at('sentence').dispatchEvent(new Event('input')); };
                0"""
        )
        yield browser


@pytest.mark.slow
def test_an_edit_is_clicked_through(browser: Browser, tmp_path: Path) -> None:
    browser.js("type('add reverb to the drums')")
    assert browser.js("until(() => at('error').textContent.includes('reverb'))") and browser.js("at('edit').disabled")
    browser.js("at('error').querySelector('button').click()")
    assert browser.js("until(() => at('plan').textContent.endsWith('drums'))") and not browser.js("at('error').textContent")
    browser.js("[...document.querySelectorAll('.sentence')].find((each) => each.textContent === 'remove drums').click()")
    assert browser.js("until(() => at('plan').textContent === 'remove drums' && !at('edit').disabled)")
    browser.js("at('edit').click()")
    assert browser.js("until(() => at('error').textContent === 'choose a song first')")

    (tmp_path / "song.wav").write_bytes(wav(4.0))
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    file = browser.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    browser.call("DOM.setFileInputFiles", nodeId=file, files=[str(tmp_path / "song.wav")])
    assert browser.js("until(() => !at('play').disabled && at('song').textContent.startsWith('song.wav (4.0 s'))")
    assert browser.js("document.querySelectorAll('#pictures img').length") == 1

    browser.js("document.querySelector('.example').click()")
    assert browser.js("until(() => !at('play').disabled && at('song').textContent.startsWith('Funk'))")
    browser.js("at('edit').click()")
    assert browser.js("until(() => heard() === 'result' && at('edit').textContent === 'Edit')")
    assert browser.js(
        "[...document.images].length === 2 && [...document.images].every((image) => image.naturalWidth && image.alt)"
    )

    browser.js("at('play').click()")
    assert browser.js("until(() => now() >= 0.5)")
    for key, side in (("1", "source"), ("3", "difference"), ("2", "result")):
        before = browser.js("now()")
        browser.press(key)
        assert browser.js("heard()") == side and before <= browser.js("now()") < before + 2
    browser.js("at('play').click()")
    place = browser.js("now()")
    assert browser.js("new Promise((done) => setTimeout(() => done(now()), 300))") == place
    assert browser.js("fetch(at('download').href).then((answer) => answer.headers.get('content-type'))") == "audio/flac"

    for width in (390, 1400):
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        assert browser.js("document.documentElement.scrollWidth") <= width
    assert not [event for event in browser.events if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")]
