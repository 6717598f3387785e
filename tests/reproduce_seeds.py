"""Put the seeds of `make reproduce` side by side: `python tests/reproduce_seeds.py OUT/tables/tables.md`.

Prints the tables of a page by `evaluate` whose systems are called SYSTEM-SEED. The rows of a system become one row, and its
numbers stand in one cell, such as `41.9 / 46.3 / 44.0`. Intervals and the paper's own numbers are left out.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

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


def main() -> None:
    """Print the tables of the pages that are given."""
    for page in sys.argv[1:]:
        for heading, (columns, *rows) in tables(Path(page).read_text()):
            print(f"{heading}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
            for words, numbers in joined(rows).items():
                print(f"| {' | '.join([*words, *(' / '.join(cells) for cells in zip(*numbers, strict=True))])} |")
            print()


if __name__ == "__main__":
    main()
