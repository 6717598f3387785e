"""Have another process use a folder, as a second command would."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instructme.pipelines.processes import resume


@contextmanager
def used_elsewhere(folder: Path, kind: str = "EX") -> Iterator[subprocess.Popen[str]]:
    """Use a folder until the block ends: `EX` to write into it, `SH` to read it."""
    code = f"import fcntl, sys, time; file = open({str(folder / resume.LOCK)!r}, 'ab+'); fcntl.lockf(file, fcntl.LOCK_{kind}); "
    other = subprocess.Popen([sys.executable, "-S", "-c", f"{code} print(flush=True); time.sleep(60)"], stdout=-1, text=True)
    assert other.stdout
    other.stdout.readline()
    try:
        yield other
    finally:
        other.kill()
        other.wait()
