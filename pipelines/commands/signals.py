"""End the program at Ctrl-C or SIGTERM: one line, no traceback, no process left behind, whatever it is doing."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE_S = 3.0
"""How long what runs may take to clean up after itself."""
_LINE = b"\nStopped. Nothing half-written is left in view; the same command goes on.\n"


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM in the block into one line, the end of all child processes, and exit code 130 or 143.

    The block gets a KeyboardInterrupt, to remove its temporary files; where that is lost, such as in a callback of a
    library, or cleaning up takes too long, the program ends without.
    """
    asked, told = os.pipe()
    stopped, ended = threading.Event(), threading.Event()

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        stopped.set()
        os.write(told, bytes([number]))
        with suppress(OSError):
            os.write(2, _LINE)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what falls over from now on has nothing to say
        raise KeyboardInterrupt

    threading.Thread(target=_end, args=(asked, ended), daemon=True).start()
    for each in SIGNALS:
        signal.signal(each, stop)
    try:
        yield
    finally:
        if stopped.is_set():
            ended.set()
            threading.Event().wait()


def _end(asked: int, ended: threading.Event) -> NoReturn:
    """Wait for a signal; then kill child processes until the block has ended or has had its time, and exit."""
    number = os.read(asked, 1)[0]
    import psutil  # type: ignore[import-untyped]

    deadline_s = time.monotonic() + PATIENCE_S  # by the clock: on a busy machine listing the children takes longer than the wait
    while not ended.wait(0.05) and time.monotonic() < deadline_s:
        _kill_children()
    psutil.wait_procs(_kill_children(), timeout=1)
    os._exit(128 + number)


def _kill_children() -> list[Any]:
    import psutil

    children: list[Any] = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    return children
