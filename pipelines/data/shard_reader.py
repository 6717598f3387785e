"""Read the rendered triplets of one split from shards, by their byte offsets."""

import functools
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.sharding import tar_file
from instructme.dataset_tools.tasks import task_names
from instructme.manifests import tables, urls
from instructme.manifests.rows import DataError, Sample, Triplet
from instructme.pipelines.data.byte_ranges import Ranges

HELD = 64
"""Shards that stay open in a process: more than the two groups that a batch may touch."""
_NUMBERS = [
    *("sample_rate_hz", "length_samples", "gain", "target_gain"),
    *("source_offset_bytes", "source_size_bytes", "target_offset_bytes", "target_size_bytes"),
    *("json_offset_bytes", "json_size_bytes"),
]
_COLUMNS = ["triplet_id", "task", "instruction", "dataset", "recipe", "channels", *_NUMBERS]


Encoded = dict[str, Any]
"""A sample as the tar holds it: `__key__`, `__url__`, and the bytes of each member."""


class TripletAudio(NamedTuple):
    """The audio of a triplet: both sides, or the same window of both, `(T,)` or `(channels, T)`, and their gains."""

    key: str
    task: str
    instruction: str
    source: Samples
    target: Samples
    gain: float
    target_gain: float


class ShardReader:
    """One split of a folder of shards. Rows are counted through its shards in the order of their names.

    Only `index.json` is read at first, so opening a set of any size takes the same time.

    Raises:
        DataError: `index.json` is missing (`shard` did not finish), empty or damaged, or has no shard of this split.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.folder = folder
        with urls.explained(folder):
            listed = _listed(folder)
        chosen = [each for each in listed if each["name"].startswith(f"{split}-")]
        if not chosen:
            held = ", ".join(sorted({each["name"].split("-")[0] for each in listed}))
            raise DataError(f"no shards of split {split} in {folder}: it holds {held}; run 'instructme shard' with that split")
        self.names = [each["name"] for each in chosen]
        self.sizes = np.array([each["samples"] for each in chosen], dtype=np.int64)
        self.tasks = {task for each in chosen for task in each["tasks"]}
        self.rates_hz = {each["sample_rate_hz"] for each in chosen}
        self.channels = {each.get("channels", 1) for each in chosen}
        self.seconds = {each["seconds"] / each["samples"] for each in chosen}
        self._keys = [each["key"] for each in chosen]
        self.tar_bytes = [each["files"][f"{each['name']}.tar"]["bytes"] for each in chosen]
        self._ends = np.cumsum(self.sizes)

    def place(self, row: int) -> tuple[int, int]:
        """Find the shard of a row and its place in it."""
        shard = int(np.searchsorted(self._ends, row, side="right"))
        return shard, int(row - (self._ends[shard] - self.sizes[shard]))

    def rows(self, name: str) -> range:
        """List the rows of a shard."""
        shard = self.names.index(name)
        return range(int(self._ends[shard] - self.sizes[shard]), int(self._ends[shard]))

    def digest(self, name: str) -> str:
        """Hash the marker of a shard, which holds the hashes of its files.

        Raises:
            DataError: it is missing.
        """
        try:
            return tables.sha256(self.folder / f"{name}.json")
        except FileNotFoundError:
            raise DataError(f"no {name}.json in {self.folder}: run 'instructme shard' again") from None

    def state(self) -> str:
        """Hash what all shards of the split were made from: ids of triplets are the same after another `pair`."""
        return hashlib.sha256(" ".join((*self.names, *self._keys)).encode()).hexdigest()

    def values(self, row: int) -> dict[str, Any]:
        """Read a row of the index: the `_COLUMNS` of a `Sample`."""
        return self._opened(row)[1]

    def recipe(self, row: int) -> Triplet:
        """Read the recipe of a row.

        Raises:
            DataError: it isn't one.
        """
        values = self.values(row)
        try:
            return tables.from_json(values["recipe"], Triplet)
        except (ValueError, TypeError) as error:
            where = f"{values['triplet_id']} in {self.folder / self.names[self.place(row)[0]]}.parquet"
            raise DataError(f"recipe of {where} was changed by hand ({error}): run 'instructme shard' again") from None

    def parts_digest(self) -> str:
        """Read the SHA-256 of the table of parts that the shards were rendered from."""
        return str(tables.provenance(self.folder / f"{self.names[0]}.parquet")["parents"].get("parts.parquet"))

    def audio(self, row: int, start: int = 0, length: int | None = None) -> TripletAudio:
        """Read `length` samples of both sides from `start`; all of them by default.

        Raises:
            DataError: the tar is damaged, or not that of its index.
        """
        opened, values = self._opened(row)
        length = values["length_samples"] - start if length is None else length
        source, target = (opened.side(values, side, start, length) for side in ("source", "target"))
        names = values["triplet_id"], values["task"], values["instruction"]
        return TripletAudio(*names, source, target, values["gain"], values["target_gain"])

    def length_samples(self, row: int) -> int:
        """Read how long both sides of a row are."""
        return int(self.values(row)["length_samples"])

    def json_text(self, row: int, audio: TripletAudio) -> str:
        """Read the JSON of a row from its tar.

        Raises:
            DataError: the tar is damaged, or not that of its index.
        """
        opened, values = self._opened(row)
        return opened.json_text(values)

    def _opened(self, row: int) -> tuple["_Shard", dict[str, Any]]:
        """Open the shard of a row, and read the row of its index."""
        shard, place = self.place(row)
        stated = int(self.sizes[shard]), self.tar_bytes[shard]
        opened = _open(urls.reopened(self.folder), self.names[shard], self._keys[shard], *stated)
        return opened, opened.values(place)


class _Shard:
    """An open shard: its index as an Arrow table, and its tar."""

    def __init__(self, folder: Path, name: str, size: int, tar_bytes: int) -> None:
        self._path = folder / f"{name}.tar"
        self._rows: pa.Table = tables.read(folder / f"{name}.parquet", Sample, _COLUMNS)
        try:
            self._tar = Ranges(self._path)
        except OSError as error:
            raise DataError(f"can't read {self._path} ({error.strerror}): run 'instructme shard' again") from None
        if len(self._rows) != size or not self._sound(self._tar.size):
            raise DataError(f"{folder / name}.parquet isn't the index of {name}.tar: run 'instructme shard' again")
        if self._tar.size != tar_bytes:
            raise DataError(f"{self._path} isn't the shard that index.json lists: run 'instructme shard' again")

    def _sound(self, tar_bytes: int) -> bool:
        """Check that all rows are of known tasks, one rate and one length, and lie in the tar."""
        column = {name: self._rows[name].to_numpy() for name in _NUMBERS}
        uniform = all(len(np.unique(column[name])) == 1 for name in ("sample_rate_hz", "length_samples"))
        known = set(self._rows["task"].unique().to_pylist()) <= set(task_names())
        places = [(column[f"{side}_offset_bytes"], column[f"{side}_size_bytes"]) for side in ("source", "target", "json")]
        inside = [np.all((offset >= 0) & (size >= 0) & (offset + size <= tar_bytes)) for offset, size in places]
        return known and uniform and all(inside)

    def values(self, place: int) -> dict[str, Any]:
        values: dict[str, Any] = self._rows.slice(place, 1).to_pylist()[0]
        return values

    def json_text(self, values: dict[str, Any]) -> str:
        """Read the JSON of a sample."""
        text = self._tar.read(values["json_offset_bytes"], values["json_size_bytes"])
        try:
            return text.decode()
        except ValueError:
            where = f"{values['triplet_id']} in {self._path}"
            raise DataError(f"{where}: its JSON is damaged: run 'instructme shard' again") from None

    def side(self, values: dict[str, Any], side: str, start: int, length: int) -> Samples:
        """Decode a window of a side."""
        flac = self._tar.read(values[f"{side}_offset_bytes"], values[f"{side}_size_bytes"])
        sample = {"__key__": values["triplet_id"], "__url__": self._path, f"{side}.flac": flac}
        return audio_of(sample, side, start, length, values["channels"] or 1)[0]


def described_as(sample: Encoded) -> dict[str, Any]:
    """Read the JSON of a sample.

    Raises:
        DataError: there is none, or it isn't that of a triplet.
    """
    with _explained(sample):
        values: dict[str, Any] = json.loads(sample["json"])
        return {**values, "task": str(values["task"]), "instruction": str(values["instruction"])}


def audio_of(sample: Encoded, side: str, start: int = 0, length: int | None = None, channels: int = 1) -> tuple[Samples, int]:
    """Decode a window of the source or the target of a sample, `(T,)` or `(channels, T)`, and its rate in Hz.

    Raises:
        DataError: there is none, or it is damaged or cut short.
    """
    with _explained(sample):
        samples, rate_hz = tar_file.decode(sample[f"{side}.flac"], start, length)
    if samples.shape[1:] != (() if channels == 1 else (channels,)) or length not in (None, len(samples)):
        raise DataError(f"{sample['__key__']} in {sample['__url__']} is cut short: run 'instructme shard' again")
    return np.ascontiguousarray(samples.T), rate_hz


@contextmanager
def _explained(sample: Encoded) -> Iterator[None]:
    """Say which sample is at fault."""
    try:
        yield
    except (DataError, KeyError, ValueError, TypeError) as error:
        why = f"no {error.args[0]}" if isinstance(error, KeyError) else str(error)
        where = f"{sample['__key__']} in {sample['__url__']}"
        raise DataError(f"{where}: {why}: run 'instructme shard' again") from None


@functools.lru_cache(maxsize=HELD)
def _open(folder: Path, name: str, key: str, size: int, tar_bytes: int) -> _Shard:
    """Open a shard once per process and state: KEY stands for its bytes."""
    return _Shard(folder, name, size, tar_bytes)


def _listed(folder: Path) -> list[dict[str, Any]]:
    """Read and check the shards of `index.json`."""
    path = folder / "index.json"
    try:
        listed = list(json.loads(path.read_text())["shards"])
    except FileNotFoundError:
        raise DataError(
            f"no index.json in {folder}: give a folder that 'instructme shard' has finished, or a working folder with recipes"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"damaged list of shards: {path}: run 'instructme shard' again ({error})") from None
    if not listed:
        raise DataError(f"{path} lists no shards: run 'instructme shard' again")
    if not all(_sound(each) for each in listed):
        raise DataError(f"{path} was changed by hand, or written by another version: run 'instructme shard' again")
    return sorted(listed, key=lambda each: str(each["name"]))


def _sound(each: Any) -> bool:
    """Check what a shard is listed with: names become paths, sizes become places, and the tar's size tells it from another."""
    kinds = {"name": str, "key": str, "samples": int, "sample_rate_hz": int, "seconds": int | float, "tasks": dict}
    try:
        typed = all(isinstance(each[name], kind) for name, kind in kinds.items()) and each.get("channels", 1) in (1, 2)
        named = typed and tar_file.NAME.fullmatch(each["name"]) is not None
        return named and each["samples"] > 0 and isinstance(each["files"][f"{each['name']}.tar"]["bytes"], int)
    except (KeyError, TypeError):
        return False
