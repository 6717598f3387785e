"""Use triplets without shards: mixed on the fly from parts and recipes, sample for sample what `shard` writes.

triplets = TripletDataset("work", "train")
loader = torch.utils.data.DataLoader(triplets, batch_size=16, shuffle=True, num_workers=2)
"""

from pathlib import Path
from typing import TypedDict

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.sharding import render, samples, tar_file
from instructme.manifests.rows import DataError
from instructme.pipelines.data.recipe_reader import RecipeReader


class Item(TypedDict):
    """A triplet: `source` and `target` are (T,) float32 at the working rate, `json` is the text of its JSON in the shards."""

    key: str
    instruction: str
    source: Samples
    target: Samples
    json: str


class TripletDataset:
    """The triplets of one split of a working folder, map-style: any row at any time, in the order of shards of its recipes.

    Parts and recipes take a fraction of the disk of shards; mixing takes the processor time that reading saves. What
    PyTorch's `DataLoader` asks of a dataset is here, and nothing of torch is needed.

    Raises:
        DataError: a table is missing, damaged or of another run, no recipe of this split, or no such normalisation.
    """

    def __init__(self, work: Path | str, split: str, *, normalise: str = "joint") -> None:
        if normalise not in render.NORMALISATIONS:
            raise DataError(f"no such normalisation: {normalise}: choose one of {', '.join(render.NORMALISATIONS)}")
        self._recipes, self._normalise = RecipeReader(Path(work), split), normalise
        self.sample_rate_hz = self._recipes.music.rate_hz

    def __len__(self) -> int:
        return int(self._recipes.sizes.sum())

    def __getitem__(self, row: int) -> Item:
        """Mix a row, counted from the end if negative.

        Raises:
            IndexError: there is no such row.
            DataError: a part is missing or damaged.
        """
        recipe = self._recipes.recipe(range(len(self))[row])
        sides = self._recipes.mixed(recipe, self._normalise)
        described = tar_file.to_json(samples.describe(recipe, sides.gain, sides.target_gain, self._recipes.music))
        return Item(
            key=recipe.triplet_id,
            instruction=recipe.instruction,
            source=sides.source,
            target=sides.target,
            json=described.decode(),
        )
