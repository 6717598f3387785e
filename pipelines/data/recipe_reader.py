"""Render the recipes of one split of a working folder on the fly, with the very `render` that makes shards."""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.sharding import index, library, render
from instructme.dataset_tools.sharding.windows import Windows
from instructme.manifests.rows import DataError, Triplet
from instructme.pipelines.data.shard_reader import TripletAudio


class RecipeReader:
    """One split of the recipes of a working folder. Rows are counted in the order of its table, as `shard` takes them.

    Raises:
        DataError: a table is missing, damaged or of another run, or there is no recipe of this split.
    """

    def __init__(self, work: Path, split: str) -> None:
        self._recipes = library.recipes(work)
        self.music = library.read(work)
        # Places in the table, not a copy of its rows: there may be millions.
        self._places = np.flatnonzero(pc.equal(self._recipes["split"], split).to_numpy())
        if not len(self._places):
            held = ", ".join(sorted(pc.unique(self._recipes["split"]).to_pylist()))
            raise DataError(f"no triplets of split {split} in {work}: it holds {held}; run pair with other counts")
        # As large as shards are by default: then recipes come in the same order as shards of them.
        firsts = np.arange(0, len(self._places), index.PER_SHARD)
        self.sizes = np.minimum(index.PER_SHARD, len(self._places) - firsts)
        own = self._recipes.select(["task", "length_samples"]).take(self._places)
        self.tasks = set(pc.unique(own["task"]).to_pylist())
        self.rates_hz = {self.music.rate_hz}
        self.seconds = {length / self.music.rate_hz for length in pc.unique(own["length_samples"]).to_pylist()}

    def recipe(self, row: int) -> Triplet:
        """Read the recipe of a row."""
        return Triplet(**self._recipes.slice(int(self._places[row]), 1).to_pylist()[0])

    def mixed(self, recipe: Triplet, normalise: str = "joint") -> render.Rendered:
        """Render both sides of a recipe, as `shard` does.

        Raises:
            DataError: a part is missing or damaged.
        """
        return render.render(recipe, Windows(self.music.part, render.windows(recipe)), normalise, self.music.rate_hz)

    def clip(self, row: int, start: int, length: int) -> TripletAudio:
        """Render both sides and cut `length` samples from `start`: the gain depends on all of both.

        Raises:
            DataError: a part is missing or damaged.
        """
        recipe = self.recipe(row)
        sides = self.mixed(recipe)
        source, target = (side[start : start + length] for side in (sides.source, sides.target))
        return TripletAudio(recipe.triplet_id, recipe.task, recipe.instruction, source, target, sides.gain, sides.target_gain)


def exchanged(recipe: Triplet, music: library.Library, gain: float, start: int, length: int) -> tuple[Samples, Samples]:
    """Render what a `replace` takes out and brings in, and cut both: `(length,)` each."""
    gone, brought = render.exchanged(recipe, Windows(music.part, render.windows(recipe)), gain)
    return gone[start : start + length], brought[start : start + length]
