"""Scan: dataset folders of any layout -> tracks.parquet and stems.parquet, from names, metadata and audio headers."""

import hashlib
import importlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType

from instructme.dataset_tools import layouts
from instructme.dataset_tools.layouts import FoundTrack, Rejected
from instructme.dataset_tools.stems import headers
from instructme.dataset_tools.unread_files import once, unread
from instructme.manifests import instruments, splits, tables, urls
from instructme.manifests.datasets import read_datasets
from instructme.manifests.files import sweep
from instructme.manifests.paths import slug
from instructme.manifests.rows import SPLITS, DataError, Reject, Stem, Track
from instructme.pipelines.processes import resume

_THREADS = 8
"""Headers are waited for, not computed."""
_FALLBACK = "folder"
"""The layout that fits nearly anything, taken when no other fits."""
_PEEK = 20
"""Folders looked into for a dataset, where the root is none."""


@dataclass
class Rows:
    """Rows of the tables, of one dataset or of all."""

    tracks: list[Track] = field(default_factory=list)
    stems: list[Stem] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    """Of all stems of the datasets that were read, also of those that were rejected."""


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


def scan(
    roots: str | Path | Sequence[str | Path],
    work: str | Path,
    *,
    layout: str = "auto",
    split: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    aliases: str | Path | None = None,
    accept_guesses: bool = False,
    licences: Sequence[str] = (),
    names: Sequence[str] = (),
    allow_outside: bool = False,
    follow_links: bool = False,
    dry_run: bool = False,
) -> Rows:
    """Write tracks.parquet, stems.parquet, datasets.json and the scan's rejects for all roots.

    Datasets that are already in WORK are not read again; only their drawn splits may change. A root that is scanned again
    replaces its rows.

    Args:
        roots: folders or URLs of datasets, or CSV and parquet tables.
        work: working folder for the tables.
        layout: layout of all roots; `auto` recognises it.
        split: shares of train, validation and test, where a dataset has no official splits.
        seed: seed of the drawn splits.
        aliases: CSV file with the columns label,instrument.
        accept_guesses: use instruments that a label may mean as if they were certain.
        licences: use only tracks of these licences; `*` and `?` are wildcards.
        names: names of the datasets, one for each root; by default the names of their folders.
        allow_outside: let a table name files outside its folder.
        follow_links: read files that are links out of their dataset.
        dry_run: write nothing.

    Example:
        ```python
        from instructme import scan

        rows = scan(["slakh2100"], "work")
        print(len(rows.tracks), "tracks,", len(rows.rejects), "rejects")
        ```

    Raises:
        DataError: a root is missing or has no known layout, the aliases can't be used, or no track can be used.
    """
    work = urls.local(work, "the working folder")
    places = [urls.parse(root) for root in ([roots] if isinstance(roots, str | Path) else roots)]
    aliases = urls.local(aliases, "the aliases") if aliases else None
    if not dry_run:
        sweep(work)
    known = read_datasets(work)
    own = instruments.load_aliases(aliases) if aliases else {}
    chosen = _choose(places, work, layout, names, known)
    if allow_outside or follow_links:
        chosen = [_widened(dataset, allow_outside=allow_outside, follow_links=follow_links) for dataset in chosen]
    rows = _kept(work, set(known) - {dataset.name for dataset in chosen})
    for dataset in chosen:
        with urls.explained(dataset.root):
            found = _read(dataset, own, accept_guesses, licences, {track.track_id for track in rows.tracks})
        rows.tracks += found.tracks
        rows.stems += found.stems
        rows.rejects += found.rejects
        rows.labels |= found.labels
        known[dataset.name] = {"root": str(dataset.folder), "layout": dataset.layout}
        if dataset.folder != dataset.root:
            known[dataset.name]["table"] = dataset.root.relative_to(dataset.folder).as_posix()
    _split(rows, split, seed)
    if not rows.tracks:
        reasons = Counter(reject.reason for reject in rows.rejects)
        first = f"; first: {rows.rejects[0].detail}" if rows.rejects else ""
        raise DataError(f"nothing usable in {', '.join(map(str, places))}: {_told(reasons) or 'no tracks'}{first}")
    rows.rejects += _unused(own, rows)
    if dry_run:
        return rows
    arguments = {
        "aliases": tables.sha256(aliases) if aliases else None,
        "datasets": {name: entry["layout"] for name, entry in sorted(known.items())},
        "licences": sorted(licences),
        "split": list(split),
        **({"accept_guesses": True} if accept_guesses else {}),
    }
    tables.write(work / "tracks.parquet", rows.tracks, Track, arguments=arguments, seed=seed)
    tables.write(work / "stems.parquet", rows.stems, Stem, arguments=arguments, seed=seed, parents=[work / "tracks.parquet"])
    tables.write_rejects(work / "rejects.parquet", "scan", rows.rejects)
    # Last: what a scan that was stopped has written of a dataset is not kept by the next one.
    resume.write(work / "datasets.json", known)
    return rows


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


def _choose(
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
        used = {*known, *(other.name for other in chosen)} - {old}
        if name and wanted in used:
            raise DataError(f"dataset name {wanted} is taken: choose another for {root}")
        free = next(free for free in (wanted, *(f"{wanted}-{number}" for number in range(2, 1000))) if free not in used)
        if old and old != free:
            del known[old]
        chosen.append(Dataset(free, root, taken))
    return chosen


def _widened(dataset: Dataset, *, allow_outside: bool, follow_links: bool) -> Dataset:
    """Give a dataset the folder that holds all its files: those that its table names, and those that its links lead to."""
    if urls.is_remote(dataset.root) or not (follow_links or dataset.layout == "table"):
        return dataset
    if follow_links:
        dataset = replace(dataset, root=dataset.root.resolve(), follows_links=True)
    tracks = [item for item in _found(dataset) if isinstance(item, FoundTrack)]
    files = [_without_steps(path) for track in tracks for path in _paths(track)]
    base = Path(os.path.commonpath([dataset.folder, *(path.parent for path in files)]))
    return replace(dataset, base=base) if allow_outside or base != dataset.folder else dataset


def _paths(track: FoundTrack) -> list[Path]:
    stated = (track.chords_path, track.beats_path, track.downbeats_path, track.mix_path)
    return [path for path in (*stated, *(path for stem in track.stems for path in (stem.path, stem.midi_path))) if path]


def _found(dataset: Dataset) -> list[FoundTrack | Rejected]:
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

    stems = tuple(replace(stem, path=end(stem.path) or stem.path, midi_path=end(stem.midi_path)) for stem in track.stems)
    return replace(
        track,
        stems=stems,
        chords_path=end(track.chords_path),
        beats_path=end(track.beats_path),
        downbeats_path=end(track.downbeats_path),
        mix_path=end(track.mix_path),
    )


def _nested(one: Path, other: Path) -> bool:
    """Tell whether one of two folders is in the other."""
    if urls.is_remote(other) or not (one.is_dir() and other.is_dir()):
        return False
    first, second = one.resolve(), other.resolve()
    return first in second.parents or second in first.parents


def _is_of(root: Path, entry: Mapping[str, str]) -> bool:
    """Tell whether an entry of datasets.json is that of a root."""
    stated, table = entry["root"], entry.get("table")
    if urls.is_url(stated):
        return str(root) == "/".join(filter(None, (stated, table)))
    return Path(stated, table or "").resolve() == root.resolve()


def _kept(work: Path, known: set[str]) -> Rows:
    """Read the rows of the datasets that stay as they are."""
    rows = Rows()
    if not known:
        return rows
    again = (
        f"the tables in {work} lack rows of {', '.join(sorted(known))}: delete {work / 'datasets.json'} and scan all roots again"
    )
    if not all((work / f"{name}.parquet").exists() for name in ("tracks", "stems")):
        raise DataError(again)
    rows.tracks = [row for row in tables.read_rows(work / "tracks.parquet", Track) if row.dataset in known]
    ids = {row.track_id for row in rows.tracks}
    rows.stems = [row for row in tables.read_rows(work / "stems.parquet", Stem) if row.track_id in ids]
    if ids != {row.track_id for row in rows.stems}:
        raise DataError(again)
    if (work / "rejects.parquet").exists():
        rejects = tables.read_rows(work / "rejects.parquet", Reject)
        rows.rejects = [row for row in rejects if row.stage == "scan" and row.dataset in known]
    return rows


def _unused(aliases: Mapping[str, str], rows: Rows) -> list[Reject]:
    """Tell of aliases that no stem has as its label, such as misspelt ones."""
    held = {instruments.alias_key(label) for label in (*rows.labels, *(stem.label for stem in rows.stems))}
    unused = sorted(label for label in aliases if label == instruments.alias_key(label) and label not in held)
    return [
        Reject("scan", None, None, label, "unused_alias", "no stem has this label: compare its spelling with the files", 1)
        for label in unused
    ]


def _told(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} left out: {reason}" for reason, count in sorted(reasons.items()))


def _read(
    dataset: Dataset, aliases: Mapping[str, str], accept_guesses: bool, licences: Sequence[str], taken: Container[str]
) -> Rows:
    """Read all tracks of a dataset, headers in threads; `taken` are the ids of tracks of other datasets."""
    from tqdm import tqdm

    rows = Rows()

    def reject(track_id: str | None, rejected: Rejected) -> None:
        local = (text.replace(f"{dataset.folder}/", "") for text in (rejected.item, rejected.detail))
        item, detail = (text.encode("utf-8", "backslashreplace").decode() for text in local)
        rows.rejects.append(Reject("scan", dataset.name, track_id, item, rejected.reason, detail, rejected.count))

    found, layout = [], load(dataset.layout)
    items = _found(dataset)
    for item in items:
        if isinstance(item, Rejected):
            reject(None, item)
        elif licences and not any(fnmatchcase(item.licence.lower(), licence.lower()) for licence in licences):
            reject(None, Rejected(item.name, "licence", f"its licence is {item.licence}"))
        else:
            found.append(item)
    rows.labels |= {stem.label for item in found for stem in item.stems}
    identify = _identifier(dataset, found, taken)

    def read(item: FoundTrack) -> tuple[Track | None, list[Stem], list[Rejected]]:
        return headers.read(
            item,
            dataset.folder,
            dataset=dataset.name,
            layout=dataset.layout,
            track_id=identify(item),
            aliases=aliases,
            accept_guesses=accept_guesses,
        )

    with ThreadPoolExecutor(urls.THREADS if urls.is_remote(dataset.root) else _THREADS) as threads:
        read_all = zip(found, threads.map(read, found), strict=True)
        for item, (track, stems, rejected) in tqdm(
            read_all, desc=f"scan {dataset.name}", total=len(found), unit="track", dynamic_ncols=True
        ):
            rows.tracks += [track] if track else []
            rows.stems += stems
            for one in rejected:
                reject(identify(item), one)
    # The folder of a table may hold anything; a folder that is given holds one dataset.
    whole = dataset.folder == dataset.root or dataset.root.is_dir()
    listed = layout.tracks(dataset.root) if dataset.follows_links else items
    for one in unread(dataset.root, listed, layout.COMPANIONS) if whole else ():
        reject(None, one)
    return rows


def _identifier(dataset: Dataset, found: Sequence[FoundTrack], taken: Container[str]) -> Callable[[FoundTrack], str]:
    """Name tracks; those whose names differ only in characters that ids don't have get a hash of where they lie.

    So do those that another dataset has taken the name of: `a-b` has `c`, and `a` has `b-c`.
    """
    slugs = Counter(slug(item.name) for item in found)

    def identify(item: FoundTrack) -> str:
        name = slug(item.name)
        where = f"{item.name} {item.path.relative_to(dataset.folder).as_posix() or '.'}".encode("utf-8", "surrogatepass")
        shared = slugs[name] > 1 or f"{dataset.name}-{name}" in taken
        return f"{dataset.name}-{name}" + (f"-{hashlib.sha256(where).hexdigest()[:6]}" if shared else "")

    return identify


def _split(rows: Rows, fractions: Sequence[float], seed: int) -> None:
    """Give all tracks their splits, and order the rows; a song that an official split holds twice stays once."""
    # Written so that NaN fails, too.
    if len(fractions) != len(SPLITS) or not (min(fractions) >= 0 and abs(sum(fractions) - 1) <= 1e-6):
        raise DataError(f"split {fractions}: give three shares for {', '.join(SPLITS)} that sum to 1, such as 0.8,0.1,0.1")
    rows.tracks, lost = splits.assign(rows.tracks, fractions, seed)
    for track in lost:
        detail = f"official {track.split} track of a song that an official split holds out"
        rows.rejects.append(Reject("scan", track.dataset, track.track_id, track.path, "leaks", detail, 1))
    gone = {track.track_id for track in lost}
    kept = [stem for stem in rows.stems if stem.track_id not in gone]
    rows.stems = sorted(kept, key=lambda stem: (stem.track_id, stem.stem_id))
