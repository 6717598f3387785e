"""Measure how many labels of each list get the right instrument, and print the misses.

Run `python tests/benchmarks/instruments.py`. Lists: studio file names written before the rules, of which one half was
never used to improve them (`held out`), two lists of public names collected at first sight, and the classes of the known
datasets read as free names.
"""

import csv
from pathlib import Path

import click

from instructme.dataset_tools import song_names
from instructme.manifests import instruments

NAMES = Path(__file__).parents[1] / "studio_names.csv"
FIRST_SIGHT = NAMES.with_name("first_sight_names.csv")
SONG_FOLDERS = NAMES.with_name("song_folder_names.csv")
UNCERTAIN = "?"
"""An answer that any guess is right for: nobody could tell the instrument from the name."""


def wrong(label: str, wanted: str) -> str | None:
    """Return what the label was taken for where that is none of the `|`-separated answers (`-` is no stem)."""
    match, answers = instruments.normalise(label), wanted.split("|")
    got = match.instrument if match.is_stem else instruments.NO_STEM
    is_guess = not match.certain or got == "other"
    right = got in answers or (is_guess and UNCERTAIN in answers)
    return None if right else f"{got} ({match.rule}{'' if match.certain else ', uncertain'})"


def report(title: str, pairs: list[tuple[str, str]], show: bool = True) -> None:
    """Print the accuracy over (label, answer) pairs, and the misses."""
    misses = [(label, wanted, got) for label, wanted in pairs if (got := wrong(label, wanted))]
    click.echo(f"{title}: {1 - len(misses) / len(pairs):.3f} of {len(pairs)}")
    for label, wanted, got in misses if show else ():
        click.echo(f"  {label!r}: {got}, not {wanted}")


def certain_and_wrong(title: str, pairs: list[tuple[str, str]], show: bool = True) -> None:
    """Print the share of labels that are wrong and not marked as a guess."""
    misses = {label: instruments.normalise(label) for label, wanted in pairs if wrong(label, wanted)}
    sure = [label for label, match in misses.items() if match.certain and (match.editable or not match.is_stem)]
    click.echo(f"{title}, certain and wrong: {len(sure) / len(pairs):.4f}{': ' + ', '.join(sure) if show else ''}")


def song_folders(half: str) -> list[tuple[str, str]]:
    """Read one half of the songs: each file's label, as `scan` finds it among the other files of the song, and its answers."""
    with SONG_FOLDERS.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["half"] == half]
    pairs = []
    for song in dict.fromkeys(row["song"] for row in rows):
        answers = {row["file"]: row["instrument"] for row in rows if row["song"] == song}
        labels = song_names.labels(list(answers), song)
        pairs += [(labels[name], wanted) for name, wanted in answers.items() if wanted]
    return pairs


@click.command()
@click.option("--held-out", is_flag=True, help="Show the misses of the held-out half too.")
def main(held_out: bool) -> None:
    """Report every list."""
    with NAMES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for half in ("no", "yes"):
        pairs = [(row["label"], row["instrument"]) for row in rows if row["held_out"] == half]
        report(f"studio names, held out: {half}", pairs, show=held_out or half == "no")
    with FIRST_SIGHT.open(encoding="utf-8", newline="") as file:
        pairs = [(row["label"], row["instrument"]) for row in csv.DictReader(file)]
    report("names at first sight", pairs)
    certain_and_wrong("names at first sight", pairs)
    for half in "AB":
        pairs = song_folders(half)
        report(f"names of song folders, half {half}", pairs, show=held_out or half == "A")
        certain_and_wrong(f"names of song folders, half {half}", pairs, show=held_out or half == "A")
    with (instruments.DATA / "classes.csv").open(encoding="utf-8", newline="") as file:
        classes = list(csv.DictReader(file))
    for layout in dict.fromkeys(row["layout"] for row in classes):
        pairs = [(row["label"], row["instrument"]) for row in classes if row["layout"] == layout]
        report(f"{layout} classes read as free names", pairs)


if __name__ == "__main__":
    main()
