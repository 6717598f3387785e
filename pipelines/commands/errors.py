"""Explain errors of the system in one line, with advice."""

import errno
import os
import sys

_ADVICE = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "delete files there, or ask for a larger quota",
    errno.EROFS: "the disk is read-only: choose another place, or mount it for writing",
    errno.EACCES: "change its permissions, or choose another place",
    errno.EPERM: "change its permissions, or choose another place",
    errno.EIO: "check the disk for damage",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


def explain(error: OSError) -> str:
    """Describe an error in one line: the cause, the file, and advice."""
    if isinstance(error, TimeoutError) and error.errno is None:  # of the worker processes, with no text
        return "the worker processes did not answer in time: run the same command again, with fewer --workers"
    if error.errno is None:
        return f"{' '.join(str(error).split())}: check path, permissions and free space, then run the same command again"
    where = f": {error.filename!r}" if error.filename else ""
    advice = _ADVICE.get(error.errno, "check path, permissions and free space")
    return f"{os.strerror(error.errno)}{where}: {advice}, then run the same command again"


def leave_full_output() -> None:
    """Send standard output nowhere if it takes nothing more. Python would write what is left at its end, and fail once more."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def memory(error: RuntimeError) -> str | None:
    """Describe an error of torch in one line, with advice, if its cause is a lack of memory; otherwise return None."""
    words = str(error)
    if "DataLoader worker" in words:
        return (
            "a worker that reads data was killed, probably by a lack of memory: run the same command again with fewer --workers"
        )
    if "out of memory" in words or "can't allocate memory" in words:
        return "out of memory: use a smaller --batch-size, or split each batch (--set editor_training.accumulation=4)"
    return None
