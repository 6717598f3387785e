"""Render the recipes of a working folder into WebDataset shards with an index, resumably."""

import dataclasses
import functools
import itertools
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from instructme.dataset_tools.sharding import card, library, render, samples, tar_file
from instructme.dataset_tools.sharding.index import PER_SHARD, index_of
from instructme.dataset_tools.sharding.windows import Windows
from instructme.dataset_tools.tasks import task_names
from instructme.manifests import limits, tables, urls
from instructme.manifests.counting import counted
from instructme.manifests.files import written_by_hand
from instructme.manifests.rows import SPLITS, DataError, Sample, Track, Triplet
from instructme.pipelines.processes import cluster, engine, resume

_CLAIM = ".instructme"
_FILES = re.compile(rf"\.?{tar_file.NAME.pattern}\.(tar|parquet|json)(\.\d+\.tmp)?")


@dataclasses.dataclass(frozen=True)
class ShardUnit(resume.MarkedUnit):
    """One shard to be made: its recipes as Arrow IPC, and the arguments of its table."""

    recipes: bytes
    arguments: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name without suffix."""
        return self.marker.stem


def shard(
    work: str | Path,
    out: str | Path,
    *,
    per_shard: int = PER_SHARD,
    shard_size_mb: float | None = None,
    limit: int | None = None,
    splits: str | Sequence[str] = SPLITS,
    normalise: str = "joint",
    workers: int | None = None,
    scheduler: str | None = None,
) -> dict[str, Any]:
    """Render `triplets.parquet` of a working folder into tar shards, describe them in a card, and write `index.json` last.

    Triplets keep the order of the table, in which `pair` has mixed tasks and clips. `limit` takes the first triplets of each
    split. Finished shards with the same arguments and parents are kept, also those of splits that are not in `splits`. Shards
    that no longer belong to the set are removed, and their number is told.

    Example:
        ```python
        from instructme import shard

        index = shard("work", "work/shards", workers=4)
        print(index["samples"], "triplets,", index["hash"])
        ```

    Returns:
        The content of `index.json`, with `kept` added: the number of shards that were not rendered again.

    Raises:
        DataError: a table or a part is missing or damaged, the recipes belong to other tables or can't be rendered, there are
            none, a number is out of range, or another command writes into one of the folders.
    """
    work, out = urls.local(work, "the working folder"), urls.parse(out)
    splits = [splits] if isinstance(splits, str) else splits
    _check(per_shard, shard_size_mb, limit, splits, normalise)
    with resume.held(work, shared=True), nullcontext() if urls.is_remote(out) else resume.held(out):
        parents = {name: _digest(work / name) for name in library.PARENTS}
        recipes, channels = library.recipes(work, task_names()), library.read(work).channels
        urls.look(out)
        cut = _cut(recipes, splits, limit, per_shard, shard_size_mb, normalise, channels)
        units, used = _wanted(cut, out, splits, parents)
        if not any(unit.name.rpartition("-")[0] in splits for unit in units):
            raise DataError(
                f"no triplets of {', '.join(splits)} in {work / 'triplets.parquet'}: run pair again with other counts"
            )
        markers = _open(out, units)
        kept = len(markers)
        todo = [unit for unit in units if unit.name not in markers]
        markers |= _render_all(work, out, parents, todo, workers, scheduler)
        if not urls.is_remote(out):
            _remove_stale(out, set(markers))  # what workers that died have left
        index = index_of(markers)
        with urls.explained(out):
            keep_readme = written_by_hand(out / card.README, card.MARK)
        with urls.staged(out) as folder:
            card.write(folder, index, _sources(work, used), keep_readme)
            resume.write(folder / "index.json", index)
        return {**index, "kept": kept}


def _check(per_shard: int, shard_size_mb: float | None, limit: int | None, splits: Sequence[str], normalise: str) -> None:
    limits.check(per_shard=per_shard, shard_size_mb=shard_size_mb, limit=limit)
    for split in splits:
        limits.one_of("splits", split, SPLITS)
    limits.one_of("normalise", normalise, render.NORMALISATIONS)


def _digest(path: Path) -> str:
    if not path.exists():
        raise DataError(f"no such table: {path}: run 'instructme {tables.WRITERS[path.stem]}' first")
    return tables.sha256(path)


def _sources(work: Path, used: Collection[str]) -> Mapping[card.DatasetSource, int]:
    """Count the tracks of each dataset and licence among those used."""
    rows = tables.read(work / "tracks.parquet", Track, ["track_id", "dataset", "licence"]).to_pylist()
    return Counter(card.DatasetSource(row["dataset"], row["licence"]) for row in rows if row["track_id"] in used)


def _cut(
    recipes: pa.Table,
    splits: Sequence[str],
    limit: int | None,
    per_shard: int,
    size_mb: float | None,
    normalise: str,
    channels: int,
) -> Iterator[tuple[str, pa.Table, dict[str, Any]]]:
    """Cut each split into shards, in the order of the table: name, recipes and arguments of each. `limit` is for `splits`."""
    for split in SPLITS:
        rows = recipes.filter(pc.equal(recipes["split"], split))[: limit if split in splits else None]
        count = per_shard if size_mb is None else _count(rows, size_mb, channels)
        for number, first in enumerate(range(0, len(rows), count)):
            # A slice: `take` would copy all columns of all recipes for each shard.
            chosen = rows[first : first + count]
            yield f"{split}-{number:05d}", chosen, {"normalise": normalise, "first": first, "count": len(chosen)}


def _wanted(
    cut: Iterable[tuple[str, pa.Table, dict[str, Any]]], out: Path, splits: Sequence[str], parents: Mapping[str, str]
) -> tuple[list[ShardUnit], set[str]]:
    """List the shards that the folder will hold, and the tracks in them.

    Finished shards of other splits stay, for rendering them may have taken days.
    """
    units, used = [], set()
    for name, rows, arguments in cut:
        depends = {"key": resume.key(name, arguments, parents, tables.SCHEMA_VERSION, tables.tool_version())}
        path = out.resolve() / f"{name}.json"
        with urls.explained(out):
            stays = name.rpartition("-")[0] in splits or resume.finished(path, depends) is not None
        if stays:
            used |= {track for side in ("source_track", "target_track") for track in pc.unique(rows[side]).to_pylist()}
            units.append(ShardUnit(path, depends, _pack(rows), arguments))
    return units, used


def _render_all(
    work: Path, out: Path, parents: Mapping[str, str], units: Sequence[ShardUnit], workers: int | None, scheduler: str | None
) -> dict[str, dict[str, Any]]:
    """Render shards on all workers. Returns their markers."""
    make = functools.partial(_make, work.resolve(), out.resolve(), parents)
    shared = [work.resolve() / "parts.parquet", *([] if urls.is_remote(out) else [out.resolve() / _CLAIM])]
    markers = {}
    for unit, marker in engine.run(
        make, units, description="shard", item="shard", workers=workers, scheduler=scheduler, shared=shared
    ):
        markers[unit.name] = marker
        if scheduler and not urls.is_remote(out):
            cluster.await_written(unit.marker, unit.finished)
    return markers


def _count(rows: pa.Table, size_mb: float, channels: int) -> int:
    if not len(rows):
        return 1
    bytes_each = 2 * 2 * channels * tar_file.FLAC_RATIO * pc.mean(rows["length_samples"]).as_py()
    return max(1, int(min(size_mb * 1e6 / bytes_each, len(rows))))


def _pack(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


def _unpack(packed: bytes) -> list[Triplet]:
    with pa.ipc.open_stream(packed) as reader:
        return [Triplet(**values) for values in reader.read_all().to_pylist()]


def _open(out: Path, units: Sequence[ShardUnit]) -> dict[str, dict[str, Any]]:
    """Make the folder ready: claim it, remove what isn't wanted, and read the markers of shards that are finished."""
    with urls.explained(out):
        if not urls.is_remote(out):
            out.mkdir(parents=True, exist_ok=True)
        _claim(out)
        (out / "index.json").unlink(missing_ok=True)
        if gone := _remove_stale(out, {unit.name for unit in units}):
            print(f"shard: removes {counted(gone, 'finished shard')} of other options or recipes from {out}", file=sys.stderr)
        held = {path.name for path in _held(out)}
        likely = [unit for unit in units if unit.marker.name in held]
        markers = {unit.name: marker for unit in likely if (marker := unit.finished()) is not None}
        resume.tell("shard", [unit.marker for unit in likely if unit.name not in markers], "shard")
        return markers


def _claim(out: Path) -> None:
    """Mark a folder as ours before anything in it is replaced or removed; refuse one that holds somebody else's shards."""
    claim = out / _CLAIM
    strangers = sorted(path.name for path in _held(out) if _FILES.fullmatch(path.name))
    if strangers and not claim.exists():
        raise DataError(f"{out} holds {strangers[0]}, which instructme did not write: choose another folder with -o")
    claim.touch()


def _held(out: Path) -> list[Path]:
    """List a folder; an object store has none before there is something in it."""
    try:
        return sorted(out.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove_stale(out: Path, wanted: set[str]) -> int:
    """Remove files of unwanted shards and files left by killed runs; other files stay. Returns the number of finished shards."""
    finished = 0
    for path in _held(out):
        if _FILES.fullmatch(path.name) and (path.name.startswith(".") or path.stem not in wanted):
            finished += bool(tar_file.NAME.fullmatch(path.stem)) and path.suffix == ".json"
            path.unlink()
    return finished


def _make(work: Path, out: Path, parents: Mapping[str, str], unit: ShardUnit) -> dict[str, Any]:
    """Make one shard. Returns its marker.

    A cluster that loses a worker may ask for a finished shard again: it is left as it is.
    """
    with urls.explained(out):
        if (marker := unit.finished()) is not None:
            return marker
        unit.marker.unlink(missing_ok=True)
    with urls.staged(out, engine.scratch()) as folder:
        return _render(work, folder, parents, unit)


def _render(work: Path, out: Path, parents: Mapping[str, str], unit: ShardUnit) -> dict[str, Any]:
    """Write tar, index and marker of a shard to a local folder, in that order. Returns the marker."""
    music = library.cached(work, tuple(parents.values()))
    recipes = _unpack(unit.recipes)
    read = Windows(music.part, itertools.chain.from_iterable(map(render.windows, recipes)), channels=music.channels)
    rows: list[Sample] = []

    def rendered() -> Iterator[tuple[str, dict[str, bytes]]]:
        for recipe in recipes:
            sides = render.render(recipe, read, unit.arguments["normalise"], music.rate_hz)
            rows.append(samples.row(recipe, sides, music))
            yield recipe.triplet_id, samples.fields(recipe, sides, music)

    tar, index = out / f"{unit.name}.tar", out / f"{unit.name}.parquet"
    with tables.atomic(tar) as temporary:
        places = tar_file.write_tar(temporary, rendered())
    tables.write(index, samples.locate(rows, places), Sample, arguments=unit.arguments, parents=parents)
    marker = {
        **unit.depends,
        "samples": len(rows),
        "tasks": dict(Counter(row.task for row in rows)),
        "seconds": sum(row.length_samples for row in rows) / music.rate_hz,
        "sample_rate_hz": music.rate_hz,
        **({} if music.channels == 1 else {"channels": music.channels}),
        "files": resume.hashes((tar, index)),
    }
    resume.write(out / unit.marker.name, marker)
    return marker


def summary(index: Mapping[str, Any]) -> str:
    """Describe the shards in a few lines."""
    kept = f" ({index['kept']} kept)" if index["kept"] else ""
    lines = [
        f"{counted(index['samples'], 'triplet')} of {index['seconds'] / 3600:.2f} h per side in "
        f"{counted(len(index['shards']), 'shard')}{kept}, "
        f"{index['bytes'] / 1e6:,.1f} MB, hash {index['hash'][:16]}"
    ]
    for split in (split for split in SPLITS if split in index["counts"]):
        tasks = index["counts"][split]
        lines.append(f"  {split}: " + ", ".join(f"{tasks[task]:,} {task}" for task in task_names() if task in tasks))
    return "\n".join(lines)
