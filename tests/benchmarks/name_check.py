"""Measure which right and wrong names the sound contradicts: `python tests/benchmarks/name_check.py FOLDER...`.

A FOLDER is a working folder with `parts.parquet`, or a bank of parts (`NAME.i16` and `NAME.json`, see
`instructme.pipelines.training.part_bank`). Each part is asked under its own name, and under those of all instruments of other
families. Prints the right names that are contradicted, and how many of the wrong ones are, by family.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pandas as pd

from instructme.dataset_tools import audio
from instructme.dataset_tools.stems import name_check
from instructme.dataset_tools.stored import Stored
from instructme.manifests import tables
from instructme.manifests.instruments import INSTRUMENTS
from instructme.manifests.rows import Part

BANK_RATE_HZ = 24000
NAMED = [instrument for instrument in INSTRUMENTS.values() if instrument.editable]


def parts(folder: Path) -> Iterator[tuple[str, str, audio.Samples, int]]:
    """Read each part: where it is, its instrument, its samples and their rate."""
    if (folder / "parts.parquet").exists():
        for part in tables.read_rows(folder / "parts.parquet", Part):
            rate_hz = part.sample_rate_hz
            yield part.path, part.instrument, audio.read(folder / part.path, rate_hz), rate_hz
    for path in sorted(folder.glob("*.json")):
        song = json.loads(path.read_text())
        if not path.with_suffix(".i16").exists():
            continue
        pcm = np.memmap(path.with_suffix(".i16"), np.int16, "r")
        for part in song["parts"]:
            samples = pcm[part["start"] : part["start"] + part["samples"]].astype(np.float32) / 32768
            yield path.stem, part["instrument"], samples, BANK_RATE_HZ


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folders: tuple[Path, ...]) -> None:
    """Print the right names that are contradicted, and a table of the wrong ones."""
    right: Counter[bool] = Counter()
    wrong: dict[tuple[str, str], Counter[bool]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for folder in folders:
            for name, instrument, samples, rate_hz in parts(folder):
                sound = name_check.measure(Stored(Path(scratch)).extend([samples]), rate_hz)
                if sound is None or not INSTRUMENTS[instrument].editable:
                    continue
                problem = name_check.against(instrument, sound)
                right[problem is not None] += 1
                if problem:
                    click.echo(f"{folder.name}/{name}, {instrument}: {problem}")
                family = INSTRUMENTS[instrument].family
                for other in NAMED:
                    if other.family != family:
                        found = name_check.against(other.name, sound) is not None
                        wrong.setdefault((family, other.family), Counter())[found] += 1
    click.echo(f"right names: {right[True]} of {right.total()} contradicted")
    shares = pd.Series({pair: counts[True] / counts.total() for pair, counts in wrong.items()})
    click.echo(f"wrong names: {sum(counts[True] for counts in wrong.values()) / sum(map(Counter.total, wrong.values())):.3f}")
    click.echo(shares.unstack().round(2).to_string())


if __name__ == "__main__":
    main()
