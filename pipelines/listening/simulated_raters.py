"""Simulate raters with known preferences, who take the test over HTTP: a test of the server and the statistics, not of people."""

import hashlib
import http.client
import json
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from instructme.pipelines.listening.page_order import BEEPS, HEADPHONES
from instructme.pipelines.listening.rated_edits import ANCHOR, REFERENCE
from instructme.pipelines.listening.study import CLIPS, Stimulus, read_stimuli

SPREAD = 0.7
"""Standard deviation of a rater's points."""
_WAIT_S, _LONGEST_WAIT_S = 0.05, 600.0
_FACT, _AUDIO = re.compile(r'data-([a-z-]+)="([^"]*)"'), re.compile(r"<audio")


@dataclass
class Visit:
    """What a simulated rater did. acknowledged: click -> (kind, place, value); latencies_s: of each click."""

    acknowledged: dict[str, tuple[object, object, object]] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)
    finished: bool = False


class Ears:
    """Recognises clips by their sound, as the pages don't name them."""

    def __init__(self, folder: Path) -> None:
        self.clips = {_digest((folder / CLIPS / each.file).read_bytes()): each for each in read_stimuli(folder)}

    def recognise(self, sound: bytes) -> Stimulus:
        """Find the clip that sounds so."""
        return self.clips[_digest(sound)]


def _digest(sound: bytes) -> bytes:
    return hashlib.sha256(sound).digest()


def default_preferences(systems: list[str]) -> dict[str, float]:
    """Give the reference 4.7 points, the anchor 1.3, and the systems points between 2 and 4 in the order of their names."""
    middle = {name: 2 + 2 * place / max(len(systems) - 1, 1) for place, name in enumerate(sorted(systems))}
    return {**middle, REFERENCE: 4.7, ANCHOR: 1.3}


class SimulatedRater:
    """One rater: sees pages, hears clips, and repeats a request until the server acknowledges it."""

    def __init__(self, address: str, ears: Ears, preferences: Mapping[str, float], seed: int) -> None:
        self.host = urlsplit(address).netloc
        self.ears, self.preferences = ears, preferences
        self.rng = random.Random(seed)
        self.visit = Visit()
        self._connection: http.client.HTTPConnection | None = None

    def take(self) -> Visit:
        """Take the whole test."""
        _, headers, _ = self._ask("POST", "/begin", b"")
        self.link = headers["location"].rstrip("/")
        while self._page():
            pass
        return self.visit

    def _page(self) -> bool:
        _, _, body = self._ask("GET", f"{self.link}/")
        text = body.decode()
        facts = dict(_FACT.findall(text.partition('<main id="page"')[2].partition(">")[0]))
        if facts.get("kind") in (None, "done"):
            self.visit.finished = facts.get("kind") == "done"
            return False
        at = {"step": int(facts["step"]), "attempt": int(facts["attempt"])}
        urls = [f"{self.link}/clip/{facts['step']}/{facts['attempt']}/{place}" for place in range(len(_AUDIO.findall(text)))]
        clips = [self.ears.recognise(self._ask("GET", url)[2]) for url in urls]
        for place in range(len(clips)):
            for kind in ("play", "heard"):
                self._click("click", {**at, "kind": kind, "place": place})
        for place in range(int(facts["answers"])):
            self._click("click", {**at, "kind": "rate", "place": place, "value": self._judge(facts["kind"], clips, place)})
        self._click("next", {**at})
        return True

    def _judge(self, kind: str, clips: list[Stimulus], place: int) -> int:
        if kind == "pair":
            first, second = (self.rng.gauss(self.preferences[clip.system], SPREAD) for clip in clips[:2])
            return 1 if first >= second else 2
        if clips[place].item in (HEADPHONES, BEEPS):
            return int(clips[place].system)
        return min(5, max(1, round(self.rng.gauss(self.preferences[clips[place].system], SPREAD))))

    def _click(self, path: str, body: Mapping[str, object]) -> None:
        click = f"{self.rng.getrandbits(128):032x}"
        begun = time.perf_counter()
        status, _, _ = self._ask("POST", f"{self.link}/{path}", json.dumps({"click": click, **body}).encode())
        self.visit.latencies_s.append(time.perf_counter() - begun)
        assert status == 200, (status, path, body)
        self.visit.acknowledged[click] = (body.get("kind", "next"), body.get("place"), body.get("value"))

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Mapping[str, str], bytes]:
        """Ask until an answer comes: the server may be down for a while."""
        until = time.monotonic() + _LONGEST_WAIT_S
        while True:
            try:
                self._connection = self._connection or http.client.HTTPConnection(self.host, timeout=30)
                self._connection.request(method, path, body, {"Content-Type": "application/json"})
                answer = self._connection.getresponse()
                return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
            except (OSError, http.client.HTTPException):
                self._connection = None
                if time.monotonic() > until:
                    raise
                time.sleep(_WAIT_S)
