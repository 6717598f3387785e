"""Read one split of triplets from shards or from recipes: which reader opens a folder.

`ShardReader` reads what `shard` wrote, by byte ranges. `RecipeReader` mixes the same samples from the parts of a working folder.
`LatentReader` reads what `train latents` wrote beside shards; it has `arrays` in the place of `audio`.
"""

from pathlib import Path

import numpy as np

from instructme.manifests import urls
from instructme.manifests.rows import DataError
from instructme.pipelines.data.recipe_reader import RecipeReader
from instructme.pipelines.data.shard_reader import ShardReader


def open_split(data: Path, split: str, normalise: str | None = None) -> ShardReader | RecipeReader:
    """Open a folder of shards, or of recipes, which are mixed as `normalise` says (see `shard --normalize`).

    Raises:
        DataError: it holds neither, or none of this split; or a normalisation for shards, which are rendered already.
    """
    with urls.explained(data):
        shards = (data / "index.json").exists() or not (data / "tracks.parquet").exists()
    if shards and normalise is not None:
        raise DataError(f"{data} holds shards, which are normalised already: leave normalise out, or give the working folder")
    if shards:
        return ShardReader(data, split)
    if urls.is_remote(data):
        raise DataError(f"{data} holds recipes: parts and tables are read from local or shared folders; copy it there")
    return RecipeReader(data, split, "joint" if normalise is None else normalise)


def crop_start(seed: int, number: int, room_samples: int, step_samples: int = 1) -> int:
    """Draw where a crop begins from (seed, number): a multiple of `step_samples`, at most `room_samples`."""
    steps = room_samples // step_samples
    return step_samples * int(np.random.default_rng([seed, number]).integers(steps + 1)) if steps > 0 else 0
