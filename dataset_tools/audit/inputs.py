"""Read what an audit counts from a working folder, as far as its stages have come: few columns, vectors throughout."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from instructme.dataset_tools.tasks import task_module, task_names
from instructme.manifests import tables, urls
from instructme.manifests.datasets import read_datasets
from instructme.manifests.rows import SPLITS, Clip, Part, Reject, Rhythm, Stem, Track, Triplet

_PREPARED = ("parts", "rhythm", "clips")
_OF_PARTS = ["instruments", "active", "rms_db", "usable"]
_RECIPE_NUMBERS = ["length_samples", "source_start_samples", "target_stretch", "beat_error_ms", "chord_agreement"]
_RECIPE_NAMES = ["split", "task", "source_track", "target_track", "genre"]


@dataclass(frozen=True)
class RecipeTable:
    """Recipes, a row each; how often a task asks for an instrument in a split; how many different instructions there are."""

    rows: pd.DataFrame
    asked: pd.DataFrame
    distinct_instructions: int

    @property
    def tasks(self) -> tuple[str, ...]:
        """Name the tasks of the default mix, and the others that were drawn."""
        return tuple(self.rows["task"].cat.categories)


@dataclass(frozen=True)
class AuditTables:
    """The tables of a working folder; empty where a stage hasn't been run.

    `split` is in every table of tracks, parts and clips. `sounding` has a row for each part that sounds in a clip.
    """

    work: Path
    shards: Path
    index: dict[str, Any] | None
    rate_hz: int
    tracks: pd.DataFrame
    stems: pd.DataFrame
    parts: pd.DataFrame
    rhythm: pd.DataFrame
    clips: pd.DataFrame
    sounding: pd.DataFrame
    rejects: pd.DataFrame
    recipes: RecipeTable | None
    roots: dict[str, Path]
    prepared: bool
    """Whether `prepare` has been run."""

    def next_step(self) -> str:
        """Say which command comes next."""
        if not self.prepared:
            return f"instructme prepare {self.work}"
        if self.recipes is None:
            return f"instructme pair {self.work}"
        if self.index is None:
            return f"instructme shard {self.work}"
        return f"instructme verify {self.shards} --work {self.work}"


def read(work: Path, shards: Path | None = None) -> AuditTables:
    """Read the tables that are there.

    Raises:
        DataError: no tables of `scan`, or a damaged table.
    """
    shards = shards or work / "shards"
    urls.look(shards)
    tracks = _table(work, "tracks", Track).to_pandas()
    stems = _table(work, "stems", Stem).to_pandas()
    tracks["hours"] = tracks["track_id"].map((stems["length_samples"] / stems["sample_rate_hz"]).groupby(stems["track_id"]).max())
    tracks["hours"] /= 3600
    stems = stems.merge(tracks[["track_id", "split", "dataset", "layout"]], on="track_id", how="left")
    prepared = all((work / f"{name}.parquet").exists() for name in _PREPARED)
    parts = _parts(_table(work, "parts", Part, ["activity"], there=prepared))
    rhythm = _table(work, "rhythm", Rhythm, there=prepared).to_pandas()
    clips, sounding = _clips(_table(work, "clips", Clip, _OF_PARTS, there=prepared))
    split = tracks[["track_id", "split", "dataset", "genre"]]
    return AuditTables(
        work=work,
        shards=shards,
        index=_index(shards),
        rate_hz=int(parts["sample_rate_hz"].max()) if len(parts) else 0,
        tracks=tracks,
        stems=stems,
        parts=parts.merge(split, on="track_id", how="left"),
        rhythm=rhythm.merge(split, on="track_id", how="left"),
        clips=clips.merge(split, on="track_id", how="left"),
        sounding=sounding,
        rejects=_table(work, "rejects", Reject, there=(work / "rejects.parquet").exists()).to_pandas(),
        recipes=_recipes(work) if (work / "triplets.parquet").exists() else None,
        roots={name: Path(entry["root"]) for name, entry in read_datasets(work).items()},
        prepared=prepared,
    )


def _table(work: Path, name: str, row_type: type, lists: Sequence[str] = (), *, there: bool = True) -> pa.Table:
    """Read a table, of its columns of lists only those that are named; an empty one if it isn't `there`."""
    schema = tables.schema(row_type)
    columns = [field.name for field in schema if not pa.types.is_list(field.type) or field.name in lists]
    if not there:
        return schema.empty_table().select(columns)
    return tables.read(work / f"{name}.parquet", row_type, columns if columns != schema.names else None)


def _parts(table: pa.Table) -> pd.DataFrame:
    """Give parts the share of the time in which they are active, and the frame in which they begin."""
    lengths, owners = pc.list_value_length(table["activity"]).to_numpy(), pc.list_parent_indices(table["activity"]).to_numpy()
    on = np.flatnonzero(pc.list_flatten(table["activity"]).to_numpy())
    first = np.full(len(table), -1, dtype=np.int64)
    first[owners[on][::-1]] = (on - (np.cumsum(lengths) - lengths)[owners[on]])[::-1]
    share = np.bincount(owners[on], minlength=len(table)) / np.maximum(lengths, 1)
    parts: pd.DataFrame = table.drop_columns(["activity"]).to_pandas()
    return parts.assign(active=share, first_active=first)


def _clips(table: pa.Table) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give clips the numbers of their parts; and make a row for each part of each clip, whose number is `clip`."""
    clip = pc.list_parent_indices(table["instruments"]).to_numpy()
    values = {name: pc.list_flatten(table[name]).to_numpy() for name in _OF_PARTS[1:]}
    sounding = pd.DataFrame({"clip": clip, "instrument": _categories(pc.list_flatten(table["instruments"])), **values})
    usable = np.bincount(clip, weights=values["usable"], minlength=len(table)).astype(np.int64)
    clips = table.drop_columns(_OF_PARTS).to_pandas()
    return clips.assign(sounding=pc.list_value_length(table["instruments"]), usable=usable), sounding


def _recipes(work: Path) -> RecipeTable:
    path = work / "triplets.parquet"
    table = tables.read(path, Triplet, [*_RECIPE_NAMES, *_RECIPE_NUMBERS])
    tables.check_known(path, "task", table["task"], task_names())
    rows = pd.DataFrame({name: _categories(table[name]) for name in _RECIPE_NAMES})
    rows = rows.assign(**{name: table[name].to_numpy() for name in _RECIPE_NUMBERS})
    rows["split"] = rows["split"].cat.set_categories(SPLITS)
    drawn = set(rows["task"].cat.categories)
    rows["task"] = rows["task"].cat.set_categories([name for name in task_names() if task_module(name).SHARE or name in drawn])
    del table
    lists = tables.read(path, Triplet, ["source_instruments", "target_instruments"])
    rows["source_parts"] = pc.list_value_length(lists["source_instruments"]).to_numpy()
    rows["target_parts"] = pc.list_value_length(lists["target_instruments"]).to_numpy()
    del lists
    asked = pd.concat([_asked(rows, tables.read(path, Triplet, [name])[name]) for name in ("named", "added")])
    instructions = tables.read(path, Triplet, ["instruction"])["instruction"]
    keys = ["split", "task", "instrument"]
    return RecipeTable(rows, asked.groupby(keys, as_index=False)[["recipes"]].sum(), int(pc.count_distinct(instructions).as_py()))


def _categories(column: pa.ChunkedArray) -> pd.Categorical:
    encoded = column.combine_chunks().dictionary_encode()
    return pd.Categorical.from_codes(encoded.indices.fill_null(-1).to_numpy(), encoded.dictionary.to_pylist())


def _asked(rows: pd.DataFrame, names: pa.ChunkedArray) -> pd.DataFrame:
    """Count recipes by split, task and instrument that is named or added."""
    owners = pc.list_parent_indices(names).to_numpy()
    instrument = _categories(pc.list_flatten(names))
    frame = pd.DataFrame({"split": rows["split"].array[owners], "task": rows["task"].array[owners], "instrument": instrument})
    keys = ["split", "task", "instrument"]
    return frame.groupby(keys, observed=True).size().rename("recipes").reset_index().astype(dict.fromkeys(keys, str))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort names: splits in their order, then all others by name."""
    return tuple(sorted(set(names), key=lambda name: (SPLITS.index(name) if name in SPLITS else len(SPLITS), name)))


def _index(shards: Path) -> dict[str, Any] | None:
    """Read index.json of the shards; None if there are none, or their run isn't finished."""
    try:
        return dict(json.loads((shards / "index.json").read_text("utf-8")))
    except (OSError, ValueError):
        return None
