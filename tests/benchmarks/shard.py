"""Measure `shard`: its rate and its scaling beside the least that must be done, and reading shards beside mixing on the fly.

    python tests/benchmarks/shard.py WORK [--triplets 3000] [--per-shard 500] [--rounds 3]

The floor decodes each part window of a shard once with soundfile, stretches what is stretched, and encodes both sides of each
triplet as FLAC: the same windows and the same sides in plain processes, and nothing else. The stage is all of `shard`, from the
start of its workers to `index.json`.
"""

import argparse
import io
import shutil
import tempfile
import time
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from scaling import compare, spread

from instructme.dataset_tools.sharding import render
from instructme.pipelines.data.recipe_reader import RecipeReader
from instructme.pipelines.data.shard_reader import ShardReader
from instructme.pipelines.stages.shard import shard


class Work(NamedTuple):
    """What the floor needs for a shard: windows as (path, start, length), lengths and factors of stretches, a file of sides."""

    windows: list[tuple[Path, int, int]]
    stretches: list[tuple[int, float]]
    sides: Path
    rate_hz: int


def floor(work: Work) -> None:
    """Do the least that a shard needs."""
    for path, start, length in work.windows:
        held, _ = soundfile.read(path, length, start, dtype="int16")
    for length, factor in work.stretches:
        render.stretch(np.resize(held.astype(np.float32) / 32768, length), factor, work.rate_hz)
    for side in np.load(work.sides, mmap_mode="r"):
        soundfile.write(io.BytesIO(), side, work.rate_hz, format="FLAC", subtype="PCM_16")


def needed(recipes: RecipeReader, made: ShardReader, name: str, folder: Path) -> Work:
    """List what the floor does for a shard, from one that is made."""
    chosen = [recipes.recipe(row) for row in made.rows(name)]
    clips = (made.audio(row) for row in made.rows(name))
    sides = np.array([side * np.float32(32768) for clip in clips for side in (clip.source, clip.target)], dtype=np.int16)
    np.save(folder / f"{name}.npy", sides)
    windows = dict.fromkeys(window for recipe in chosen for window in render.windows(recipe))
    return Work(
        [(recipes.music.part(track, instrument), *place) for track, instrument, *place in windows],
        [(round(each.length_samples * each.target_stretch), each.target_stretch) for each in chosen if each.target_stretch != 1],
        folder / f"{name}.npy",
        recipes.music.rate_hz,
    )


def reading(recipes: RecipeReader, made: ShardReader, rounds: int) -> None:
    """Print the processor time of a triplet read from shards, mixed on the fly, and decoded with soundfile alone."""
    length, taken = round(max(made.seconds) * recipes.music.rate_hz), {}

    rows = range(0, int(sum(made.sizes)), max(int(sum(made.sizes)) // 200, 1))

    def decode(row: int) -> None:
        for window in set(render.windows(recipes.recipe(row))):
            path = recipes.music.part(window.track_id, window.instrument)
            soundfile.read(path, window.length_samples, window.start_samples, dtype="int16")

    works = {"shards": made.clip, "recipes": recipes.clip, "windows of recipes": lambda row, *_: decode(row)}
    for _ in range(rounds):
        for name, work in works.items():
            begun = time.process_time()
            for row in rows:
                work(row, 0, length)
            taken.setdefault(name, []).append((time.process_time() - begun) / len(rows))
    print("; ".join(f"{name} {np.median(each) * 1e3:.1f} ms a triplet" for name, each in taken.items()))


def main() -> None:
    """Render a dataset once for the floor, then compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--triplets", type=int, default=3000)
    parser.add_argument("--per-shard", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    recipes, run = RecipeReader(chosen.work, "train"), count()
    make = partial(shard, chosen.work, per_shard=chosen.per_shard, limit=chosen.triplets, splits=["train"])
    with tempfile.TemporaryDirectory() as scratch:
        index = make(Path(scratch, "made"))
        made = ShardReader(Path(scratch, "made"), "train")
        works = [needed(recipes, made, name, Path(scratch)) for name in made.names]
        windows, stretches = sum(len(work.windows) for work in works), sum(len(work.stretches) for work in works)
        print(f"{index['samples']} triplets in {len(works)} shards, {index['bytes'] / 1e6:.0f} MB, ", end="")
        print(f"{windows} windows, {stretches} stretches; hash {index['hash'][:16]}")
        reading(recipes, made, chosen.rounds)

        def stage(workers: int) -> None:
            out = Path(scratch, str(next(run)))
            if make(out, workers=workers)["hash"] != index["hash"]:
                raise SystemExit(f"{workers} workers made other bytes")
            shutil.rmtree(out)

        compare(partial(spread, floor, works), stage, chosen.rounds)


if __name__ == "__main__":
    main()
