"""Read beats and chords that people annotated: text tables and JAMS, as datasets ship them.

Beats are lines of a time in seconds and, if known, the position in the bar; 1 is the downbeat. Read as well:
- `bar.beat` as the position, such as `12.1` (Candombe, BRID)
- an index, the number of the bar, marks of downbeats, ends of beats, and columns in other orders (`beat_columns`)
- RWC's start and end in 1/100 s with 384 at each downbeat

Chords are lines of start s, end s and Harte label, parted by spaces, tabs, commas or semicolons. A first line of column names is
skipped. In JAMS files the first annotation `beat` or `beat_position`, and `chord` or `chord_harte`, is taken.

Formats: those that mirdata reads; JAMS by Humphrey et al., ISMIR 2014.
"""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from instructme.dataset_tools.beats import beat_columns
from instructme.manifests.rows import DataError

LARGEST_BYTES = 16 << 20
_LONGEST_S = 1e6
SHORTEST_BEAT_S, LONGEST_BEAT_S = 0.15, 2.0
"""Beats of 400 and of 30 per minute."""
_FARTHEST = 50
"""Times may belong to a whole song of which the audio is an excerpt."""
_DOWNBEAT_RWC = 384
_SEPARATORS = re.compile(r"[\s,;]+")
_DECIMAL_COMMA = re.compile(r"\d,\d+[\s;]|[\s;]\d+,\d")
_CHORD_LINE = re.compile(r"\s*([\d.eE+-]+)[\s,;]+([\d.eE+-]+)[\s,;]+(\S.*?)\s*")


class Beats(NamedTuple):
    """Beats with their positions in the bar, 0 where unknown."""

    times_s: list[float]
    positions: list[int]


class ChordSpan(NamedTuple):
    """A chord from start to end in seconds, with its Harte label."""

    start_s: float
    end_s: float
    label: str
    line: int = 0
    """Where it stands in a text file."""


def beats(path: Path, downbeats: Path | None = None) -> Beats:
    """Read a file of beats; a file of downbeats gives the positions where the first one has none.

    Raises:
        DataError: missing, not such a file, times out of order, or downbeats that are no beats.
    """
    times_s, positions = _beats(path)
    if downbeats is not None:
        firsts, counted = _beats(downbeats)
        # a file of all beats with positions tells downbeats, too
        firsts = [first for first, position in zip(firsts, counted, strict=True) if position == 1 or 1 not in counted]
        positions = _counted(times_s, firsts, downbeats)
    return Beats(times_s, positions)


def chords(path: Path) -> list[ChordSpan]:
    """Read a file of chords in order of time.

    Raises:
        DataError: missing, not such a file, or times out of order. Labels are not checked.
    """
    text = _text(path, "chart")
    try:
        spans = _jams_chords(json.loads(text), path) if path.suffix.lower() == ".jams" else _chord_lines(text)
    except ValueError as error:
        raise DataError(f"not a chord chart: {path}, {error}; each line is: start s, end s, Harte label") from None
    last = 0.0
    for span in spans:
        if not last - 1e-3 <= span.start_s <= span.end_s < _LONGEST_S:
            place = f", line {span.line}" if span.line else ""
            raise DataError(f"not a chord chart: {path}{place}: times out of order; each line is: start s, end s, Harte label")
        last = span.end_s
    return spans


def require_seconds(path: Path, last_s: float, audio_s: float) -> None:
    """Refuse times that go so far beyond the audio that they must be milliseconds or samples.

    Raises:
        DataError: the last time is later than 50 times the length of the audio.
    """
    if last_s > _FARTHEST * audio_s:
        raise DataError(
            f"times are not seconds: {path} goes to {last_s:.10g}, the audio to {audio_s:.1f} s: convert them to seconds"
        )


def require_beats(path: Path, times_s: Sequence[float]) -> None:
    """Refuse times that no beats have: numbers of frames, or bars.

    Raises:
        DataError: the median of the times between them is outside 0.15 to 2 s.
    """
    apart_s = median(later - time_s for time_s, later in pairwise(times_s)) if len(times_s) > 1 else SHORTEST_BEAT_S
    if not SHORTEST_BEAT_S <= apart_s <= LONGEST_BEAT_S:
        raise DataError(f"not beats: {path} has times {apart_s:.3g} s apart: write the time of every beat in seconds")


def _beats(path: Path) -> Beats:
    text = _text(path, "beats")
    try:
        rows, names = (_jams_beats(json.loads(text), path), ["time", "beat"]) if path.suffix.lower() == ".jams" else _table(text)
        if _is_rwc(rows):
            times_s = [row[0] / 100 for row in rows]
            positions = beat_columns.fill_forward([int(row[2] == _DOWNBEAT_RWC) for row in rows])
        else:
            times_s, positions = beat_columns.split(rows, names)
    except ValueError as error:
        raise DataError(f"not a file of beats: {path}, {error}; each line is: time in s, position in the bar") from None
    if not (beat_columns.rises(times_s) and all(0 <= time_s < _LONGEST_S for time_s in times_s)):
        raise DataError(f"not a file of beats: {path}: the times don't rise from line to line: correct them")
    return Beats(times_s, positions)


def _is_rwc(rows: list[list[float]]) -> bool:
    """Recognise RWC's columns: two of hundredths, and one of multiples of 48."""
    three = bool(rows) and all(len(row) == 3 and row[0] == int(row[0]) and not row[2] % 48 for row in rows)
    return three and any(row[2] == _DOWNBEAT_RWC for row in rows)


def _text(path: Path, kind: str) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise DataError(f"{kind} larger than 16 MiB: {path}: is it the right file?")
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"can't read {kind}: {path}: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None


def _lines(text: str) -> tuple[list[tuple[int, str]], str]:
    """List the lines that hold something, with their numbers, without comments; a line of column names above others apart."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith(("#", "%"))]
    named = len(lines) > 1 and re.match(r"[\"']?[A-Za-z_]", lines[0][1])
    return (lines[1:], lines[0][1]) if named else (lines, "")


def _table(text: str) -> tuple[list[list[float]], list[str]]:
    """Read lines of numbers, and the names of columns if stated. Decimal commas are read where something else parts the cells."""
    lines, head = _lines(text)
    if "." not in "".join(line for _, line in lines) and all(_DECIMAL_COMMA.search(line) for _, line in lines):
        lines = [(number, line.replace(",", ".")) for number, line in lines]
    rows = []
    for number, line in lines:
        try:
            rows.append([float(cell) for cell in _SEPARATORS.split(line.strip(" ,;")) if cell])
        except ValueError:
            raise ValueError(f"line {number}: {line[:40]!r}") from None
    names = re.split(r"[,;\t]", head) if re.search(r"[,;\t]", head) else head.split()
    return rows, [name.strip(" \"'") for name in names]


def _counted(times_s: list[float], firsts: list[float], path: Path) -> list[int]:
    marks = [0] * len(times_s)
    for first in firsts:
        near = min(range(len(times_s)), key=lambda at: abs(times_s[at] - first), default=None)
        if near is None or abs(times_s[near] - first) > 0.07:
            raise DataError(f"downbeats aren't beats: {path}: no beat is within 70 ms of {first:g} s: correct the times")
        marks[near] = 1
    return beat_columns.fill(marks)


def _chord_lines(text: str) -> list[ChordSpan]:
    spans = []
    for number, line in _lines(text)[0]:
        match = _CHORD_LINE.fullmatch(line)
        try:
            if match is None:
                raise ValueError
            spans.append(ChordSpan(float(match[1]), float(match[2]), match[3].strip("\"'"), number))
        except ValueError:
            raise ValueError(f"line {number}: {line[:40]!r}") from None
    return spans


def _annotation(jams: Any, path: Path, *namespaces: str) -> list[Mapping[str, Any]]:
    """Take the data of the first annotation of a namespace; older files hold columns instead of rows."""
    listed = jams.get("annotations", ()) if isinstance(jams, dict) else ()
    for namespace in namespaces:
        for annotation in listed:
            if isinstance(annotation, dict) and annotation.get("namespace") == namespace and annotation.get("data"):
                data = annotation["data"]
                if isinstance(data, dict):
                    return [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]
                return list(data)
    raise DataError(f"no annotation {' or '.join(namespaces)} in {path}: is it the right file?")


def _jams_beats(jams: Any, path: Path) -> list[list[float]]:
    rows = []
    for row in _annotation(jams, path, "beat_position", "beat"):
        value = row.get("value")
        position = value.get("position", 0) if isinstance(value, dict) else value
        rows.append([_number(row.get("time")), _number(position or 0)])
    return rows


def _jams_chords(jams: Any, path: Path) -> list[ChordSpan]:
    data = _annotation(jams, path, "chord_harte", "chord")
    return [
        ChordSpan(_number(row.get("time")), _number(row.get("time")) + _number(row.get("duration")), str(row.get("value")))
        for row in data
    ]


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is no number") from None
