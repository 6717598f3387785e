"""Take the mean over the seeds of `make reproduce`: `python tests/reproduce_seeds.py OUT/tables/tables.md`.

Prints the tables of a page by `evaluate` whose systems are called SYSTEM-SEED. The rows of a system become one row of means. The
last row of a table has the largest difference between two seeds of a system. Intervals and the paper's own numbers are left out.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

LAST = "largest difference between two seeds"
_SEEDED = re.compile(r"\*\*(.+)-\d+\*\*")
_NUMBER = re.compile(r"-?\d+\.?\d*")


def tables(page: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield each table that has seeds: its heading, and its rows of cells, the names of the columns first."""
    heading, rows = "", list[list[str]]()
    for line in [*page.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            if any(_SEEDED.fullmatch(cell) for row in rows for cell in row):
                yield heading, [row for row in rows if not (set("".join(row)) <= set("-:") or re.fullmatch(r"\*[^*]+\*", row[0]))]
            rows = []
        if line.startswith("#"):
            heading = line


def joined(rows: list[list[str]]) -> dict[tuple[str, ...], list[list[str]]]:
    """Gather the numbers of the seeds by the words of their rows, without the seed; rows without seeds stand alone."""
    found: dict[tuple[str, ...], list[list[str]]] = {}
    for row in rows:
        is_word = [not (_NUMBER.match(cell) or cell == "–") for cell in row]
        words = tuple(_SEEDED.sub(r"\1", cell) for cell, word in zip(row, is_word, strict=True) if word)
        found.setdefault(words, []).append([cell.split(" ")[0] for cell, word in zip(row, is_word, strict=True) if not word])
    return found


def mean(cells: Sequence[str]) -> str:
    """Take the mean of the cells that hold a number, with as many decimals as they have."""
    numbers = [cell for cell in cells if _NUMBER.match(cell)]
    if not numbers:
        return "–"
    decimals = max(len(cell.partition(".")[2]) for cell in numbers)
    return f"{sum(map(float, numbers)) / len(numbers):.{decimals}f}"


def spread(several: Sequence[Sequence[str]]) -> str:
    """Find the largest difference between two seeds of one system."""
    found = [[float(cell) for cell in cells if _NUMBER.match(cell)] for cells in several]
    return f"{max((max(numbers) - min(numbers) for numbers in found if numbers), default=0.0):.2f}"


def main() -> None:
    """Print the tables of the pages that are given."""
    for page in sys.argv[1:]:
        for heading, (columns, *rows) in tables(Path(page).read_text()):
            print(f"{heading}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
            systems = {words: list(zip(*numbers, strict=True)) for words, numbers in joined(rows).items()}
            for words, cells in systems.items():
                print(f"| {' | '.join([*words, *map(mean, cells)])} |")
            blank = [""] * (len(next(iter(systems))) - 1)
            print(f"| {' | '.join([LAST, *blank, *map(spread, zip(*systems.values(), strict=True))])} |\n")


if __name__ == "__main__":
    main()
