"""What a process that loads batches is told when it begins."""

import contextlib
import ctypes
import os
import signal
import threading

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""Parameters of mallopt(3)."""


def begin(_: int) -> None:
    """Prepare a worker process."""
    _leave_signals()
    _keep_memory()


def _leave_signals() -> None:
    """Leave Ctrl-C and SIGTERM, which may go to all processes, to the training loop: it needs batches until it has saved."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # macOS has none
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when its parent, and nobody else, says so."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def _keep_memory() -> None:
    """Have malloc keep what a clip took for the next one: fetching and clearing new pages is a tenth of the time."""
    with contextlib.suppress(AttributeError):  # only glibc has it
        mallopt = ctypes.CDLL(None).mallopt
        for parameter in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
            mallopt(parameter, 1 << 27)
