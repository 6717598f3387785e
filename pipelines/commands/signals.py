"""End the program at Ctrl-C or SIGTERM: print one line and no traceback, and leave no process behind."""

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
"""Time that the program gets to clean up."""
_LINE = b"\nStopped. All finished files are complete. To continue, run the same command again.\n"


@contextmanager
def stoppable() -> Iterator[None]:
    """End the program at the first SIGINT or SIGTERM in the block: print one line, end all child processes, exit with 130 or 143.

    The block gets a KeyboardInterrupt, so that it can remove its temporary files. If a library swallows the interrupt, or
    if the cleaning takes too long, the program ends without it.
    """
    reading, writing = os.pipe()
    stopped, ended = threading.Event(), threading.Event()

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        stopped.set()
        os.write(writing, bytes([number]))
        with suppress(OSError):
            os.write(2, _LINE)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # errors that follow from the stop would only confuse
        raise KeyboardInterrupt

    threading.Thread(target=_end, args=(reading, ended), daemon=True).start()
    for each in SIGNALS:
        signal.signal(each, stop)
    try:
        yield
    finally:
        if stopped.is_set():
            ended.set()
            threading.Event().wait()


def _end(reading: int, ended: threading.Event) -> NoReturn:
    """Wait for a signal. Then kill child processes until the block ends or its time is over, and exit."""
    number = os.read(reading, 1)[0]
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
