"""Measure `verify` with laws: the processor time of a triplet, beside hashing the files and decoding what the laws hear.

python tests/benchmarks/verify.py SHARDS WORK [--rounds 3]
"""

import argparse
import statistics
import time
from pathlib import Path

import soundfile

from instructme.dataset_tools.sharding import library, render, tar_file
from instructme.dataset_tools.sharding.library import PARENTS
from instructme.manifests import tables
from instructme.manifests.rows import Sample
from instructme.pipelines.data.shard_reader import ShardReader
from instructme.pipelines.stages.verify import CheckUnit, _check


def floor(made: ShardReader, name: str, music: library.Library) -> None:
    """Hash a shard, decode its sides, and each part window of its sources once."""
    for suffix in ("tar", "parquet"):
        tables.sha256(made.folder / f"{name}.{suffix}")
    windows = set()
    for number, row in zip(made.rows(name), tables.read_rows(made.folder / f"{name}.parquet", Sample), strict=True):
        for member in tar_file.MEMBERS[:2]:
            tar_file.decode(tar_file.read_bytes(made.folder / f"{name}.tar", *tar_file.place(row, member)))
        recipe = made.recipe(number)
        windows |= {window for window in render.windows(recipe) if window.track_id == recipe.source_track}
    for track, instrument, start, length in windows:
        soundfile.read(music.part(track, instrument), length, start, dtype="int16")


def main() -> None:
    """Check the first shard again and again, in turns with the floor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    made, music = ShardReader(chosen.shards, "train"), library.read(chosen.work)
    name, count = made.names[0], int(made.sizes[0])
    hashes = {table: tables.sha256(chosen.work / table) for table in PARENTS}
    unit, taken = CheckUnit(name, tuple(range(count))), []
    for _ in range(chosen.rounds + 1):
        begun = time.process_time()
        if problems := _check(chosen.shards, chosen.work, hashes, unit):
            raise SystemExit(f"nothing to measure: {problems[0]}")
        middle = time.process_time()
        floor(made, name, music)
        taken.append((middle - begun, time.process_time() - middle))
    stage, least = (statistics.median(each) / count * 1e3 for each in zip(*taken[1:], strict=True))
    print(f"{stage:.1f} ms of processor a triplet, floor {least:.1f} ms: {least / stage:.2f} of its rate")


if __name__ == "__main__":
    main()
