"""Read a table of stems that a user wrote: CSV or parquet, paths relative to its folder.

Columns `track_id,path,instrument`, and optionally `stem_id,artist,title,split,genre,tempo,key,license,group_id,is_drum,bleed`,
and `beats_path,downbeats,chords_path`, which are files of `annotations`. Empty cells are unknown. Names of columns may have
capitals; commas, semicolons, tabs or bars may part the cells. `group_id` joins tracks that a split must not part. What is said of
a track counts on the first row that says it.
Also the two columns `type,path`, as some separation tools have them: single parts that don't belong together in time.
"""

import codecs
import csv
import io
import posixpath
import re
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from instructme.dataset_tools.layouts import FoundStem, FoundTrack, Rejected, files, is_file, positive, split_name, text, yes
from instructme.manifests import csv_files
from instructme.manifests.instruments import normalise
from instructme.manifests.paths import composed
from instructme.manifests.rows import DataError

if TYPE_CHECKING:
    import pandas

EXPECTS = "a CSV or parquet file with the columns track_id, path, instrument"
COMPANIONS = ()
_TEXT = (".csv", ".tsv")
_SEPARATOR = re.compile(r"\Asep=.\r?\n")
"""The first line that spreadsheets write to say what parts the cells."""
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
    rows = _rows(path)
    columns = set(rows[0]) if rows else set()
    if set(_SINGLES) <= columns and "track_id" not in columns:
        rows = [{**row, "track_id": text(row["path"]), "instrument": row["type"]} for row in rows]
    elif missing := [name for name in _NEEDED if name not in columns]:
        raise DataError(f"no column {', '.join(missing)} in {path}: a table of stems needs {', '.join(_NEEDED)}")
    for name in sorted(columns - _KNOWN):
        if not name.startswith("unnamed:"):  # the index of pandas
            near = get_close_matches(name, sorted(_KNOWN), 1)
            yield Rejected(f"{path.name}: {name}", "unread_column", "no such column" + (f": is it {near[0]}?" if near else ""))
    songs: dict[str, list[dict[str, Any]]] = {}
    places: dict[str, int] = {}
    for number, row in enumerate(rows, 2):
        if not text(row["track_id"]) or not text(row["path"]):
            yield Rejected(f"{path.name} row {number}", "incomplete", "no track_id or no path")
        elif (place := _plain(text(row["path"]))) in places:
            yield Rejected(
                f"{path.name} row {number}", "twice", f"row {places[place]} already has {place}: remove one of the two"
            )
        else:
            places[place] = number
            songs.setdefault(composed(text(row["track_id"])), []).append({**row, "path": place})
    for name, stems in songs.items():
        yield _track(path, name, stems)


def _track(table: Path, name: str, rows: list[dict[str, Any]]) -> FoundTrack:
    folder = table.parent
    first = rows[0] | {column: next((row[column] for row in rows if text(row.get(column))), None) for column in _SONG}
    group, split = text(first.get("group_id")), text(first.get("split")).lower()
    rejected = (
        [Rejected(f"{name}: {split}", "split", "no such split: a split is drawn instead")]
        if split and not split_name(split)
        else []
    )
    rejected += list(_contradicted(rows))
    rejected += [
        Rejected(f"{name}: {column}", "rows_differ", f"rows of this track differ: {text(first[column])} is used")
        for column in _SONG
        if len({text(row.get(column)) for row in rows} - {""}) > 1
    ]
    tempo = _tempo(text(first["tempo"]))
    if text(first["tempo"]) and tempo is None:
        rejected.append(
            Rejected(f"{name}: {text(first['tempo'])}", "not_understood", "not a tempo: write it in beats per minute")
        )
    if text(first.get("downbeats") or first.get("downbeats_path")) and not text(first.get("beats_path") or first.get("beats")):
        rejected.append(Rejected(f"{name}: downbeats", "incomplete", "downbeats without beats: give beats_path, too"))
    stems = tuple(
        FoundStem(
            stem_id=text(row.get("stem_id")) or f"{number:02d}",
            path=_place(folder, text(row["path"])),
            label=text(row["instrument"]),
            program=128 if yes(row.get("is_drum")) and not text(row["instrument"]) else None,
            bleed=yes(row.get("bleed")),
        )
        for number, row in enumerate(rows)
    )
    return FoundTrack(
        name=name,
        path=folder,
        title=text(first.get("title")) or name,
        artist=text(first.get("artist")) or None,
        stems=stems,
        genre=text(first.get("genre")) or None,
        licence=text(first.get("license")) or text(first.get("licence")) or "unknown",
        split=split_name(split),
        leak_group=f"group:{group}" if group else None,
        aligned="type" not in first,
        tempo_bpm=tempo,
        key=text(first.get("key")) or None,
        chords_path=_beside(folder, first, "chords_path", "chords"),
        beats_path=_beside(folder, first, "beats_path", "beats"),
        downbeats_path=_beside(folder, first, "downbeats_path", "downbeats"),
        table=table,
        rejected=tuple(rejected),
    )


def _contradicted(rows: Sequence[dict[str, Any]]) -> Iterator[Rejected]:
    """Tell of files whose names say another family than the table does, such as after one column was sorted."""
    for row in rows:
        stated, named = normalise(text(row["instrument"])), normalise(PurePosixPath(text(row["path"])).stem)
        if stated.certain and named.certain and stated.editable and named.editable and stated.family != named.family:
            detail = f"the table says {stated.instrument}, and the name of the file says {named.instrument}: compare the two"
            yield Rejected(text(row["path"]), "names_differ", detail)


def _tempo(written: str) -> float | None:
    """Read beats per minute, also as `120,5` or `120 BPM`."""
    return positive(written.lower().removesuffix("bpm").strip().replace(",", "."))


def _beside(folder: Path, row: dict[str, Any], *columns: str) -> Path | None:
    """Find the file that the first of some columns names."""
    named = next((name for column in columns if (name := text(row.get(column)))), "")
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
    found = files(root, *_TEXT).values() or files(root, ".parquet").values()
    return [path for path in found if {*_NEEDED} <= (columns := _columns(path)) or columns == {*_SINGLES}]


def _columns(path: Path) -> set[str]:
    try:
        return set(_frame(path, rows=1).columns)
    except DataError:
        return set()


def _rows(path: Path) -> list[dict[str, Any]]:
    frame = _frame(path)
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]


def _frame(path: Path, rows: int | None = None) -> "pandas.DataFrame":
    """Read a table: delimiter and encoding as found, names of columns trimmed and in lower case, all cells text.

    Raises:
        DataError: unreadable, or a row is longer than the header.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        frame = pd.read_parquet(path) if path.suffix.lower() == ".parquet" else _text_frame(path, rows)
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise DataError(f"can't read the table {path}: {' '.join(str(error).split())[:200]}") from None
    frame.columns = [str(name).strip().lower() for name in frame.columns]
    return frame


def _text_frame(path: Path, rows: int | None) -> "pandas.DataFrame":
    import pandas as pd

    text = _SEPARATOR.sub("", _decoded(path))
    first = text.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    if rows is None:  # pandas cuts rows that are longer than the header
        list(csv_files.rows(path, csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)))
    return pd.read_csv(
        io.StringIO(text),
        sep=delimiter,
        dtype=str,
        keep_default_na=False,
        nrows=rows,
        index_col=False,
        usecols=lambda name: True,  # else pandas warns of rows that end with an empty cell
    )


def _decoded(path: Path) -> str:
    """Read text in UTF-8, in UTF-16 if it says so, else in Latin-1 as older spreadsheets write it."""
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
