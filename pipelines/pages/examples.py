"""Draw triplets to look at and listen to, a few of each task."""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from instructme.dataset_tools.sharding import library, render
from instructme.dataset_tools.sharding.windows import Windows
from instructme.dataset_tools.tasks import task_module, task_names
from instructme.manifests.rows import Triplet
from instructme.pipelines.pages.views import PageClip, Row


def examples(work: Path, count: int, seed: int = 0) -> list[Row]:
    """Render `count` random triplets of each task: source, target and, but for remix, target - source.

    Raises:
        DataError: recipes of other tables than those beside them, or a part that is missing or damaged.
    """
    recipes, music = library.recipes(work, task_names()), library.read(work)
    rows = []
    for number, task in enumerate(task_names()):
        places = np.flatnonzero(pc.equal(recipes["task"], task).to_numpy())
        drawn = np.random.default_rng([seed, number]).permutation(len(places))[:count]
        chosen = recipes.take(np.sort(places[drawn])).to_pylist()
        rows += [_row(Triplet(**recipe), music) for recipe in chosen]
    return rows


def _row(recipe: Triplet, music: library.Library) -> Row:
    read = Windows(music.part, render.windows(recipe), channels=music.channels)
    sides = render.render(recipe, read, rate_hz=music.rate_hz)
    clips = [
        PageClip(f"Source: {', '.join(recipe.source_instruments)}", sides.source, music.rate_hz),
        PageClip(f"Target: {', '.join(recipe.target_instruments)}", sides.target, music.rate_hz),
    ]
    # The sides of a remix are two pieces of music: their difference says nothing.
    if task_module(recipe.task).KEEPS != "none":
        clips.append(PageClip("Target − source", sides.target - sides.source, music.rate_hz))
    return Row(f"{recipe.task} ({recipe.split}): {recipe.instruction}", clips)
