"""Look up the parts, licences and rhythms of a working folder's tracks."""

import dataclasses
import functools
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from instructme.dataset_tools.sharding import part_files
from instructme.manifests import tables
from instructme.manifests.paths import inside
from instructme.manifests.rows import DataError, Part, Rhythm, Track, Triplet

PARENTS = ("tracks.parquet", "parts.parquet", "rhythm.parquet", "triplets.parquet")
"""The tables that shards are made from."""
Value = TypeVar("Value")
_COLUMNS = ["track_id", "instrument", "path", "sample_rate_hz", "channels", "rms_db"]


@dataclasses.dataclass(frozen=True)
class Library:
    """What rendering and verifying need to know of all tracks."""

    rate_hz: int
    paths: dict[tuple[str, str], Path]
    tracks: dict[str, dict[str, str]]
    rhythms: pa.Table
    rhythm_rows: dict[str, int]
    rms_db: dict[tuple[str, str], float]
    channels: int = 1

    def part(self, track_id: str, instrument: str) -> Path:
        """Find the part file of an instrument in a track.

        Raises:
            DataError: no such part, or its file has changed since `prepare`.
        """
        path = _found(self.paths, (track_id, instrument), f"part {instrument} of track {track_id} in parts.parquet")
        part_files.check(path, self.rms_db[track_id, instrument])
        return path

    def track(self, track_id: str) -> dict[str, str]:
        """Find dataset, licence, split and leak_group of a track.

        Raises:
            DataError: no such track.
        """
        return _found(self.tracks, track_id, f"track {track_id} in tracks.parquet")

    def rhythm(self, track_id: str) -> Rhythm:
        """Find the beats and chords of a track.

        Raises:
            DataError: none in the table.
        """
        row = _found(self.rhythm_rows, track_id, f"track {track_id} in rhythm.parquet")
        return Rhythm(**self.rhythms.slice(row, 1).to_pylist()[0])


def _found(rows: Mapping[Any, Value], key: object, what: str) -> Value:
    if key not in rows:
        raise DataError(f"no {what}: run prepare and pair again")
    return rows[key]


def read(work: Path) -> Library:
    """Read the library of a working folder.

    Raises:
        DataError: a table is missing or damaged, or the parts differ in sample rate.
    """
    parts = tables.read(work / "parts.parquet", Part, _COLUMNS).to_pylist()
    tracks = tables.read(work / "tracks.parquet", Track, ["track_id", "dataset", "licence", "split", "leak_group"]).to_pylist()
    rhythms = tables.read(work / "rhythm.parquet", Rhythm)
    rates, channels = {part["sample_rate_hz"] for part in parts}, {part["channels"] or 1 for part in parts}
    if len(rates) != 1 or len(channels) != 1:
        raise DataError(f"parts of several sample rates, or mono and stereo, in {work / 'parts.parquet'}: run prepare again")
    return Library(
        rate_hz=rates.pop(),
        paths={(part["track_id"], part["instrument"]): inside(work, part["path"]) for part in parts},
        tracks={track["track_id"]: track for track in tracks},
        rhythms=rhythms,
        rhythm_rows={track_id: row for row, track_id in enumerate(rhythms["track_id"].to_pylist())},
        channels=channels.pop(),
        rms_db={(part["track_id"], part["instrument"]): part["rms_db"] for part in parts},
    )


@functools.lru_cache(maxsize=1)
def cached(work: Path, state: tuple[str, ...]) -> Library:
    """Read the library once per process and `state` of its tables, such as their hashes."""
    return read(work)


def recipes(work: Path, tasks: Collection[str]) -> pa.Table:
    """Read the recipes of a working folder, of `tasks` only, checking that they belong to its tables and can be rendered.

    Raises:
        DataError: they don't, or the table is missing or damaged.
    """
    table = tables.read(work / "triplets.parquet", Triplet)
    tables.check_known(work / "triplets.parquet", "task", table["task"], tasks)
    if problems := tables.broken_chain(work / "triplets.parquet"):
        raise DataError(f"{work / 'triplets.parquet'} can't be rendered: {problems[0]}")
    return table
