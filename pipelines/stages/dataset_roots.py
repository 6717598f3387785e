"""The roots of datasets: which layout and name each has, and the songs that its layout finds in it."""

import importlib
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from instructme.dataset_tools import layouts
from instructme.dataset_tools.layouts import FoundTrack, Rejected
from instructme.dataset_tools.unread_files import once
from instructme.manifests import urls
from instructme.manifests.paths import slug
from instructme.manifests.rows import DataError, Track

_FALLBACK = "folder"
"""The layout that fits nearly anything, taken when no other fits."""
_PEEK = 20
"""Folders looked into for a dataset, where the root is none."""


@dataclass(frozen=True)
class Dataset:
    """A root with its name and layout; `folder` is what the paths in the tables are relative to."""

    name: str
    root: Path
    layout: str
    base: Path | None = None
    """The folder that holds all files of the dataset, where a table or links name files outside its own folder."""
    follows_links: bool = False

    @property
    def folder(self) -> Path:
        """The root itself, the folder of a table, or its base."""
        return self.base or (self.root.parent if self.root.is_file() else self.root)


def load(layout: str) -> ModuleType:
    """Load a layout by name."""
    return importlib.import_module(f"instructme.dataset_tools.layouts.{layout}")


def recognise(root: Path, layout: str = "auto") -> str:
    """Name the layout of a root; a given one is checked.

    Raises:
        DataError: no such root, no layout or several fit, or the given one doesn't.
    """
    if not root.exists():
        raise DataError(f"no such folder: {root}: check the path, and that the disk is mounted")
    if layout != "auto":
        if not load(layout).recognises(root):
            raise DataError(f"not in the layout {layout}: {root}: expected {load(layout).EXPECTS}")
        return layout
    fitting = _fitting(root)
    if len(fitting) > 1:
        raise DataError(f"several layouts fit {root}: {', '.join(fitting)}: choose one with --layout")
    if fitting:
        return fitting[0]
    # The folder of a dataset's folder also looks like songs with stems, of names that say nothing.
    below = [f"{path} ({', '.join(fits)})" for path in layouts.folders(root)[:_PEEK] if (fits := _fitting(path))]
    if below:
        raise DataError(f"{root} is no dataset, but holds some: give their folders instead: {', '.join(below)}")
    if load(_FALLBACK).recognises(root):
        return _FALLBACK
    sought = "; ".join(f"{name}: {load(name).EXPECTS}" for name in layouts.names())
    raise DataError(f"no dataset in {root}. Looked for {sought}")


def _fitting(root: Path) -> list[str]:
    return [name for name in layouts.names() if name != _FALLBACK and load(name).recognises(root)]


def choose(
    roots: Sequence[Path], work: Path, layout: str, names: Sequence[str], known: dict[str, dict[str, str]]
) -> list[Dataset]:
    """Decide the layout and the name of every root; the old name of a root that gets a new one leaves `known`."""
    if names and len(names) != len(roots):
        raise DataError(f"{len(names)} dataset names for {len(roots)} roots: give one for each")
    chosen: list[Dataset] = []
    for root, name in itertools.zip_longest((root.absolute() for root in roots), names):
        if any(root.resolve() == other.root.resolve() for other in chosen):
            continue
        urls.look(root)
        taken = recognise(root, layout)
        if taken == _FALLBACK and not urls.is_remote(root) and work.resolve().is_relative_to(root.resolve()):
            raise DataError(f"{work} is inside {root}: choose a working folder outside, so that parts are not taken for stems")
        beside = [*(other.root for other in chosen), *(Path(entry["root"]) for entry in known.values() if "table" not in entry)]
        if not urls.is_remote(root) and (other := next((each for each in beside if _nested(root, each)), None)):
            raise DataError(f"one of {root} and {other} is inside the other: give only one, so that no song counts twice")
        old = next((name for name, entry in known.items() if _is_of(root, entry)), None)
        wanted = slug(name or old or (root.stem if root.is_file() else root.name), 30)
        if old is None and wanted in known and _is_gone(known[wanted]):
            old = wanted  # it was moved
        used = {*known, *(other.name for other in chosen)} - {old}
        if name and wanted in used:
            raise DataError(f"dataset name {wanted} is taken: choose another for {root}")
        free = next(free for free in (wanted, *(f"{wanted}-{number}" for number in range(2, 1000))) if free not in used)
        if old and old != free:
            del known[old]
        chosen.append(Dataset(free, root, taken))
    return chosen


def widened(dataset: Dataset, *, allow_outside: bool, follow_links: bool) -> Dataset:
    """Give a dataset the folder that holds all its files: those that its table names, and those that its links lead to."""
    if urls.is_remote(dataset.root) or not (follow_links or dataset.layout == "table"):
        return dataset
    if follow_links:
        dataset = replace(dataset, root=dataset.root.resolve(), follows_links=True)
    tracks = [item for item in found(dataset) if isinstance(item, FoundTrack)]
    files = [_without_steps(path) for track in tracks for path in _paths(track)]
    base = Path(os.path.commonpath([dataset.folder, *(path.parent for path in files)]))
    return replace(dataset, base=base) if allow_outside or base != dataset.folder else dataset


def _paths(track: FoundTrack) -> list[Path]:
    stated = [getattr(track, name) for name in Track.FILES]
    return [path for path in (*stated, *(path for stem in track.stems for path in (stem.path, stem.midi_path))) if path]


def found(dataset: Dataset) -> list[FoundTrack | Rejected]:
    """Read a dataset by its layout; of a widened one, each file where it lies."""
    items = list(load(dataset.layout).tracks(dataset.root))
    change = _end if dataset.follows_links else _without_steps if dataset.base else None
    moved = [_moved(item, change) if change and isinstance(item, FoundTrack) else item for item in items]
    return moved if urls.is_remote(dataset.root) else list(once(dataset.folder, moved, in_a_track=dataset.follows_links))


def _end(path: Path) -> Path:
    return path.resolve() if path.exists() else path


def _without_steps(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _moved(track: FoundTrack, change: Callable[[Path], Path]) -> FoundTrack:
    def end(path: Path | None) -> Path | None:
        return path and change(path)

    stems = tuple(replace(stem, path=change(stem.path), midi_path=end(stem.midi_path)) for stem in track.stems)
    files: dict[str, Any] = {name: end(getattr(track, name)) for name in Track.FILES}
    return replace(track, stems=stems, **files)


def _nested(one: Path, other: Path) -> bool:
    """Tell whether one of two roots is in the other, also a table in a folder; two tables may lie in one folder."""
    if urls.is_remote(other) or not (one.is_dir() or other.is_dir()):
        return False
    first, second = one.resolve(), other.resolve()
    return first in second.parents or second in first.parents


def _is_gone(entry: Mapping[str, str]) -> bool:
    """Tell whether the folder of an entry of datasets.json is no longer there."""
    return not urls.is_url(entry["root"]) and not Path(entry["root"]).exists()


def _is_of(root: Path, entry: Mapping[str, str]) -> bool:
    """Tell whether an entry of datasets.json is that of a root."""
    stated, table = entry["root"], entry.get("table")
    if urls.is_url(stated):
        return str(root) == "/".join(filter(None, (stated, table)))
    return Path(stated, table or "").resolve() == root.resolve()
