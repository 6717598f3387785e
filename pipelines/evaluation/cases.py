"""List what is scored: triplets with the edits of one or more systems, from a table of files. See also `shard_cases`."""

import csv
import dataclasses
import functools
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.layouts import yes
from instructme.dataset_tools.tasks import task_module, task_names
from instructme.manifests import csv_files
from instructme.manifests.counting import counted
from instructme.manifests.rows import DataError
from instructme.pipelines.evaluation.spectra import RATE_HZ

T = TypeVar("T")
COLUMNS = ("key", "source", "target", "edit")
"""Columns that a table of pairs must have; those of `OF_TRIPLET`, system and dataset are optional."""
OF_TRIPLET = ("source", "target", "task", "instruction", "song", "absent", "lead")
"""Columns that say something of the triplet, not of an edit: the same in all rows of a key."""
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")

_OTHER_SUFFIXES = (".m4a", ".aac", ".opus", ".wma")
"""Formats that can't be read."""


class TripletSides(Protocol):
    """Where the two sides of a triplet lie."""

    def read(self, rate_hz: int = RATE_HZ) -> tuple[Samples, Samples]:
        """Read source and target, (T,)."""


@dataclasses.dataclass(frozen=True)
class TripletFiles:
    """Two files of any format, rate and number of channels."""

    source: Path
    target: Path

    def read(self, rate_hz: int = RATE_HZ) -> tuple[Samples, Samples]:
        """Read source and target, (T,).

        Raises:
            DataError: a file is missing or damaged.
        """
        return audio.read(self.source, rate_hz), audio.read(self.target, rate_hz)


class Follows(NamedTuple):
    """The case whose edit is the source of the next round, and the gain in dB from its target to that source."""

    key: str
    gain_db: float


@dataclasses.dataclass(frozen=True)
class Case:
    """A triplet and its edits.

    song: intervals are drawn by it.
    gain_db: gain of the source in the target, where it is known.
    absent: the instruction names an instrument that isn't there.
    edits: system -> file; a file that is missing is counted.
    stranger: another triplet of the same task, whose target is the control "shuffled".
    lead: reads a voice that the listening test lays on top of all clips of a remix, (T,) at 24 kHz.
    sounding: instruments of the source, where they are known.
    genre: the genre that the instruction asks for.
    follows: the round before, whose edit is edited in place of the source.
    """

    key: str
    task: str
    dataset: str
    song: str
    instruction: str
    triplet: TripletSides
    edits: Mapping[str, Path]
    named: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    gain_db: float | None = None
    absent: bool = False
    stranger: TripletSides | None = None
    lead: Callable[[], Samples] | None = None
    sounding: tuple[str, ...] = ()
    genre: str | None = None
    follows: Follows | None = None

    def sounding_after(self) -> tuple[str, ...]:
        """Name the instruments that should sound after the edit; none where that is not known."""
        task = task_module(self.task) if self.task in task_names() else None
        if task is None or (task.KEEPS in ("all", "rest") and not self.sounding):
            return ()
        kept = {"all": self.sounding, "rest": self.sounding, "named": self.named}.get(task.KEEPS, ())
        gone = self.named if task.KEEPS == "rest" and "gain" not in task.FIELDS else ()
        return (*(name for name in kept if name not in gone), *(name for name in self.added if name not in kept))


def from_table(path: Path, tell: Callable[[str], None] | None = None) -> list[Case]:
    """Read a table of pairs: CSV or TSV with a header. Paths are relative to the table.

    Rows with the same key are edits of one triplet by several systems.

    Args:
        path: the table.
        tell: gets lines about columns that are not read, about tasks that instructions contradict, and about the encoding.

    Raises:
        DataError: no such table, a column is missing or there twice, a line has more cells than the header, or a key stands for
            two different triplets.
    """
    columns, rows = _read(path)
    if not rows:
        raise DataError(f"{path} has no rows: give a header with {', '.join(COLUMNS)}, and a row for each edit")
    if tell:
        if not csv_files.is_unicode(path):
            tell(f"{path} is not in UTF-8, and was read as Windows-1252: if letters are wrong, save it as CSV in UTF-8")
        for line in _doubts(path, columns, rows):
            tell(line)
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for _, row in rows:
        groups.setdefault((row.get("dataset") or path.stem, row["key"]), []).append(row)
    cases = []
    for (dataset, key), group in groups.items():
        first = _of_triplet(path, key, group)
        edits: dict[str, Path] = {}
        for row in group:
            system = row.get("system") or "edit"
            if system in edits:
                raise DataError(f"{path}: key {key!r} has two edits of {system}: name their systems in a column 'system'")
            edits[system] = path.parent / row["edit"] if row["edit"] else Path()
        files = TripletFiles(path.parent / first["source"], path.parent / first["target"])
        instruction = first.get("instruction") or ""
        words = _read_instruction(instruction)
        read = words.pop("task")
        task = _task(first.get("task") or read or "edit")
        absent = yes(first.get("absent")) or False
        song = first.get("song") or first["source"]
        lead = functools.partial(audio.read, path.parent / first["lead"], RATE_HZ) if first.get("lead") else None
        cases.append(Case(key, task, dataset, song, instruction, files, edits, absent=absent, lead=lead, **words))
    return with_strangers(cases)


def _doubts(path: Path, columns: Sequence[str], rows: Sequence[tuple[int, dict[str, str]]]) -> Iterator[str]:
    """Tell of the columns that are not read, and of tasks that instructions contradict."""
    if unread := [name for name in columns if name and name not in {*COLUMNS, *OF_TRIPLET, "system", "dataset"}]:
        yield f"{path}: columns of unknown names are not read: {', '.join(unread)}"
    if strange := sorted({row["task"] for _, row in rows if row.get("task") and _task(row["task"]) not in task_names()}):
        yield f"{path}: tasks of unknown names get tables of their own: {', '.join(strange)}; known are {', '.join(task_names())}"
    if any(row.get("absent") and yes(row["absent"]) is None for _, row in rows):
        yield f"{path}: cells of 'absent' that are neither yes nor no count as no"
    asked = [(line, _task(row.get("task") or ""), _read_instruction(row.get("instruction") or "")["task"]) for line, row in rows]
    unlike = [each for each in asked if each[1] in task_names() and each[2] not in (None, each[1])]
    if unlike:
        line, task, read = unlike[0]
        rest = f", and {counted(len(unlike) - 1, 'other line')}" if len(unlike) > 1 else ""
        yield f"{path}, line {line}{rest}: the task is {task}, but the instruction asks to {read}: correct one of them"


def _of_triplet(path: Path, key: str, group: Sequence[dict[str, str]]) -> dict[str, str]:
    """Take what the first row of a key says of its triplet; others may leave cells empty, but not say something else."""
    stated = {name: {row[name] for row in group if row.get(name)} for name in OF_TRIPLET}
    if unlike := [name for name, values in stated.items() if len(values) > 1]:
        raise DataError(f"{path}: key {key!r} has two different cells of {unlike[0]}: give each triplet its own key")
    return group[0]


def _read(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    try:
        columns, lines = csv_files.read(path, legacy="cp1252")  # as Excel writes "CSV" in the west
        rows = list(lines)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"can't read the table of pairs {path}: {error}") from None
    if missing := [name for name in COLUMNS if columns and name not in columns]:
        raise DataError(f"{path} has no column {' and no column '.join(missing)}: it has {', '.join(columns)}")
    for line, row in rows:
        if not all(row[name] for name in COLUMNS[:3]):
            raise DataError(f"{path}, line {line}: key, source and target must not be empty")
    return columns, rows


def _task(text: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_") or "edit"


def _read_instruction(text: str) -> dict[str, Any]:
    """Read which task an instruction of one step asks for, and which instruments and genre it names."""
    from instructme.pipelines.sentences import sentence_reader

    step = sentence_reader.single_step(text)
    if step is None:
        return {"task": None, "named": (), "added": (), "genre": None}
    return {name: getattr(step, name) for name in ("task", "named", "added", "genre")}


def drawn(items: Iterable[T], count: int | None, key: Callable[[T], str], seed: int | None = None) -> list[T]:
    """Choose the items whose keys have the smallest hashes, in the order of their keys: more items hold the fewer."""
    words = "" if seed is None else f"{seed} "
    chosen = sorted(items, key=lambda item: hashlib.sha256(f"{words}{key(item)}".encode()).hexdigest())[:count]
    return sorted(chosen, key=key)


def edit_file(folder: Path, key: str) -> Path:
    """Find the edit of a key in a folder: any format; the name that it should have if there is none.

    Raises:
        DataError: there are two.
    """
    cased = (SUFFIXES, [suffix.upper() for suffix in SUFFIXES])
    named = ([path for path in (folder / f"{key}{suffix}" for suffix in suffixes) if path.exists()] for suffixes in cased)
    found = next(filter(None, named), [])
    if len(found) > 1:
        raise DataError(f"{folder} has two edits of {key}, {found[0].name} and {found[1].name}: remove one of them")
    return found[0] if found else folder / f"{key}.flac"


def unmatched(cases: Sequence[Case], folders: Mapping[str, Path]) -> Iterator[str]:
    """Tell of folders that lack the edits of some keys, but hold audio files that are named after no key.

    Raises:
        DataError: a folder has no edit of any key.
    """
    keys = {case.key for case in cases}
    for system, folder in folders.items():
        lacking = [case.key for case in cases if not case.edits[system].exists()]
        files = (path for path in folder.rglob("*") if path.suffix.lower() in (*SUFFIXES, *_OTHER_SUFFIXES))
        others = sorted(
            path.name for path in files if path.stem not in keys or path.parent != folder or path.suffix in _OTHER_SUFFIXES
        )
        example = f", such as {others[0]}" if others else ""
        if lacking and len(lacking) == len(cases):
            advice = f"name each file after the key of its triplet, such as {lacking[0]}.wav ({' '.join(SUFFIXES)})"
            raise DataError(f"{folder} holds no edit of these triplets{', but files' if others else ''}{example}: {advice}")
        if lacking and others:
            fit = "has" if len(others) == 1 else "have"
            yield f"{system}: {counted(len(others), 'file')} in {folder} {fit} the name of no key{example}"


def with_strangers(cases: Sequence[Case]) -> list[Case]:
    """Give each case the next one of the same dataset and task, and of another song where there is one, as its stranger."""
    groups: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        groups[case.dataset, case.task].append(case)
    strangers = {}
    for group in groups.values():
        for place, case in enumerate(group):
            others = [*group[place + 1 :], *group[:place]]
            of_other_songs = (each for each in others if each.song != case.song)
            strangers[case.dataset, case.key] = next(of_other_songs, others[0] if others else None)
    found = [(case, strangers[case.dataset, case.key]) for case in cases]
    return [dataclasses.replace(case, stranger=stranger.triplet if stranger else None) for case, stranger in found]
