"""List the processes that a program has started and left behind. `ps` is missing on small systems."""

import os
from contextlib import suppress

import psutil


def running(session: int) -> list[int]:
    """List the processes of a session that still run, by the process that leads it."""
    found = []
    for each in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(each.pid) == session and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each.pid)
    return found
