"""Check that part files are those that `prepare` wrote: tables and recipes describe no others."""

import functools
import json
from pathlib import Path

from instructme.manifests import tables
from instructme.manifests.rows import DataError, Part

MARKER = "done.json"
"""The file in the folder of a track that `prepare` writes last. It states the size of each other file."""


def check(path: Path, rms_db: float) -> None:
    """Compare a part file with the marker beside it, and its level in the tables of the track and of the working folder.

    Files in a folder without a marker are not checked. A missing file is left to its reader.

    Raises:
        DataError: the file was replaced, or its folder is that of another run.
    """
    try:
        state = path.stat()
    except OSError:
        return
    if not _is_prepared(path, rms_db, state.st_size, state.st_mtime_ns):
        raise DataError(f"part has changed since prepare: {path}: run prepare again")


@functools.lru_cache(maxsize=1 << 14)
def _is_prepared(path: Path, rms_db: float, size_bytes: int, time_ns: int) -> bool:
    """Tell whether a part file has the size in its marker, and its level in both tables. `time_ns` is part of the key only."""
    try:
        stated = json.loads((path.parent / MARKER).read_text())["bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        return True
    rows = tables.read(path.parent / "parts.parquet", Part, ["path", "rms_db"]).to_pylist()
    return stated.get(path.name) == size_bytes and any(
        row["path"].endswith(f"/{path.name}") and row["rms_db"] == rms_db for row in rows
    )
