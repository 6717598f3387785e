"""Processes take turns at what they do for the first time, and only then."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from instructme.dataset_tools.recognisers import turns

PROCESS = """
import sys, time
from instructme.dataset_tools.recognisers.turns import first_use

for what in ("one", "one", "two"):
    with first_use(what):
        begun = time.monotonic()
        time.sleep(0.2)
        print(what, begun, time.monotonic())
"""


def test_first_uses_never_overlap(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    running = [
        subprocess.Popen([sys.executable, "-c", PROCESS], env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    uses = [[line.split() for line in process.communicate(timeout=60)[0].splitlines()] for process in running]
    first = sorted((float(begun), float(ended)) for one, _, two in uses for _, begun, ended in (one, two))
    assert len(first) == 6
    assert all(ended <= begun for (_, ended), (begun, _) in itertools.pairwise(first))


def test_later_uses_wait_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with turns.first_use("later"):
        pass
    with turns.first_use("later"), turns.first_use("later"), turns.first_use("other"):
        assert "other" not in turns._had
    assert {"later", "other"} <= turns._had


def test_a_first_use_that_fails_is_still_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ZeroDivisionError), turns.first_use("failing"):
        raise ZeroDivisionError
    assert "failing" not in turns._had
