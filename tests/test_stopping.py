"""Asked to end, a program does, even where the question gets lost."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

PROGRAMS = {
    "cleans up": """
try:
    wait()
finally:
    print("cleaned", flush=True)
""",
    "loses the interrupt": """
while True:
    try:
        wait()
    except KeyboardInterrupt:
        print("lost", flush=True)
""",
    "turns it into another error": """
try:
    wait()
except KeyboardInterrupt:
    raise ValueError
""",
    "ends all the same": """
try:
    wait()
except KeyboardInterrupt:
    pass
""",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("what", PROGRAMS)
def test_ends_with_its_children_in_one_line(what: str, number: signal.Signals) -> None:
    body = "    " + PROGRAMS[what].strip().replace("\n", "\n    ")
    code = f"""
import subprocess, time
from instructme.pipelines.commands.signals import stoppable
child = subprocess.Popen(["setsid", "sleep", "60"])
def wait():
    print(child.pid, flush=True)
    time.sleep(60)
with stoppable():
{body}
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout and program.stderr
        child = psutil.Process(int(program.stdout.readline()))
        asked = time.monotonic()
        program.send_signal(number)
        program.send_signal(number)
        output, errors = program.communicate(timeout=30)
    assert program.returncode == 128 + number and time.monotonic() - asked < 5
    assert len(errors.strip().splitlines()) == 1 and "the same command again" in errors
    assert ("cleaned" in output) == (what == "cleans up") and ("lost" in output) == (what == "loses the interrupt")
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_program_that_is_not_asked_ends_as_it_likes() -> None:
    code = "from instructme.pipelines.commands.signals import stoppable\nwith stoppable():\n    raise SystemExit(7)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 7
