"""Measure how fast shards are rendered against the least that must be done: each window decoded once, stretches, encoding.

    python tests/benchmarks/shard.py WORK [--triplets 500]

Both are measured in CPU time, in the same run on the same recipes; then the whole stage with 1 and 2 workers by the clock.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from dataset_tools.sharding import library, render, samples, shards, windows
from manifests import tables
from manifests.rows import Triplet
from pipelines.shard import shard


def floor(recipes: list[Triplet], music: library.Library) -> dict[str, float]:
    """Time the unavoidable: decode each window once, stretch, encode two sides of each triplet."""
    times = {}
    start = time.process_time()
    for window in dict.fromkeys(window for recipe in recipes for window in render.windows(recipe)):
        held = windows.read(music.part(window.track_id, window.instrument), window.start_samples, window.length_samples)
    times["decode"] = time.process_time() - start
    start = time.process_time()
    for recipe in recipes:
        if recipe.target_stretch != 1:
            render.stretch(
                np.resize(held, round(recipe.length_samples * recipe.target_stretch)), recipe.target_stretch, music.rate_hz
            )
    times["stretch"] = time.process_time() - start
    read = windows.Windows(music.part, [window for recipe in recipes for window in render.windows(recipe)])
    rendered = [render.render(recipe, read, rate_hz=music.rate_hz) for recipe in recipes]
    start = time.process_time()
    for sides in rendered:
        shards.encode(sides.source, music.rate_hz)
        shards.encode(sides.target, music.rate_hz)
    times["encode"] = time.process_time() - start
    return times


def one_shard(recipes: list[Triplet], music: library.Library, tar: Path) -> float:
    """Time the rendering of one shard in this process."""
    start = time.process_time()
    read = windows.Windows(music.part, [window for recipe in recipes for window in render.windows(recipe)])
    made = ((recipe, render.render(recipe, read, rate_hz=music.rate_hz)) for recipe in recipes)
    shards.write_tar(tar, ((recipe.triplet_id, samples.fields(recipe, sides, music)) for recipe, sides in made))
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--triplets", type=int, default=500)
    chosen = parser.parse_args()
    table = tables.read(chosen.work / "triplets.parquet", Triplet)
    order = np.random.default_rng(0).permutation(len(table))[: chosen.triplets]
    recipes = [Triplet(**values) for values in table.take(order).to_pylist()]
    music = library.read(chosen.work)
    folder = Path(tempfile.mkdtemp())
    try:
        times = floor(recipes, music)
        whole = one_shard(recipes, music, folder / "a.tar")
        seconds = sum(recipe.length_samples for recipe in recipes) / music.rate_hz
        parts = ", ".join(f"{what} {took:.2f} s" for what, took in times.items())
        least = sum(times.values())
        print(f"{len(recipes)} triplets of {seconds / len(recipes):.0f} s, {(folder / 'a.tar').stat().st_size / 1e6:.0f} MB")
        print(f"floor {least:.2f} s ({parts}); rendered in {whole:.2f} s: {least / whole:.2f} of the floor's rate")
        print(f"{seconds / whole:.0f} s of triplets per second and core")
        for workers in (1, 2):
            start = time.perf_counter()
            out = folder / str(workers)
            index = shard(chosen.work, out, per_shard=100, limit=chosen.triplets // 3, workers=workers)
            took = time.perf_counter() - start
            print(f"workers {workers}: {index['samples']} triplets in {took:.1f} s, hash {index['hash'][:16]}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
