"""Render the recipes of one split of a working folder when they are read, with the function that also makes shards."""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from instructme.dataset_tools.sharding import index, library, render, samples, tar_file
from instructme.dataset_tools.sharding.windows import Windows
from instructme.dataset_tools.tasks import task_names
from instructme.manifests import limits
from instructme.manifests.rows import DataError, Triplet
from instructme.pipelines.data.shard_reader import TripletAudio


class RecipeReader:
    """One split of the recipes of a working folder. Rows are counted in the order of its table, as `shard` takes them.

    Raises:
        DataError: a table is missing, damaged or of another run, there is no recipe of this split, or no such normalisation.
    """

    def __init__(self, work: Path, split: str, normalise: str = "joint") -> None:
        limits.one_of("normalise", normalise, render.NORMALISATIONS)
        self._normalise = normalise
        self._recipes = library.recipes(work, task_names())
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
        self.channels = {self.music.channels}
        self.seconds = {length / self.music.rate_hz for length in pc.unique(own["length_samples"]).to_pylist()}

    def recipe(self, row: int) -> Triplet:
        """Read the recipe of a row."""
        return Triplet(**self._recipes.slice(int(self._places[row]), 1).to_pylist()[0])

    def length_samples(self, row: int) -> int:
        """Read how long both sides of a row are."""
        return int(self._recipes["length_samples"][int(self._places[row])].as_py())

    def audio(self, row: int, start: int = 0, length: int | None = None) -> TripletAudio:
        """Render both sides and cut `length` samples from `start`; all of them by default. The gain depends on all of both.

        Raises:
            DataError: a part is missing or damaged.
        """
        recipe = self.recipe(row)
        windows = Windows(self.music.part, render.windows(recipe), channels=self.music.channels)
        sides = render.render(recipe, windows, self._normalise, self.music.rate_hz)
        cut = slice(start, None if length is None else start + length)
        names = recipe.triplet_id, recipe.task, recipe.instruction
        source, target = (np.ascontiguousarray(side[cut].T) for side in (sides.source, sides.target))
        return TripletAudio(*names, source, target, sides.gain, sides.target_gain)

    def json_text(self, row: int, audio: TripletAudio) -> str:
        """Write the JSON that the shards hold of a row; `audio` says which gains it was rendered with."""
        return tar_file.to_json(samples.describe(self.recipe(row), audio.gain, audio.target_gain, self.music)).decode()
