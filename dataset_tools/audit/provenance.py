"""Check that tables and shards belong together, by their hashes."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from instructme.dataset_tools.audit import shapes
from instructme.dataset_tools.audit.inputs import AuditTables
from instructme.dataset_tools.audit.report import Finding, Item, Level, Section
from instructme.dataset_tools.sharding.tar_file import NAME
from instructme.manifests import tables
from instructme.manifests.rows import DataError

_ORDER = ("tracks", "stems", "parts", "rhythm", "clips", "triplets", "rejects")


def section(found: AuditTables) -> Section:
    """Check every table against its parents, and the shards against the recipes."""
    names = [name for name in _ORDER if (found.work / f"{name}.parquet").exists()]
    rows = [_row(found.work / f"{name}.parquet") for name in names]
    items: list[Item] = [_chain(found.work, names), *_shards(found)]
    items.append(
        shapes.table("Tables", pd.DataFrame(rows, columns=["table", "rows", "MB", "written by", "version", "seed"], dtype=object))
    )
    return Section("tables", "Tables", "Each table states the SHA-256 of the tables that it was made from.", tuple(items))


def _row(path: Path) -> tuple[str, int, float, str, str, int | None]:
    stated, rows, size_mb = tables.provenance(path), pq.read_metadata(path).num_rows, round(path.stat().st_size / 1e6, 2)
    return path.name, rows, size_mb, tables.WRITERS.get(path.stem, "all"), stated["tool_version"], stated["seed"]


def _chain(work: Path, names: list[str]) -> Finding:
    problems = [line for name in names for line in tables.broken_chain(work / f"{name}.parquet")]
    if not problems:
        return Finding("fine", "The chain of tables is whole", f"{len(names)} tables.")
    title = f"{shapes.counted(len(problems), 'break')} in the chain of tables"
    detail = "Run the stages again, beginning with the first one in this list."
    return shapes.finding("error", title, detail, ("problem",), ((problem,) for problem in problems))


def _shards(found: AuditTables) -> list[Item]:
    if not found.shards.is_dir() or found.recipes is None:
        return []
    if found.index is not None:
        return [_counts(found, found.index), _parents(found, found.shards)]
    unfinished = sum(NAME.fullmatch(path.stem) is not None for path in found.shards.glob("*.tar"))
    title = f"{shapes.counted(unfinished, 'shard')} of an unfinished run"
    return [Finding("warning", title, f"Run instructme shard {found.work} again.")] if unfinished else []


def _counts(found: AuditTables, index: dict[str, Any]) -> Finding:
    """Compare the triplets of the shards with the recipes, by split and task."""
    assert found.recipes is not None
    wanted = found.recipes.rows.groupby(["split", "task"], observed=True).size()
    rendered = pd.Series({(split, task): n for split, tasks in index["counts"].items() for task, n in tasks.items()}, dtype=int)
    both = pd.DataFrame({"recipes": wanted, "in shards": rendered}).fillna(0).astype(int)
    apart = both[both["recipes"] != both["in shards"]]
    size = f"{shapes.counted(len(index['shards']), 'shard')}, {index['bytes'] / 1e9:,.2f} GB"
    said = f"{index['samples']:,} triplets in {size}, hash {index['hash'][:16]}."
    if not len(apart):
        return Finding("fine", "Every recipe is in the shards", said)
    rows = [(split, task, *row) for (split, task), row in zip(apart.index, apart.itertuples(index=False), strict=True)]
    level: Level = "note"
    why = "They were rendered with --limit or --splits, or the run is unfinished."
    if (apart["in shards"] > apart["recipes"]).any():
        level, why = "error", "They belong to other recipes. Run shard again."
    columns = ("split", "task", "recipes", "in shards")
    return shapes.finding(level, "The shards do not hold every recipe", f"{said} {why}", columns, rows)


def _parents(found: AuditTables, folder: Path) -> Finding:
    """Compare the hashes that each shard states with the tables as they are."""
    now: dict[str, str] = {}
    stale: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.parquet")):
        try:
            parents = tables.provenance(path)["parents"]
        except DataError as error:
            stale.setdefault(str(error), []).append(path.stem)
            continue
        for name, digest in parents.items():
            table = found.work / name
            now.setdefault(name, tables.sha256(table) if table.exists() else "")
            if now[name] != digest:
                stale.setdefault(f"{name} is missing or has changed since", []).append(path.stem)
    if not stale:
        return Finding("fine", "The shards were made from these tables", "All hashes agree. `verify` checks the audio.")
    rows = ((what, len(names), names[0]) for what, names in stale.items())
    columns = ("what", "shards", "first")
    return shapes.finding("error", "The shards were made from other tables", "Run shard again.", columns, rows)
