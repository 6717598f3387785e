"""Measure how many labels of each list get the right instrument, and print the misses.

Run `python tests/benchmarks/instruments.py`. Lists: studio file names written before the rules, of which one half was
never used to improve them (`held out`), public names collected at first sight, files of songs in sixteen lists (each was
measured once before its faults were mended, see docs/results.md), and the classes of the known datasets read as free names.
"""

import csv
from pathlib import Path
from typing import NamedTuple

import click

from instructme.dataset_tools import song_names
from instructme.manifests import instruments
from instructme.manifests.companions import companions
from instructme.manifests.word_tables import rows

NAMES = Path(__file__).parents[1] / "studio_names.csv"
FIRST_SIGHT = NAMES.with_name("first_sight_names.csv")
SONG_FOLDERS = NAMES.with_name("song_folder_names.csv")
UNCERTAIN = "?"
"""An answer that any guess is right for: nobody could tell the instrument from the name."""


class Name(NamedTuple):
    """A label and its answers, separated by `|` (`-` is no stem)."""

    label: str
    wanted: str
    among: instruments.Companions = instruments.ALONE
    """What the other labels of the song say, as `scan` finds it."""

    def match(self) -> instruments.InstrumentMatch:
        """Read the label as `scan` does."""
        return instruments.normalise(self.label, among=self.among)

    def miss(self) -> tuple[str, bool] | None:
        """Return what the label was taken for where that is none of the answers, and whether it is certain."""
        match, answers = self.match(), self.wanted.split("|")
        got = match.instrument if match.is_stem else instruments.NO_STEM
        is_guess = not match.certain or got == "other"
        if got in answers or (is_guess and UNCERTAIN in answers):
            return None
        sure = match.certain and (match.editable or not match.is_stem)
        return f"{got} ({match.rule}{'' if match.certain else ', uncertain'})", sure


def report(title: str, names: list[Name], show: bool = True) -> None:
    """Print the share that is right, the share that is wrong and not marked as a guess, and the misses."""
    misses = [(name, miss) for name in names if (miss := name.miss())]
    sure = [name.label for name, (_, is_sure) in misses if is_sure]
    click.echo(f"{title}: {1 - len(misses) / len(names):.3f} of {len(names)}, certain and wrong: {len(sure) / len(names):.4f}")
    for name, (got, is_sure) in misses if show else ():
        click.echo(f"  {name.label!r}: {got}, not {name.wanted}{': certain and wrong' if is_sure else ''}")


def song_folders(part: str) -> list[Name]:
    """Read one list of songs: each file's label, as `scan` finds it among the other files of the song, and its answers."""
    with SONG_FOLDERS.open(encoding="utf-8", newline="") as file:
        listed = [row for row in csv.DictReader(file) if row["list"] == part]
    names = []
    for song, source in dict.fromkeys((row["song"], row["source"]) for row in listed):
        answers = {row["file"]: row["instrument"] for row in listed if (row["song"], row["source"]) == (song, source)}
        labels = song_names.labels(list(answers), song)
        among = companions(labels.values(), song)
        names += [Name(labels[file], wanted, among) for file, wanted in answers.items() if wanted]
    return names


@click.command()
@click.option("--held-out", is_flag=True, help="Show the misses of the held-out lists too.")
def main(held_out: bool) -> None:
    """Report every list."""
    with NAMES.open(encoding="utf-8", newline="") as file:
        studio = list(csv.DictReader(file))
    for half in ("no", "yes"):
        names = [Name(row["label"], row["instrument"]) for row in studio if row["held_out"] == half]
        report(f"studio names, held out: {half}", names, show=held_out or half == "no")
    with FIRST_SIGHT.open(encoding="utf-8", newline="") as file:
        names = [Name(row["label"], row["instrument"]) for row in csv.DictReader(file)]
    report("names at first sight", names)
    for part in "ABCDEFGHIJKLMNOP":
        report(f"files of songs, list {part}", song_folders(part), show=held_out or part in "AF")
    classes = rows("classes.csv")
    for layout in dict.fromkeys(row["layout"] for row in classes):
        names = [Name(row["label"], row["instrument"]) for row in classes if row["layout"] == layout]
        report(f"{layout} classes read as free names", names)


if __name__ == "__main__":
    main()
