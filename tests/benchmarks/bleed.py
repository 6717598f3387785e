"""Measure what `audit` suspects as bleed, and what `--balance-stems` changes: `python tests/benchmarks/bleed.py WORK [BALANCED]`.

WORK is a prepared folder of songs whose parts were recorded or rendered apart, so that no part holds another one. Each pair of
parts is compared as it is, and with one of them added to the levels of the other, 10, 20 and 30 dB softer. BALANCED is a folder
of the same finished songs, prepared with `--balance-stems`: a change of a part is taken against the song's median change.
"""

import sys
from collections import defaultdict
from itertools import permutations
from pathlib import Path

import numpy as np

from instructme.dataset_tools.audit import bleed
from instructme.manifests.rows import Part
from instructme.manifests.tables import read_rows

UNDER_DB = (10, 20, 30)
NEAR_DB = 2
"""Bleed counts as found where its level is right by so much."""


def main() -> None:
    """Print the shares of pairs that are listed, and the changes of levels."""
    songs: defaultdict[str, list[Part]] = defaultdict(list)
    for row in read_rows(Path(sys.argv[1]) / "parts.parquet", Part):
        songs[row.track_id].append(row)
    pairs = [
        (np.array(part.level_db, dtype=np.int64), np.array(other.level_db, dtype=np.int64))
        for parts in songs.values()
        for part, other in permutations(parts, 2)
    ]
    usable = [pair for pair in pairs if can_be_found(*pair)]
    listed = sum(bleed.follows(*pair) is not None for pair in usable)
    print(f"{len(songs)} songs, {len(pairs)} pairs, {len(usable)} of which can show bleed; {listed} listed without any")
    for under_db in UNDER_DB:
        found = [bleed.follows(with_bleed(part, other, under_db), other) for part, other in usable]
        right = sum(match is not None and abs(match[0] - under_db) <= NEAR_DB for match in found)
        print(f"bleed {under_db} dB under the other part: {right / max(len(usable), 1):.0%} listed at the right level")
    for folder in sys.argv[2:]:
        show_balance(Path(folder))


def can_be_found(part: bleed.Levels, other: bleed.Levels) -> bool:
    """Tell whether the other part is long enough and changes its level, so that what follows it can be told."""
    return bleed.follows(other - UNDER_DB[0], other) is not None


def with_bleed(part: bleed.Levels, other: bleed.Levels, under_db: int) -> bleed.Levels:
    """Add the power of the other part, so many dB softer, to the levels of a part."""
    length = min(len(part), len(other))
    power = 10.0 ** (part[:length] / 10) + 10.0 ** ((other[:length] - under_db) / 10)
    return np.asarray(np.rint(10 * np.log10(power)), dtype=np.int64)


def show_balance(work: Path) -> None:
    """Print how much parts change against the median of their song."""
    songs: defaultdict[str, list[float]] = defaultdict(list)
    for row in read_rows(work / "parts.parquet", Part):
        if row.lufs is not None and row.balance_db is not None:
            songs[row.track_id].append(row.balance_db)
    changes_db = [abs(each - np.median(song)) for song in songs.values() if len(song) > 2 for each in song]
    if changes_db:
        print(f"{work.name}: {len(changes_db)} parts change by {np.median(changes_db):.1f} dB, at most {max(changes_db):.0f} dB")


if __name__ == "__main__":
    main()
