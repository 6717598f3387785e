"""Drive a headless Chromium over its debugging pipe: null-separated JSON on the file descriptors 3 and 4."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --mute-audio --hide-scrollbars --window-size=1300,900 --remote-debugging-pipe"
)


class Browser:
    """One page of it; `events` are the messages that nobody asked for."""

    def __init__(self, sent: int, received: int) -> None:
        self.sent, self.received = sent, os.fdopen(received, "rb")
        self.number, self.session, self.events = 0, None, []

    def call(self, method: str, **params) -> dict:
        """Call a method of the DevTools protocol and wait for its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params} | ({"sessionId": self.session} if self.session else {})
        os.write(self.sent, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self) -> dict:
        text = bytearray()
        while (byte := self.received.read(1)) != b"\0":
            assert byte, "Chromium has gone"
            text += byte
        return json.loads(text)

    def open(self, page: Path | str) -> None:
        """Open a file or a URL in a new tab and wait until it is complete."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=page if isinstance(page, str) else page.as_uri())
        while self.js("document.readyState") != "complete":
            pass

    def js(self, expression: str):
        """Evaluate, as if a person had just acted; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def click(self, x: float, y: float) -> None:
        """Click where the window shows something."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **(text if kind == "keyDown" else {}))


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Start one with a profile of its own; skip the test where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        pytest.skip("no Chromium here")
    theirs, ours = os.pipe()
    answers, theirs_out = os.pipe()

    def wire() -> None:  # in the child: the descriptors may be 3 and 4 already, in the wrong order
        read, write = os.dup(theirs), os.dup(theirs_out)
        os.dup2(read, 3)
        os.dup2(write, 4)

    process = subprocess.Popen(
        [program, *FLAGS.split(), f"--user-data-dir={folder}"], preexec_fn=wire, close_fds=False, stderr=subprocess.DEVNULL
    )
    os.close(theirs)
    os.close(theirs_out)
    try:
        yield Browser(ours, answers)
    finally:
        process.terminate()
        process.wait(timeout=20)
        os.close(ours)
