"""Make a small listening test of short tones, and raters who take it over HTTP."""

import csv
import re
import secrets
from pathlib import Path

import numpy as np
import soundfile

from instructme.pipelines.evaluation.cases import from_table
from instructme.pipelines.listening.create import create
from instructme.pipelines.listening.study import Study

COLUMNS = ("key", "task", "instruction", "source", "target", "edit", "system")
RATE_HZ = 24000
SYSTEMS = ("orca", "wren")


def tone(hz: float, seconds: float = 1.0, level: float = 0.2) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def made_table(folder: Path, items: int = 3, systems=SYSTEMS, tasks=("remove", "remix"), seconds: float = 1.0) -> Path:
    """Write `items` triplets of each task with the edits of all systems, and their table."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(items * len(tasks)):
        files = {"source": tone(220 + number, seconds), "target": tone(330 + number, seconds)}
        files |= {system: tone(400 + number, seconds, 0.05 * (place + 1)) for place, system in enumerate(systems)}
        for name, samples in files.items():
            soundfile.write(folder / f"{name}{number}.wav", samples, RATE_HZ)
        sides = (f"source{number}.wav", f"target{number}.wav")
        for system in systems:
            rows.append((f"key{number}", tasks[number % len(tasks)], "remove the flute", *sides, f"{system}{number}.wav", system))
    with (folder / "edits.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return folder / "edits.csv"


def made_study(folder: Path, items: int = 3, seconds: float = 1.0, **settings) -> Path:
    """Make a study without headphone check, training and waiting, unless the settings say otherwise."""
    table = made_table(folder / "edits", items, seconds=seconds)
    defaults = {"headphones": False, "training": False, "heard_s": 0.0}
    list(create(folder / "study", from_table(table), Study(**{**defaults, **settings})))
    return folder / "study"


class Rater:
    """Takes the test through a client, answering by `answer(kind, scale, place)`; `log` holds each accepted answer."""

    def __init__(self, client, participant: str = "") -> None:
        self.client, self.log = client, []
        self.link = client.post("/begin", data={"participant": participant}, follow_redirects=False).headers["location"]

    def read(self) -> None:
        """Load the page at which the session is."""
        text = self.text = self.client.get(self.link).text
        self.facts = dict(re.findall(r'data-([a-z-]+)="([^"]*)"', text.partition('<main id="page"')[2].partition(">")[0]))
        self.step, self.attempt, self.kind = (self.facts.get(name) for name in ("step", "attempt", "kind"))
        self.places = int(self.facts.get("answers", 0))
        self.players = len(re.findall("<audio", text))

    def send(self, path: str, click: str | None = None, **body):
        """Send a click as the page does."""
        body = {"click": click or secrets.token_hex(16), "step": int(self.step), "attempt": int(self.attempt), **body}
        return self.client.post(self.link.rstrip("/") + path, json=body)

    def page(self, answer) -> bool:
        """Do one page; False at the end."""
        self.read()
        if self.kind in (None, "done"):
            return False
        for place in range(self.players):
            assert self.send("/click", kind="play", place=place).status_code == 200
            assert self.send("/click", kind="heard", place=place).status_code == 200
        for place in range(self.places):
            value = answer(self, place)
            assert self.send("/click", kind="rate", place=place, value=value).status_code == 200
            self.log.append((int(self.step), self.kind, place, value))
        assert self.send("/next").status_code == 200
        return True

    def finish(self, answer) -> None:
        """Do all pages."""
        while self.page(answer):
            pass
