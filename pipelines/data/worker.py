"""Set up a process that loads batches."""

import atexit
import contextlib
import ctypes
import functools
import signal
from collections.abc import Iterable, Iterator
from multiprocessing.process import BaseProcess

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""Parameters of mallopt(3)."""


def begin(_: int) -> None:
    """Prepare a worker process."""
    _leave_signals()
    _keep_memory()


def _leave_signals() -> None:
    """Leave Ctrl-C and SIGTERM, which may go to all processes, to the training loop: it needs batches until it has saved.

    Workers end with the stream, or with the process that reads it (see `ended_with`).
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def ended_with(workers: Iterable[BaseProcess]) -> Iterator[None]:
    """Kill workers that are left at exit: multiprocessing would send them SIGTERM, which they ignore, and wait for ever.

    A block that ends by an error, or is closed, leaves that to the exit: the error's traceback may keep the workers alive.
    """
    kill = functools.partial(_kill, list(workers))
    atexit.register(kill)
    yield
    atexit.unregister(kill)


def _kill(workers: Iterable[BaseProcess]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch would raise an error for each
    for worker in workers:
        worker.kill()


def _keep_memory() -> None:
    """Have malloc keep what a clip took for the next one: fetching and clearing new pages is a tenth of the time."""
    with contextlib.suppress(AttributeError):  # only glibc has it
        mallopt = ctypes.CDLL(None).mallopt
        for parameter in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
            mallopt(parameter, 1 << 27)
