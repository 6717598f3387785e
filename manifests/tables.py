"""Read and write the parquet tables, with provenance that lets anybody verify where a table came from."""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from instructme.manifests import urls
from instructme.manifests.columns import faults
from instructme.manifests.columns import schema as schema
from instructme.manifests.files import atomic as atomic
from instructme.manifests.rows import DataError, Reject

SCHEMA_VERSION = 1
_KEY = b"instructme"
WRITERS = {
    **dict.fromkeys(("tracks", "stems", "rejects"), "scan"),
    **dict.fromkeys(("parts", "rhythm", "clips"), "prepare"),
    "triplets": "pair",
    **dict.fromkeys(("scores", "sets"), "evaluate"),
}
"""Which verb writes a table."""
Row = TypeVar("Row")


def sha256(path: Path) -> str:
    """Hash the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tool_version() -> str:
    """Name the version of this package as installed."""
    try:
        return version("instructme")
    except PackageNotFoundError:
        return "0"


def to_table(rows: Iterable[Any], row_type: type) -> pa.Table:
    """Turn dataclass rows into an Arrow table of their type's schema."""
    names = [field.name for field in dataclasses.fields(row_type)]
    return pa.Table.from_pylist([{name: getattr(row, name) for name in names} for row in rows], schema(row_type))


def check_types(row: Any) -> None:
    """Check that a row made from text fits its type.

    Raises:
        TypeError: a value is of another type or out of its range, or missing where one must be.
    """
    for field in schema(row.__class__):
        value = getattr(row, field.name)
        try:
            fits = field.nullable if value is None else pa.scalar(value, field.type).as_py() == value
        except (pa.ArrowException, ValueError):
            fits = False
        if not fits:
            raise TypeError(f"{field.name} of a {type(row).__name__} can't be {value!r}")
    for fault in faults(to_table([row], type(row)), type(row)):
        raise TypeError(f"{type(row).__name__}: {fault}")


def from_json(text: str, row_type: type[Row]) -> Row:
    """Read a row from JSON.

    Raises:
        ValueError, TypeError: not JSON, or not of such a row.
    """
    row = row_type(**json.loads(text))
    check_types(row)
    return row


def write(
    path: Path,
    rows: Iterable[Any] | pa.Table,
    row_type: type,
    *,
    arguments: Mapping[str, Any] | None = None,
    seed: int | None = None,
    parents: Sequence[Path] | Mapping[str, str] = (),
) -> None:
    """Write a table atomically, with its provenance in the parquet metadata.

    `arguments` are those that change the content, never paths of this machine or worker counts; `parents` are the
    files it was made from, recorded by name and SHA-256 (or given so). The same call always writes the same bytes.

    Raises:
        DataError: the path isn't UTF-8, which Arrow can't open.
    """
    if str(path) != str(path).encode(errors="replace").decode():
        raise DataError(f"can't write {path}: the name of a folder in it isn't UTF-8: rename the folder, or choose another")
    table = rows if isinstance(rows, pa.Table) else to_table(rows, row_type)
    provenance = {
        "schema": row_type.__name__,
        "schema_version": SCHEMA_VERSION,
        "tool_version": tool_version(),
        "arguments": dict(arguments or {}),
        "seed": seed,
        "parents": dict(parents) if isinstance(parents, Mapping) else {parent.name: sha256(parent) for parent in parents},
    }
    unused = [name for name in later(row_type) if table[name].null_count == len(table)]
    table, stated = table.cast(schema(row_type)).drop_columns(unused), {_KEY: json.dumps(provenance, sort_keys=True).encode()}
    with atomic(path) as temporary:
        pq.write_table(table.replace_schema_metadata(stated), temporary, compression="zstd")


def _source(path: Path) -> Any:
    """Give pyarrow what it can read: a local path, or the bytes of a table in an object store."""
    if not urls.is_remote(path):
        return path
    with urls.explained(path):
        return pa.BufferReader(path.read_bytes())


@contextmanager
def _opened(path: Path) -> Iterator[tuple[pq.ParquetFile, dict[str, Any]]]:
    """Open a table and read its provenance.

    Raises:
        DataError: the file is missing, not parquet, or not written by this tool.
    """
    with ExitStack() as held:
        try:
            file = held.enter_context(pq.ParquetFile(_source(path)))
            stated = _stated(file.schema_arrow)
        except FileNotFoundError:
            raise DataError(f"no such table: {path}: run 'instructme {_writer(path)}' first") from None
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"not a table of instructme: {path}: {_again(path)} ({_line(error)})") from None
        yield file, stated


def _stated(held: pa.Schema) -> dict[str, Any]:
    """Read the provenance in a schema; ValueError, KeyError or TypeError where there is none."""
    stated = dict(json.loads((held.metadata or {})[_KEY]))
    kinds = {"schema": str, "schema_version": int, "arguments": dict, "parents": dict}
    if unknown := [name for name, kind in kinds.items() if not isinstance(stated.get(name), kind)]:
        raise ValueError(f"it doesn't state its {' and '.join(unknown)}")
    return stated


def provenance(path: Path) -> dict[str, Any]:
    """Read the provenance of a table.

    Raises:
        DataError: the file is missing, not parquet, or not written by this tool.
    """
    with _opened(path) as (_, stated):
        return stated


def read(path: Path, row_type: type, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table, checking that it holds rows of this type and version.

    Raises:
        DataError: missing, damaged, of another type, of another schema version, or with values that no such row has.
    """
    with _opened(path) as (file, stated):
        if (stated["schema"], stated["schema_version"]) != (row_type.__name__, SCHEMA_VERSION):
            raise DataError(
                f"{path} holds {stated['schema']} rows of schema version {stated['schema_version']}, "
                f"not {row_type.__name__} of version {SCHEMA_VERSION}: {_again(path)}"
            )
        try:
            absent = set(later(row_type)) - set(file.schema_arrow.names)
            table = file.read([name for name in columns if name not in absent] if columns else None)
            table.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"damaged table: {path}: {_again(path)} ({_line(error)})") from None
    wanted = schema(row_type)
    table = _complete(table, row_type, columns)
    expected = [wanted.field(name) for name in (columns or wanted.names)]
    if not pa.schema(expected).equals(table.schema.remove_metadata(), check_metadata=False):
        raise DataError(f"{path} was changed by hand: its columns aren't those of {row_type.__name__}: {_again(path)}")
    for fault in faults(table, row_type):
        raise DataError(f"{path} was changed by hand: {fault}: {_again(path)}")
    return table


def check_known(path: Path, name: str, values: pa.ChunkedArray, known: Collection[str]) -> None:
    """Check that a column of a table that was read holds known names only.

    Raises:
        DataError: it holds another.
    """
    if unknown := sorted(set(pc.unique(values).to_pylist()) - set(known)):
        raise DataError(f"{path} was changed by hand: {name} holds {unknown[0]!r:.80}: {_again(path)}")


def read_all(paths: Sequence[Path], row_type: type) -> pa.Table:
    """Read many small local tables of one type as one, in their order: three times as fast as `read` one by one.

    Raises:
        DataError: see `read`.
    """
    import pyarrow.dataset

    try:
        files = pyarrow.dataset.dataset([str(path) for path in paths], schema=schema(row_type), format="parquet")
        held = [file.physical_schema for file in files.get_fragments()]
        table = files.to_table().replace_schema_metadata(None)
        table.validate(full=True)
        stated = {(each["schema"], each["schema_version"]) for each in map(_stated, held)}
        same = stated <= {(row_type.__name__, SCHEMA_VERSION)} and all(_fits(each, row_type) for each in held)
        sound = same and not any(faults(table, row_type))
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
        sound = False
    return table if sound else pa.concat_tables([read(path, row_type) for path in paths])


def _fits(held: pa.Schema, row_type: type) -> bool:
    """Tell whether a file has the columns of a row type; later ones may be absent."""
    absent = set(later(row_type)) - set(held.names)
    return bool(held.equals(pa.schema([field for field in schema(row_type) if field.name not in absent])))


def later(row_type: type) -> tuple[str, ...]:
    """Name the columns that tables of older versions lack."""
    return tuple(getattr(row_type, "LATER", ()))


def _complete(table: pa.Table, row_type: type, columns: Sequence[str] | None) -> pa.Table:
    """Add the later columns that a table lacks, all null, in their place."""
    for name in later(row_type):
        if name not in table.column_names and (columns is None or name in columns):
            field = schema(row_type).field(name)
            place = list(columns or schema(row_type).names).index(name)
            table = table.add_column(place, field, pa.nulls(len(table), field.type))
    return table


def _writer(path: Path) -> str:
    return WRITERS.get(path.stem, "shard")


def _again(path: Path) -> str:
    return f"delete it and run 'instructme {_writer(path)}' again"


def _line(error: object) -> str:
    return " ".join(str(error).split())


def read_rows(path: Path, row_type: type[Row]) -> list[Row]:
    """Read a table as a list of its dataclass rows."""
    return [row_type(**values) for values in read(path, row_type).to_pylist()]


def broken_chain(path: Path) -> list[str]:
    """List what is wrong between a table and the parents beside it: missing, or changed since; empty if all is well."""
    problems = []
    for name, digest in provenance(path)["parents"].items():
        parent = path.parent / name
        if not parent.exists():
            problems.append(f"{path.name}: its parent {name} is missing: run {_writer(parent)} again")
        elif sha256(parent) != digest:
            problems.append(f"{path.name}: {name} has changed since: run {_writer(path)} again")
    return problems


def write_rejects(path: Path, stage: str, rows: Sequence[Reject]) -> None:
    """Replace the rows of one stage in the rejects table, keeping those of the other stages."""
    kept = [row for row in read_rows(path, Reject) if row.stage != stage] if path.exists() else []
    stages = ("scan", "prepare", "pair")

    def order(row: Reject) -> tuple[int, str, str, str, str]:
        return stages.index(row.stage), row.dataset or "", row.track_id or "", row.item, row.reason

    write(path, sorted([*kept, *rows], key=order), Reject)
