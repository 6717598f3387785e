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
    marker = path.parent / MARKER
    try:
        size_bytes, written_ns = path.stat().st_size, marker.stat().st_mtime_ns
    except OSError:
        return
    stated = _stated(marker, written_ns)
    if stated is not None and stated.get(path.name) != (size_bytes, rms_db):
        raise DataError(f"the part file {path} was replaced after prepare: run prepare again")


@functools.lru_cache(maxsize=1 << 12)
def _stated(marker: Path, written_ns: int) -> dict[str, tuple[int | None, float]] | None:
    """Read size and level of each part of a track, or None if the marker tells no sizes. `written_ns` is part of the key only."""
    try:
        sizes = json.loads(marker.read_text())["bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    rows = tables.read(marker.parent / "parts.parquet", Part, ["path", "rms_db"]).to_pylist()
    return {name: (sizes.get(name), row["rms_db"]) for row in rows for name in [row["path"].rpartition("/")[2]]}
