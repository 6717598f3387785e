"""Hold recipes as one array while they are drawn, and turn them into rows of the triplets table at the end."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from instructme.dataset_tools.pairing.combinations import Ints
from instructme.dataset_tools.pairing.pool import Pool, Windows
from instructme.manifests.rows import Triplet
from instructme.manifests.tables import schema

RECIPE = np.dtype(
    [
        *((name, "i8") for name in ("start", "length", "source", "target_start", "target", "named", "added", "left_out")),
        *((name, "f8") for name in ("stretch", "beat_error_ms", "chord_agreement")),
        *((name, "i4") for name in ("track", "target_track", "chain")),
        *((name, "i2") for name in ("genre", "task", "round", "gain_db")),
    ]
)
"""`source`, `named` and `left_out` are masks of the source track's parts, `target` and `added` of the target track's.

`genre` and `chain` are -1, `gain_db` 0, the errors NaN, where they don't apply. `task` counts tasks by name.
"""
RecipeArray = npt.NDArray[np.void]


class Drawn(NamedTuple):
    """What a task drew: recipes, how many exist, whether that count is exact, and why windows give none.

    `unused` maps a reason to the tracks of those windows, one entry per window.
    """

    recipes: RecipeArray
    existing: int
    exact: bool
    unused: dict[str, Ints]


class Sides(NamedTuple):
    """What an edit of one window does, as masks of its parts: sounding before and after, named, and brought."""

    source: Ints
    target: Ints
    named: Ints
    added: Ints


def blank(windows: Windows) -> RecipeArray:
    """Make a recipe for each window that leaves the window unstretched and everything else empty."""
    recipes = np.zeros(len(windows), RECIPE)
    for name in ("track", "start", "length"):
        recipes[name] = windows[name]
    recipes["target_track"], recipes["target_start"] = windows["track"], windows["start"]
    recipes["stretch"], recipes["genre"], recipes["chain"], recipes["round"] = 1.0, -1, -1, 1
    recipes["beat_error_ms"] = recipes["chord_agreement"] = np.nan
    return recipes


def of_sides(windows: Windows, sides: Sides) -> RecipeArray:
    """Make the recipe of an edit for each window."""
    recipes = blank(windows)
    for name, mask in sides._asdict().items():
        recipes[name] = mask
    return recipes


def to_table(recipes: RecipeArray, pool: Pool, ids: pa.Array, split: str, tasks: Sequence[str], texts: pa.Array) -> pa.Table:
    """Write recipes out as rows of `Triplet`.

    Args:
        recipes: (N,) recipes.
        pool: what they were drawn from.
        ids: (N,) triplet ids.
        split: their split.
        tasks: names behind `task`.
        texts: (N,) instructions.
    """
    track, target_track = (recipes[name].astype(np.int64) for name in ("track", "target_track"))
    chain = pa.array([f"{split}-chain-{number:06d}" for number in range(int(recipes["chain"].max(initial=-1)) + 1)], pa.string())
    columns = {
        "triplet_id": ids,
        "split": pa.repeat(pa.scalar(split), len(recipes)),
        "task": _take(list(tasks), recipes["task"]),
        "instruction": texts,
        "length_samples": recipes["length"],
        "source_track": _take(pool.tracks, track),
        "source_start_samples": recipes["start"],
        "source_instruments": pool.names(track, recipes["source"]),
        "target_track": _take(pool.tracks, target_track),
        "target_start_samples": recipes["target_start"],
        "target_instruments": pool.names(target_track, recipes["target"]),
        "target_stretch": recipes["stretch"],
        "named": pool.names(track, recipes["named"]),
        "added": pool.names(target_track, recipes["added"]),
        "genre": _take(pool.genres, recipes["genre"]),
        "left_out": pool.names(track, recipes["left_out"]),
        "beat_error_ms": pa.array(recipes["beat_error_ms"], from_pandas=True),
        "chord_agreement": pa.array(recipes["chord_agreement"], from_pandas=True),
        "chain_id": _take(chain, recipes["chain"]),
        "round": recipes["round"].astype(np.int64),
        "gain_db": pa.array(recipes["gain_db"].astype(np.int64), mask=recipes["gain_db"] == 0),
    }
    return pa.table({name: columns[name] for name in schema(Triplet).names}, schema=schema(Triplet))


def _take(names: Sequence[str] | pa.Array, positions: Ints) -> pa.Array:
    """Look names up, null at -1."""
    return pa.array(names, pa.string()).take(pa.array(positions, mask=positions < 0))
