"""Tell the columns of a table of beats apart by their values: times, positions in the bar, bars, and numbers that only count.

Datasets and programs write them in any order, with or without a line of names. Times rise from line to line; positions count up
and begin anew with each bar; bars rise slowly; an index rises by 1. Where two columns may be the times, the table is refused.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

Column = list[float]
LONGEST_COUNT = 8
"""So many beats without a new bar are counted through the song: they are no positions."""
LARGEST_BREAK = 0.1
"""Share of positions that may neither count on nor begin a bar, such as where beats are missing."""
LONGEST_BAR = 12
"""More beats than that belong to a section, and larger numbers are tempi and the like."""
_TIME = re.compile(r"(time|sec|start|onset)", re.IGNORECASE)
_POSITION = re.compile(r"(beat|pos|bar|measure|count|metri)", re.IGNORECASE)


def split(rows: Sequence[Sequence[float]], names: Sequence[str] = ()) -> tuple[Column, list[int]]:
    """Find the times in seconds and the positions in the bar (0 where unknown) in rows of equal or shrinking length.

    `names` are those of the columns, if the table states them.

    Raises:
        ValueError: no column holds times, two may, or what should be positions isn't.
    """
    if not rows:
        return [], []
    width = max(map(len, rows))
    columns = [[row[at] if at < len(row) else 0.0 for row in rows] for at in range(width)]
    names = names if len(names) == width else [""] * width
    time = _times(columns, names)
    others = [at for at in range(width) if at != time and not (rises(columns[at]) and _is_end(columns[time], columns[at]))]
    found = [(at, positions(columns[at])) for at in others]
    known = [counted for _, counted in found if counted and any(counted)]
    if not known and (
        strange := [at for at, counted in found if counted is None and (not names[at] or _POSITION.match(names[at]))]
    ):
        raise ValueError(f"column {strange[0] + 1} holds no positions in the bar")
    bars = [counted for at, counted in found if counted in known and not _is_bar(columns[at])]
    chosen = bars or known
    agree = all(other == chosen[0] for other in chosen)
    return columns[time], chosen[0] if chosen and agree else [0] * len(rows)


def _times(columns: Sequence[Column], names: Sequence[str]) -> int:
    """Choose the column of times: the one that is named so, else the one that rises and does not just count."""
    if len(named := [at for at, name in enumerate(names) if _TIME.match(name)]) == 1:
        return named[0]
    rising = [at for at, column in enumerate(columns) if rises(column)]
    if not rising:
        raise ValueError("the times don't rise from line to line")
    timed = [at for at in rising if not _is_bar_beat(columns[at])]
    free = [at for at in timed if not _is_index(columns[at])] or timed or rising
    first = free[0]
    if any(not _is_end(columns[first], columns[at]) for at in free[1:]):
        raise ValueError(f"columns {' and '.join(str(at + 1) for at in free)} may both be the times: remove one, or name them")
    return first


def rises(column: Column) -> bool:
    """Tell whether each value is larger than the one before."""
    return all(one < other for one, other in pairwise(column))


def _is_index(column: Column) -> bool:
    return column[0] == int(column[0]) and all(other - one == 1 for one, other in pairwise(column))


def _is_bar_beat(column: Column) -> bool:
    """Recognise `bar.beat`, such as 12.1 12.2 12.3 13.1."""
    tenths = [round(value * 10) for value in column]
    exact = all(abs(value * 10 - whole) < 1e-6 and whole % 10 for value, whole in zip(column, tenths, strict=True))
    return exact and all(other in (one + 1, (one // 10 + 1) * 10 + 1) for one, other in pairwise(tenths))


def _is_bar(column: Column) -> bool:
    """Recognise the number of the bar, the same for each of its beats."""
    return {other - one for one, other in pairwise(column)} == {0, 1}


def _is_end(starts: Column, ends: Column) -> bool:
    """Tell whether a column may hold the ends of the beats that the other one begins, as labels of Audacity do."""
    after = [*starts[1:], float("inf")]
    return all(start <= end <= following + 1e-3 for start, end, following in zip(starts, ends, after, strict=True))


def positions(column: Column) -> list[int] | None:
    """Read a column as positions in the bar, 0 where it tells none; None if it is something else."""
    if _is_bar_beat(column):
        counted = [round(value % 1 * 10) for value in column]
        return counted if len({*counted}) > 1 else [0] * len(counted)
    if any(value != int(value) or value < 0 for value in column):
        return None
    whole = [int(value) for value in column]
    if len(set(whole)) == 1 or (_is_index(column) and len(whole) >= LONGEST_COUNT):
        return [0] * len(whole)
    if _is_bar(column):
        longest = max(Counter(whole).values())
        return fill([0, *(int(one != other) for one, other in pairwise(whole))]) if longest <= LONGEST_BAR else [0] * len(whole)
    if marked := _marks(whole):
        return fill(marked)
    starts = {other for one, other in pairwise(whole) if other < one}
    if starts == {0} and all(other in (one + 1, 0) for one, other in pairwise(whole) if one or other):
        whole = [value + 1 for value in whole]
    least = min(value for value in whole if value)
    breaks = sum(one > 0 and (other == one or other not in (one + 1, 1, 0, least)) for one, other in pairwise(whole))
    if breaks > LARGEST_BREAK * len(whole):
        return None
    return whole if max(whole) <= LONGEST_BAR else [0] * len(whole)


def _marks(whole: Sequence[int]) -> list[int] | None:
    """Read downbeats that are marked among zeros, with 1 or with the number of the bar."""
    marked = [value for value in whole if value]
    numbered = len(marked) > 1 and _is_index([float(value) for value in marked])
    apart = all(one == 0 or other == 0 for one, other in pairwise(whole))
    return [int(value > 0) for value in whole] if apart and (numbered or set(marked) == {1}) else None


def fill(marks: Sequence[int]) -> list[int]:
    """Count beats from each downbeat on, which is marked 1, and back from the first one by the longest bar."""
    counted = fill_forward(marks)
    if 1 in counted:
        start, bar = counted.index(1), max(counted)
        for back in range(1, start + 1):
            counted[start - back] = bar - (back - 1) % bar
    return counted


def fill_forward(marks: Sequence[int]) -> list[int]:
    """Count beats from each downbeat on, which is marked 1; 0 before the first."""
    counted, count = [], 0
    for mark in marks:
        count = 1 if mark == 1 else count + 1 if count else 0
        counted.append(count)
    return counted
