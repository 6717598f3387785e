"""The six commands of the page "Run a listening test" lead from edits to a table of scores, as they stand there."""

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from made_study import made_table

pytest.importorskip("fastapi")

from instructme.pipelines.listening.simulated_raters import default_preferences
from instructme.pipelines.listening.simulation import visits
from instructme.pipelines.listening.study import read_study

PAGE = (Path(__file__).parents[1] / "docs/listening.md").read_text()
(BLOCK,) = re.findall(r"six commands, the first one in a clone:\n\n```sh\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = BLOCK.splitlines()
PROGRAM = """#!{python}
import runpy, sys
sys.argv[0] = {name!r}
{run}
"""
RUN = {"instructme": "from instructme.pipelines.cli import main; main()", "pip": "runpy.run_module('pip', run_name='__main__')"}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Put the two programs of the commands on the path; pip may look, but install nothing and ask no network."""
    for name, text in RUN.items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(PROGRAM.format(python=sys.executable, name=name, run=text))
        (tmp_path / "bin" / name).chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PIP_NO_INDEX": "1", "PIP_DRY_RUN": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def test_six_commands_lead_from_edits_to_a_table(tmp_path: Path, environment: dict[str, str]) -> None:
    if not socket.socket().connect_ex(("127.0.0.1", 8000)):
        pytest.skip("another program uses port 8000, which the manual names")
    made_table(tmp_path, items=3, tasks=("remove",))
    assert len(COMMANDS) == 6
    outputs = []
    for line in COMMANDS:
        if " serve " in line:
            take_the_test(line, tmp_path, environment)
            continue
        line = line.replace("'.[", "'instructme[")  # the clone is installed here
        result = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, (line, result.stdout, result.stderr)
        outputs.append(result.stdout)
    assert "10 of 10 raters finished" in outputs[2] and "0 lost, 0 doubled" in outputs[2]
    assert re.search(r"\| wren \| 1 s \| \d\.\d\d", outputs[3]) and "10 raters came" in outputs[3]
    assert re.search(r"\| wren \| 1 s \| \d\.\d\d", outputs[4]) and "2 raters came, and the answers of 2 are used" in outputs[4]
    assert (tmp_path / "study/results/results.html").exists()


def take_the_test(line: str, folder: Path, environment: dict[str, str]) -> None:
    """Open the study as the manual says, and let two patient raters take it."""
    settings = folder / "study/study.yaml"
    settings.write_text(settings.read_text().replace("heard_s: 5.0", "heard_s: 0.0"))
    server = subprocess.Popen(shlex.split(line), cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        (address,) = re.findall(r"http://[\d.:]+", server.stdout.readline())
        preferences = default_preferences(list(read_study(folder / "study").systems))
        assert all(visit.finished for visit in visits(folder / "study", address, preferences, 2, 0))
    finally:
        server.terminate()
        server.wait()
