"""Measure how many labels of each list get the right instrument, and print the misses.

Run `python tests/benchmarks/instruments.py`. Lists: studio file names written before the rules, of which one half was
never used to improve them (`held out`), and the classes of the known datasets read as free names.
"""

import csv
from pathlib import Path

import click

from instructme.manifests import instruments

NAMES = Path(__file__).parents[1] / "studio_names.csv"


def wrong(label: str, wanted: str) -> str | None:
    """Return what the label was taken for where that is none of the `|`-separated answers (`-` is no stem)."""
    match = instruments.normalise(label)
    got = match.instrument if match.is_stem else instruments.NO_STEM
    return None if got in wanted.split("|") else f"{got} ({match.rule}{'' if match.certain else ', uncertain'})"


def report(title: str, pairs: list[tuple[str, str]], show: bool = True) -> None:
    """Print the accuracy over (label, answer) pairs, and the misses."""
    misses = [(label, wanted, got) for label, wanted in pairs if (got := wrong(label, wanted))]
    click.echo(f"{title}: {1 - len(misses) / len(pairs):.3f} of {len(pairs)}")
    for label, wanted, got in misses if show else ():
        click.echo(f"  {label!r}: {got}, not {wanted}")


@click.command()
@click.option("--held-out", is_flag=True, help="Show the misses of the held-out half too.")
def main(held_out: bool) -> None:
    """Report every list."""
    with NAMES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for half in ("no", "yes"):
        pairs = [(row["label"], row["instrument"]) for row in rows if row["held_out"] == half]
        report(f"studio names, held out: {half}", pairs, show=held_out or half == "no")
    with (instruments.DATA / "classes.csv").open(encoding="utf-8", newline="") as file:
        classes = list(csv.DictReader(file))
    for layout in dict.fromkeys(row["layout"] for row in classes):
        pairs = [(row["label"], row["instrument"]) for row in classes if row["layout"] == layout]
        report(f"{layout} classes read as free names", pairs)


if __name__ == "__main__":
    main()
