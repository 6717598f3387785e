"""Go on after a stop: a unit of work is finished when its marker exists and states the same inputs.

A marker is a JSON file that is written last. It states what the result depends on, or a hash of it, and the size of each file.
One run at a time may write into a folder.
"""

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from instructme.manifests.files import atomic
from instructme.manifests.rows import DataError
from instructme.manifests.tables import sha256

LOCK = ".instructme.lock"
"""An empty file in a folder that is in use. Killed runs leave it, unlocked, and the next run removes it."""


@dataclass(frozen=True)
class MarkedUnit:
    """A unit of work: its marker, and what the result depends on, as the marker states it."""

    marker: Path
    depends: dict[str, Any]

    def finished(self) -> dict[str, Any] | None:
        """Read its marker; None if the result must be made."""
        return finished(self.marker, self.depends)


@contextmanager
def held(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Keep other runs from writing into a local folder, or, if it is `shared`, only read it together with others.

    The system frees the folder when this process ends, also when it is killed. Disks without locks keep nobody out. A new folder
    into which nothing was written is removed.

    Raises:
        DataError: another run writes into the folder, or reads it and must not be disturbed.
    """
    is_new = not shared and not folder.exists()
    if is_new:
        folder.mkdir(parents=True, exist_ok=True)
    file = _lock(folder, shared)
    try:
        yield
    finally:
        if file:
            with file, suppress(OSError):  # others read the folder, too
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                (folder / LOCK).unlink()
        if is_new:
            with suppress(OSError):
                folder.rmdir()


def _lock(folder: Path, shared: bool) -> IO[bytes] | None:
    while True:
        try:
            file = (folder / LOCK).open("ab+")
        except OSError:  # whoever only reads need not have the right to write
            return None
        try:
            # Of this process alone: flock would pass the lock on to the workers that are forked, which may outlive it.
            fcntl.lockf(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.close()
            raise DataError(f"in use by another command: {folder}: wait until that ends, or choose another folder") from None
        except OSError:
            return file
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # the run before has just removed it


def key(*depends: Any) -> str:
    """Hash all that a result depends on."""
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()


def sizes(folder: Path) -> dict[str, int]:
    """Measure all files of a folder in bytes, for its marker."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def hashes(files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Measure and hash files, for the marker beside them."""
    return {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in files}


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Write a marker, or another small JSON file, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(values, sort_keys=True, indent=1) + "\n", encoding="utf-8")


def finished(marker: Path, depends: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read the marker of a result that needn't be made again.

    Markers of tracks and songs hold `bytes`, those of shards and latents hold `files`. Songs made by version 0.1.0 hold neither.

    Returns:
        The marker. None if there is none, it doesn't state `depends`, or a file hasn't the size that it states.
    """
    try:
        values: dict[str, Any] = json.loads(marker.read_text(encoding="utf-8"))
        stated = values.get("bytes") or {name: file["bytes"] for name, file in values.get("files", {}).items()}
        same = depends.items() <= values.items()
        whole = same and all((marker.parent / name).stat().st_size == size for name, size in stated.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return values if whole else None


def tell(description: str, markers: Collection[Path], noun: str) -> None:
    """Say in one line on stderr how many of the results that are to be made were finished before: those with a marker."""
    if count := sum(marker.exists() for marker in markers):
        what = f"{count} finished {noun}{'' if count == 1 else 's'}"
        print(f"{description}: makes {what} again, because options, inputs or files have changed", file=sys.stderr)
