"""Make names and paths that are safe on every disk and in every tar."""

import errno
import hashlib
import re
import unicodedata
from pathlib import Path

from instructme.manifests.rows import DataError


def composed(name: str) -> str:
    """Write a name in Unicode's composed form: disks and programs write one name in several encodings."""
    return unicodedata.normalize("NFC", name)


def slug(text: str, longest: int = 60) -> str:
    """Reduce text to [a-z0-9_-]; never empty, never longer than `longest`, distinct for distinct long texts."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")
    if name and len(name) <= longest:
        return name
    digest = hashlib.sha256(composed(text).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name[: longest - 9].rstrip('-_')}-{digest}".lstrip("-")


def inside(root: Path, relative: str | Path) -> Path:
    """Join a relative path to its root.

    Raises:
        DataError: the path leaves the root, also through a symbolic link, or is none.
    """
    path = root / relative
    try:
        safe = path.resolve().is_relative_to(root.resolve()) and not _is_loop(path)
    except (OSError, RuntimeError, ValueError):
        safe = False  # a loop of links, or a NUL
    if not safe:
        raise DataError(f"path leaves its folder: {relative!s} in {root}: remove the link or the '..'")
    return path


def without_root(text: object, root: Path) -> str:
    """Leave out of a message where on this machine a dataset lies."""
    return str(text).replace(f"{root}/", "")


def _is_loop(path: Path) -> bool:
    """Find a loop of links on the local disk, which `resolve` lets pass from Python 3.13 on."""
    try:
        if isinstance(path, Path):
            path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False
