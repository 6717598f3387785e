"""Columns of beats in any order and with any names are told apart, and what may be two things is refused."""

from pathlib import Path

import pytest

from instructme.dataset_tools.beats import annotations, beat_columns
from instructme.manifests.rows import DataError

TIMES = [round(0.4 + 0.47 * beat, 3) for beat in range(24)]
PLACES = [(beat + 2) % 4 + 1 for beat in range(24)]
"""A pickup of two beats: 3 4 1 2 3 4 1."""
BARS = [(beat + 2) // 4 for beat in range(24)]
INDEX, ZEROS, ONES = list(range(24)), [0] * 24, [1] * 24
FLAGS = [int(place == 1) for place in PLACES]
BAR_BEAT = [bar + place / 10 for bar, place in zip(BARS, PLACES, strict=True)]
ENDS = [*TIMES[1:], 20.0]
ORDERS = {
    "index, time": (INDEX, TIMES),
    "index from 1, time, position": ([number + 1 for number in INDEX], TIMES, PLACES),
    "time, position": (TIMES, PLACES),
    "time, position from 0": (TIMES, [place - 1 for place in PLACES]),
    "position, time": (PLACES, TIMES),
    "bar, beat, time": (BARS, PLACES, TIMES),
    "time, beat, bar": (TIMES, PLACES, BARS),
    "time, bar, beat": (TIMES, BARS, PLACES),
    "bar.beat, time": (BAR_BEAT, TIMES),
    "time, bar.beat": (TIMES, BAR_BEAT),
    "bar, time": (BARS, TIMES),
    "time, flag of downbeats": (TIMES, FLAGS),
    "index, bar, beat, time": (INDEX, BARS, PLACES, TIMES),
    "start, end": (TIMES, ENDS),
    "start, end, position": (TIMES, ENDS, PLACES),
    "start and end the same, position": (TIMES, TIMES, PLACES),
    "time, index": (TIMES, INDEX),
    "time, ones": (TIMES, ONES),
    "time, zeros": (TIMES, ZEROS),
}
WITHOUT_BARS = {"index, time", "start, end", "time, index", "time, ones", "time, zeros"}


def write(path: Path, columns: tuple[list[float], ...], head: str = "", separator: str = ";") -> Path:
    """Write columns as text, below a line of names if there is one."""
    lines = [separator.join(map(str, row)) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([head, *lines] if head else lines) + "\n")
    return path


@pytest.mark.parametrize("head", ["", "named"])
@pytest.mark.parametrize("order", ORDERS)
def test_columns_are_known_by_their_values(order: str, head: str, tmp_path: Path) -> None:
    path = write(tmp_path / "beats.csv", ORDERS[order], order.replace(", ", ";") if head else "")
    assert annotations.beats(path) == (TIMES, [0] * 24 if order in WITHOUT_BARS else PLACES)


@pytest.mark.parametrize("separator", [",", "\t", " ", "; "])
def test_columns_are_known_with_any_separator(separator: str, tmp_path: Path) -> None:
    path = write(tmp_path / "beats.csv", (BARS, PLACES, TIMES), separator=separator)
    assert annotations.beats(path) == (TIMES, PLACES)


def test_decimal_commas_are_read(tmp_path: Path) -> None:
    for columns in ((TIMES, PLACES), (PLACES, TIMES), (INDEX, TIMES, PLACES)):
        path = write(tmp_path / "beats.csv", columns)
        path.write_text(path.read_text().replace(".", ","))
        assert annotations.beats(path) == (TIMES, PLACES)
    path = write(tmp_path / "beats.csv", ([60 * time_s for time_s in INDEX], PLACES), separator=",")
    assert annotations.beats(path).times_s[:3] == [0, 60, 120]


def test_what_may_be_two_things_is_refused_in_one_line(tmp_path: Path) -> None:
    seconds = [float(number) for number in INDEX]
    refused = {
        "columns 1 and 2 may both be the times": (TIMES, [round(22050 * time_s) for time_s in TIMES]),
        "columns 1 and 2 may": (seconds, [number + 4 for number in INDEX]),
        "don't rise": (PLACES, BARS),
        "column 2 holds no positions": (TIMES, [0.47, 0.46] * 12),
        "column 2 holds no": (TIMES, [64, 90, 71] * 8),
    }
    for message, columns in refused.items():
        path = write(tmp_path / "beats.csv", columns)
        with pytest.raises(DataError, match=f"not a file of beats.*{message}") as error:
            annotations.beats(path)
        assert "\n" not in str(error.value)


def test_a_line_of_names_decides_where_values_do_not(tmp_path: Path) -> None:
    samples = [round(22050 * time_s) for time_s in TIMES]
    path = write(tmp_path / "beats.csv", (samples, TIMES, [64, 90, 71] * 8, PLACES), "frame;time;velocity;beat")
    assert annotations.beats(path) == (TIMES, PLACES)


def test_times_that_are_a_tenth_apart_are_no_bars_and_beats() -> None:
    times = [(beat + 5) / 10 for beat in range(24)]
    assert beat_columns.split(list(zip(map(float, INDEX), times, strict=True))) == (times, ZEROS)


def test_beats_at_whole_seconds_are_no_index(tmp_path: Path) -> None:
    path = write(tmp_path / "beats.txt", (INDEX, PLACES), separator=" ")
    assert annotations.beats(path) == (INDEX, PLACES)


def test_beats_that_are_all_the_first_of_a_bar_are_not_counted() -> None:
    assert beat_columns.split([(time, bar + 1.1) for bar, time in enumerate(TIMES)])[1] == ZEROS


def test_a_beat_may_be_missing_from_a_bar() -> None:
    rows = [[time_s, place] for time_s, place in zip(TIMES, PLACES, strict=True)]
    del rows[7]
    assert beat_columns.split(rows)[1] == [*PLACES[:7], *PLACES[8:]]
    assert beat_columns.split([]) == ([], [])


def test_downbeats_may_be_the_same_file_with_positions(tmp_path: Path) -> None:
    path = write(tmp_path / "bars.csv", (TIMES, PLACES))
    write(tmp_path / "beats.csv", (TIMES,))
    assert annotations.beats(tmp_path / "beats.csv", path) == (TIMES, PLACES)


def test_rwc_is_not_seen_in_late_times(tmp_path: Path) -> None:
    late = [380 + time_s for time_s in TIMES]
    path = write(tmp_path / "beats.csv", (BARS, PLACES, late))
    assert annotations.beats(path) == (late, PLACES)


ODD = {
    "downbeats marked 2, beats 1": ([2 if place == 1 else 1 for place in PLACES], None),
    "bars that are odd or even": ([bar % 2 for bar in BARS], None),
    "numbers of bars at downbeats": ([bar if place == 1 else 0 for bar, place in zip(BARS, PLACES, strict=True)], PLACES),
    "eighths without positions": (
        [0 if eighth % 2 else 1 + eighth // 2 % 4 for eighth in range(24)],
        [1, 0, 2, 0, 3, 0, 4, 0] * 3,
    ),
    "whole tempi": ([118 + beat % 5 for beat in range(24)], ZEROS),
    "sections": ([1 + beat // 16 for beat in range(24)], ZEROS),
}


@pytest.mark.parametrize("column", ODD)
def test_columns_of_other_things_make_no_bars_of_their_own(column: str) -> None:
    values, right = ODD[column]
    rows = list(zip(TIMES, map(float, values), strict=True))
    if right is None:
        with pytest.raises(ValueError, match="column 2 holds no positions in the bar"):
            beat_columns.split(rows)
    else:
        assert beat_columns.split(rows) == (TIMES, right)
