"""The grooves of MMA that the corpus uses, and what each is good for: `grooves.csv`."""

import csv
from dataclasses import dataclass
from pathlib import Path

_TABLE = Path(__file__).parent / "grooves.csv"


@dataclass(frozen=True)
class Groove:
    """One accompaniment style of MMA, named `library/file:groove`, with the tempi at which it sounds like its genre.

    `leads` are General MIDI programs for the melody, the first one that the groove itself doesn't play is taken.
    """

    name: str
    genre: str
    meter: str
    swings: bool
    slowest_bpm: int
    fastest_bpm: int
    leads: tuple[int, ...]


def load() -> list[Groove]:
    """Read the table of grooves, in its order."""
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return [
            Groove(
                row["groove"],
                row["genre"],
                row["meter"],
                row["feel"] == "swing",
                int(row["slowest_bpm"]),
                int(row["fastest_bpm"]),
                tuple(int(program) for program in row["leads"].split()),
            )
            for row in csv.DictReader(file)
        ]
