"""Read what an audit counts from a working folder, as far as its stages have come: few columns, vectors throughout."""

import json
from collections.abc import Iterable
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

    @property
    def prepared(self) -> bool:
        """Tell whether `prepare` has been run."""
        return all((self.work / f"{name}.parquet").exists() for name in _PREPARED)

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
    tracks = _frame(work, "tracks", Track)
    stems = _frame(work, "stems", Stem)
    tracks["hours"] = tracks["track_id"].map((stems["length_samples"] / stems["sample_rate_hz"]).groupby(stems["track_id"]).max())
    tracks["hours"] /= 3600
    stems = stems.merge(tracks[["track_id", "split", "dataset", "layout"]], on="track_id", how="left")
    prepared = all((work / f"{name}.parquet").exists() for name in _PREPARED)
    parts = _parts(work) if prepared else _empty(Part, active=0.0, first_active=0)
    rhythm = _frame(work, "rhythm", Rhythm, scalar=True) if prepared else _empty(Rhythm)
    clips, sounding = _clips(work) if prepared else (_empty(Clip), _sounding(tables.schema(Clip).empty_table()))
    split = tracks[["track_id", "split", "dataset", "genre"]]
    rejects = work / "rejects.parquet"
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
        rejects=_frame(work, "rejects", Reject) if rejects.exists() else _empty(Reject),
        recipes=_recipes(work) if (work / "triplets.parquet").exists() else None,
        roots={name: Path(entry["root"]) for name, entry in read_datasets(work).items()},
    )


def _frame(work: Path, name: str, row_type: type, *, scalar: bool = False) -> pd.DataFrame:
    """Read a table; with `scalar`, without its columns of lists."""
    frame: pd.DataFrame = tables.read(work / f"{name}.parquet", row_type, _scalars(row_type) if scalar else None).to_pandas()
    return frame


def _scalars(row_type: type) -> list[str]:
    return [field.name for field in tables.schema(row_type) if not pa.types.is_list(field.type)]


def _empty(row_type: type, **more: object) -> pd.DataFrame:
    frame: pd.DataFrame = tables.schema(row_type).empty_table().select(_scalars(row_type)).to_pandas()
    return frame.assign(**{name: pd.Series(dtype=type(value)) for name, value in more.items()})


def _parts(work: Path) -> pd.DataFrame:
    """Read parts with the share of the time in which they are active, and the frame in which they begin."""
    table = tables.read(work / "parts.parquet", Part, [*_scalars(Part), "activity"])
    active = table["activity"].combine_chunks()
    lengths = np.diff(active.offsets.to_numpy())
    owners = np.repeat(np.arange(len(active)), lengths)
    on = np.flatnonzero(active.values.slice(active.offsets[0].as_py(), len(owners)).to_numpy(zero_copy_only=False))
    first = np.full(len(active), -1, dtype=np.int64)
    first[owners[on][::-1]] = (on - (active.offsets.to_numpy() - active.offsets[0].as_py())[owners[on]])[::-1]
    share = np.bincount(owners[on], minlength=len(active)) / np.maximum(lengths, 1)
    parts: pd.DataFrame = table.drop_columns(["activity"]).to_pandas()
    return parts.assign(active=share, first_active=first)


def _clips(work: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = tables.read(work / "clips.parquet", Clip, [*_scalars(Clip), "instruments", "active", "rms_db", "usable"])
    sounding = _sounding(table)
    usable = np.bincount(sounding["clip"], weights=sounding["usable"], minlength=len(table)).astype(np.int64)
    clips = table.select(_scalars(Clip)).to_pandas().assign(sounding=pc.list_value_length(table["instruments"]), usable=usable)
    return clips, sounding


def _sounding(table: pa.Table) -> pd.DataFrame:
    """Make a row for each part of each clip; `clip` is the number of the clip's row."""
    values = {name: pc.list_flatten(table[name]).to_numpy() for name in ("active", "rms_db", "usable")}
    names = pc.list_flatten(table["instruments"]).combine_chunks().dictionary_encode()
    instrument = pd.Categorical.from_codes(names.indices.to_numpy(), names.dictionary.to_pylist())
    return pd.DataFrame({"clip": pc.list_parent_indices(table["instruments"]).to_numpy(), "instrument": instrument, **values})


def _recipes(work: Path) -> RecipeTable:
    path = work / "triplets.parquet"
    table = tables.read(path, Triplet, [*_RECIPE_NAMES, *_RECIPE_NUMBERS])
    tables.check_known(path, "task", table["task"], task_names())
    rows = pd.DataFrame({name: _categories(table[name]) for name in _RECIPE_NAMES})
    rows = rows.assign(**{name: table[name].to_numpy() for name in _RECIPE_NUMBERS})
    rows["split"] = rows["split"].cat.set_categories(SPLITS)
    rows["task"] = rows["task"].cat.set_categories(_tasks(rows["task"]))
    del table
    lists = tables.read(path, Triplet, ["source_instruments", "target_instruments"])
    rows["source_parts"] = pc.list_value_length(lists["source_instruments"]).to_numpy()
    rows["target_parts"] = pc.list_value_length(lists["target_instruments"]).to_numpy()
    del lists
    asked = pd.concat([_asked(rows, tables.read(path, Triplet, [name])[name]) for name in ("named", "added")])
    instructions = tables.read(path, Triplet, ["instruction"])["instruction"]
    keys = ["split", "task", "instrument"]
    return RecipeTable(rows, asked.groupby(keys, as_index=False)[["recipes"]].sum(), int(pc.count_distinct(instructions).as_py()))


def _tasks(drawn: pd.Series) -> list[str]:
    held = set(drawn.cat.categories)
    return [name for name in task_names() if task_module(name).SHARE or name in held]


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
    places = {name: place for place, name in enumerate(SPLITS)}
    return tuple(sorted(set(names), key=lambda name: (places.get(name, len(places)), str(name))))


def _index(shards: Path) -> dict[str, Any] | None:
    """Read index.json of the shards; None if there are none, or their run isn't finished."""
    try:
        return dict(json.loads((shards / "index.json").read_text("utf-8")))
    except (OSError, ValueError):
        return None
