"""Say in one line what the machine refuses, and what to do about it."""

import errno
import os

_ADVICE = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some of your quota there, or have it raised",
    errno.EROFS: "it is mounted for reading only: choose another place, or have it mounted for writing",
    errno.EACCES: "mend its rights, or choose another place",
    errno.EPERM: "mend its rights, or choose another place",
    errno.EIO: "check that disk",
    errno.EMFILE: "raise the limit (ulimit -n)",
}


def explain(error: OSError) -> str:
    """Name what is refused and where, and what to do."""
    if error.errno is None:
        return f"{' '.join(str(error).split())}: check path, rights and free space, then run again"
    where = f": {error.filename!r}" if error.filename else ""
    advice = _ADVICE.get(error.errno, "check path, rights and free space")
    return f"{os.strerror(error.errno)}{where}: {advice}; then the same command goes on"


def memory(error: RuntimeError) -> str | None:
    """Tell where torch ran out of memory, or a process that loads for it was killed, and what to do; None if it is neither."""
    told = str(error)
    if "DataLoader worker" in told:
        return "a process that reads was killed, for want of memory most likely: take fewer --workers; the same command goes on"
    if "out of memory" in told or "can't allocate memory" in told:
        return "out of memory: take a smaller --batch-size, or more parts of it (--set editor_training.accumulation=4)"
    return None
