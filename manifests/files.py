"""Write files and folders that appear whole or not at all."""

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HIDDEN = re.compile(r"\..+\.\d+\.tmp")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path` that becomes `path` when the block succeeds and vanishes when it doesn't."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _hidden(path)
    try:
        with naming(path, temporary):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path` that takes its place when the block succeeds and vanishes when it doesn't."""
    temporary = _hidden(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        with naming(path, temporary):
            yield temporary
            shutil.rmtree(path, ignore_errors=True)
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _hidden(path: Path) -> Path:
    """Name what is not finished yet; no two processes on any machine share it, as one that its run has lost may still write."""
    return path.with_name(f".{path.name}.{secrets.randbits(48)}.tmp")


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Say in errors which file the disk refuses, by its final name: writing to one that is open fails without any."""
    try:
        yield
    except OSError as error:
        if error.errno:
            error.filename = str(error.filename or path).replace(str(temporary or path), str(path))
        raise


def sweep(folder: Path, name: str = "*") -> None:
    """Remove what killed runs left half-written in a folder, of all files or of one name. No other run may be writing it."""
    for path in folder.glob(f".{name}.*.tmp"):
        if _HIDDEN.fullmatch(path.name) and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif _HIDDEN.fullmatch(path.name):
            path.unlink(missing_ok=True)


def written_by_hand(path: Path, mark: str) -> bool:
    """Tell whether there is a text that lacks the mark of ours: somebody's own, which stays."""
    return path.exists() and mark not in path.read_text("utf-8", errors="replace")
