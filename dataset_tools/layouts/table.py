"""Read a table of stems that a user wrote: CSV or parquet, paths relative to its folder.

Columns `track_id,path,instrument`, and optionally `stem_id,artist,title,split,genre,tempo,key,license,group_id,is_drum,bleed`,
and `beats_path,downbeats,chords_path`, which are files of `annotations`. Empty cells are unknown. Names of columns may have
capitals; commas, semicolons, tabs or bars may part the cells. `group_id` joins tracks that a split must not part. What is said of
a track counts on the first row that says it.
Also the two columns `type,path`, as some separation tools have them: single parts that don't belong together in time.
"""

import csv
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

from instructme.dataset_tools.layouts import FoundStem, FoundTrack, Rejected, files, is_file, positive, split_name, text, yes
from instructme.dataset_tools.layouts._artists import artist_and_title
from instructme.manifests import csv_files
from instructme.manifests.instruments import normalise
from instructme.manifests.paths import composed
from instructme.manifests.rows import DataError

EXPECTS = "a CSV or parquet file with the columns track_id, path, instrument"
COMPANIONS = ()
_TEXT = (".csv", ".tsv", ".txt")
_NEEDED = ("track_id", "path", "instrument")
_SINGLES = ("type", "path")
_SONG = (
    *("artist", "title", "split", "genre", "tempo", "key", "license", "licence", "group_id"),
    *("beats_path", "beats", "downbeats_path", "downbeats", "chords_path", "chords"),
)
"""Columns about a whole song."""
_KNOWN = frozenset([*_NEEDED, *_SINGLES, *_SONG, "stem_id", "is_drum", "bleed"])


def recognises(root: Path) -> bool:
    """Tell whether the root is a CSV or parquet file, or a folder with exactly one that has the columns."""
    return (root.is_file() and root.suffix.lower() in (*_TEXT, ".parquet")) or len(_tables(root)) == 1


def tracks(root: Path) -> Iterator[FoundTrack | Rejected]:
    """Read every track of the table, in order of first mention.

    Raises:
        DataError: unreadable, a row is longer than the header, or a column is missing.
    """
    path = root if root.is_file() else _tables(root)[0]
    header, rows = _cells(path)
    columns = set(header)
    if set(_SINGLES) <= columns and "track_id" not in columns:
        rows = [(number, {**row, "track_id": row["path"], "instrument": row["type"]}) for number, row in rows]
    elif missing := [name for name in _NEEDED if name not in columns]:
        raise DataError(f"no column {', '.join(missing)} in {path}: a table of stems needs {', '.join(_NEEDED)}")
    for name in sorted(columns - _KNOWN):
        if name and not name.startswith(("unnamed:", "__index_level_")):  # the index of pandas
            near = get_close_matches(name, sorted(_KNOWN), 1)
            yield Rejected(f"{path.name}: {name}", "unread_column", "no such column" + (f": is it {near[0]}?" if near else ""))
    songs: dict[str, list[dict[str, str]]] = {}
    places: dict[str, int] = {}
    for number, row in rows:
        where = f"{path.name} row {number}"
        if not row["track_id"] or not row["path"]:
            yield Rejected(where, "incomplete", "no track_id or no path")
        elif (place := _plain(row["path"])) in places:
            yield Rejected(where, "twice", f"row {places[place]} already has {place}: remove one of the two")
        else:
            places[place] = number
            songs.setdefault(composed(row["track_id"]), []).append({**row, "path": place})
    for own in _alike(songs):
        reading = f"read as {len(own)} tracks, though they differ only in capitals, zeros or gaps: write a track_id in one way"
        yield Rejected(f"{path.name}: {', '.join(own)}", "rows_differ", reading)
    for name, stems in songs.items():
        yield _track(path, name, stems)


def _alike(names: Iterable[str]) -> Iterator[list[str]]:
    """Find names that a program or a person may have changed: `1` beside `01` and `1.0`, `My Song` beside `my_song`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        plain = re.sub(r"^0+(?=\d)|(?<=\d)\.0+$", "", name.casefold())
        groups.setdefault(re.sub(r"[\s_-]+", "_", plain), []).append(name)
    yield from (own for own in groups.values() if len(own) > 1)


def _track(table: Path, name: str, rows: list[dict[str, str]]) -> FoundTrack:
    folder = table.parent
    song = {column: next(filter(None, (row.get(column) for row in rows)), "") for column in _SONG}
    stems = tuple(
        FoundStem(
            stem_id=row.get("stem_id") or f"{number:02d}",
            path=_place(folder, row["path"]),
            label=row["instrument"],
            program=128 if yes(row.get("is_drum")) and not row["instrument"] else None,
            bleed=yes(row.get("bleed")),
        )
        for number, row in enumerate(rows)
    )
    artist, title = (song["artist"], song["title"] or name) if song["artist"] else artist_and_title(song["title"] or name)
    return FoundTrack(
        name=name,
        path=folder,
        title=title,
        artist=artist,
        stems=stems,
        genre=song["genre"] or None,
        licence=song["license"] or song["licence"] or "unknown",
        split=split_name(song["split"].lower()),
        leak_group=f"group:{song['group_id']}" if song["group_id"] else None,
        aligned="type" not in rows[0],
        tempo_bpm=_tempo(song["tempo"]),
        key=song["key"] or None,
        chords_path=_beside(folder, song["chords_path"] or song["chords"]),
        beats_path=_beside(folder, song["beats_path"] or song["beats"]),
        downbeats_path=_beside(folder, song["downbeats_path"] or song["downbeats"]),
        table=table,
        rejected=tuple(_doubts(name, song, rows)),
    )


def _doubts(name: str, song: Mapping[str, str], rows: Sequence[dict[str, str]]) -> Iterator[Rejected]:
    """Tell of what a table says of a song that can't be used, or that is not certain."""
    if (split := song["split"].lower()) and not split_name(split):
        yield Rejected(f"{name}: {split}", "split", "no such split: a split is drawn instead")
    yield from _contradicted(rows)
    for column in ("is_drum", "bleed"):
        if odd := next((cell for row in rows if (cell := row.get(column)) and yes(cell) is None), None):
            yield Rejected(f"{name}: {column} {odd}", "not_understood", "neither yes nor no: it counts as unknown")
    for column in _SONG:
        if len({row.get(column) for row in rows} - {"", None}) > 1:
            yield Rejected(f"{name}: {column}", "rows_differ", f"rows of this track differ: {song[column]} is used")
    if song["tempo"] and _tempo(song["tempo"]) is None:
        yield Rejected(f"{name}: {song['tempo']}", "not_understood", "not a tempo: write it in beats per minute")
    if (song["downbeats"] or song["downbeats_path"]) and not (song["beats_path"] or song["beats"]):
        yield Rejected(f"{name}: downbeats", "incomplete", "downbeats without beats: give beats_path, too")


def _contradicted(rows: Sequence[dict[str, str]]) -> Iterator[Rejected]:
    """Tell of files whose names say another family than the table does, such as after one column was sorted.

    Where the table names no instrument, tell of mixtures and click tracks.
    """
    for row in rows:
        stated, named = normalise(row["instrument"]), normalise(PurePosixPath(row["path"]).stem)
        apart = stated.certain and stated.editable and named.editable and stated.family != named.family
        if named.certain and (apart or (stated.is_stem and not stated.editable and not named.is_stem)):
            says = named.instrument if named.is_stem else "a mixture or click track"
            detail = f"the table says {stated.instrument}, and the name of the file says {says}: compare the two"
            yield Rejected(row["path"], "names_differ", detail)


def _tempo(written: str) -> float | None:
    """Read beats per minute, also as `120,5` or `120 BPM`."""
    return positive(written.lower().removesuffix("bpm").strip().replace(",", "."))


def _beside(folder: Path, named: str) -> Path | None:
    return _place(folder, named) if named else None


def _place(folder: Path, named: str) -> Path:
    """Join a path of the table to its folder, in the encoding of the disk. `scan` refuses paths that step out of it."""
    forms = [_plain(named)] if named.isascii() else [unicodedata.normalize(form, _plain(named)) for form in ("NFC", "NFD")]
    return next((folder / Path(form) for form in forms if is_file(folder / Path(form))), folder / Path(forms[0]))


def _plain(named: str) -> str:
    """Write a path in one way, by which two rows that name one file are known."""
    return posixpath.normpath(composed(named).replace("\\", "/"))


def _tables(root: Path) -> list[Path]:
    """List the tables of stems in a folder."""
    for suffixes in (_TEXT, (".parquet",)):
        listed = files(root, *suffixes).values()
        if found := [path for path in listed if {*_NEEDED} <= (columns := _columns(path)) or columns == {*_SINGLES}]:
            return found
    return []


def _columns(path: Path) -> set[str]:
    try:
        return set(_cells(path)[0])
    except DataError:
        return set()


def _cells(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read the columns of a table, in lower case, and its rows with their numbers.

    Raises:
        DataError: unreadable, two columns have one name, or a row is longer than the header.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix.lower() != ".parquet":
            columns, lines = csv_files.read(path, legacy="latin-1")  # as older spreadsheets write it
            return columns, list(lines)
        table = pq.read_table(pa.BufferReader(path.read_bytes()))
        names = [name.strip().lower() for name in table.column_names]
        rows = zip(*(map(_written, column.to_pylist()) for column in table.columns), strict=True)
        return names, [(number, dict(zip(names, row, strict=True))) for number, row in enumerate(rows, 2)]
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise DataError(f"can't read the table {path}: {' '.join(str(error).split())[:200]}") from None


def _written(value: Any) -> str:
    return str(value) if isinstance(value, bool) else text(value)
