"""Scan: dataset folders of any layout -> tracks.parquet and stems.parquet, from names, metadata and audio headers."""

import hashlib
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from instructme.dataset_tools import shared_files
from instructme.dataset_tools.layouts import FoundTrack, Rejected
from instructme.dataset_tools.stems import headers
from instructme.dataset_tools.unread_files import unread
from instructme.manifests import instruments, splits, tables, urls
from instructme.manifests.counting import counted
from instructme.manifests.datasets import read_datasets
from instructme.manifests.files import sweep
from instructme.manifests.paths import slug, without_root
from instructme.manifests.rows import SPLITS, DataError, Reject, Stem, Track
from instructme.pipelines.processes import resume
from instructme.pipelines.stages import dataset_roots
from instructme.pipelines.stages.dataset_roots import Dataset

_THREADS = 8
"""Headers are waited for, not computed."""


@dataclass
class Rows:
    """Rows of the tables."""

    tracks: list[Track] = field(default_factory=list)
    stems: list[Stem] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    """Of all stems of the datasets that were read, also of those that were rejected."""
    moved: str = ""
    """What to tell of songs that have another split than in the scan before."""


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
        DataError: a root is missing or has no known layout, the aliases can't be used, no track can be used, or another command
            uses WORK.
    """
    work = urls.local(work, "the working folder")
    places = [urls.parse(root) for root in ([roots] if isinstance(roots, str | Path) else roots)]
    aliases = urls.local(aliases, "the aliases") if aliases else None
    with nullcontext() if dry_run else resume.held(work):
        if not dry_run:
            sweep(work)
        known = read_datasets(work)
        own = instruments.load_aliases(aliases) if aliases else {}
        chosen = dataset_roots.choose(places, work, layout, names, known)
        if allow_outside or follow_links:
            chosen = [
                dataset_roots.widened(dataset, allow_outside=allow_outside, follow_links=follow_links) for dataset in chosen
            ]
        rows = _kept(work, set(known) - {dataset.name for dataset in chosen})
        for dataset in chosen:
            with urls.explained(dataset.root):
                _read(rows, dataset, own, accept_guesses, licences)
            known[dataset.name] = _entry(dataset)
        _split(rows, split, seed, {name: urls.parse(entry["root"]) for name, entry in known.items()})
        if not rows.tracks:
            reasons = sorted(Counter(reject.reason for reject in rows.rejects).items())
            told = ", ".join(f"{count} left out: {reason}" for reason, count in reasons) or "no tracks"
            first = f"; first: {rows.rejects[0].detail}" if rows.rejects else ""
            raise DataError(f"nothing usable in {', '.join(map(str, places))}: {told}{first}")
        rows.rejects += _unused(own, rows)
        rows.moved = _changed(work, rows)
        if not dry_run:
            arguments = {
                "aliases": tables.sha256(aliases) if aliases else None,
                "datasets": {name: entry["layout"] for name, entry in sorted(known.items())},
                "licences": sorted(licences),
                "split": list(split),
                **({"accept_guesses": True} if accept_guesses else {}),
            }
            _write(work, rows, arguments, seed)
            # Last: what a scan that was stopped has written of a dataset is not kept by the next one.
            resume.write(work / "datasets.json", known)
        return rows


def _entry(dataset: Dataset) -> dict[str, str]:
    """Give what datasets.json says of a dataset."""
    entry = {"root": str(dataset.folder), "layout": dataset.layout}
    if dataset.folder != dataset.root:
        entry["table"] = dataset.root.relative_to(dataset.folder).as_posix()
    return entry


def _write(work: Path, rows: Rows, arguments: Mapping[str, Any], seed: int) -> None:
    tables.write(work / "tracks.parquet", rows.tracks, Track, arguments=arguments, seed=seed)
    tables.write(work / "stems.parquet", rows.stems, Stem, arguments=arguments, seed=seed, parents=[work / "tracks.parquet"])
    tables.write_rejects(work / "rejects.parquet", "scan", rows.rejects)


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


def _changed(work: Path, rows: Rows) -> str:
    """Tell of songs of an earlier scan that another split has now, because songs came or went; empty if there are none."""
    path = work / "tracks.parquet"
    old = {row.track_id: row.split for row in tables.read_rows(path, Track)} if path.exists() else {}
    moved = [track for track in rows.tracks if old.get(track.track_id, track.split) != track.split]
    if not moved:
        return ""
    first = f"{moved[0].track_id} from {old[moved[0].track_id]} to {moved[0].split}"
    return f"{counted(len(moved), 'song')} moved to another split since the last scan, such as {first}: train models anew"


def _read(rows: Rows, dataset: Dataset, aliases: Mapping[str, str], accept_guesses: bool, licences: Sequence[str]) -> None:
    """Read all tracks of a dataset, headers in threads, and add their rows to those of other datasets."""
    from tqdm import tqdm

    layout, items = dataset_roots.load(dataset.layout), dataset_roots.found(dataset)
    licensed = [_licensed(item, licences) for item in items]
    found = [item for item in licensed if isinstance(item, FoundTrack)]
    rows.rejects += [_reject(dataset, None, item) for item in licensed if isinstance(item, Rejected)]
    rows.labels |= {stem.label for item in found for stem in item.stems}
    ids = _ids(dataset, found, {track.track_id for track in rows.tracks})

    def read(item: FoundTrack, track_id: str) -> tuple[Track | None, list[Stem], list[Rejected]]:
        named = {"dataset": dataset.name, "layout": dataset.layout, "track_id": track_id}
        return headers.read(item, dataset.folder, **named, aliases=aliases, accept_guesses=accept_guesses)

    with ThreadPoolExecutor(urls.THREADS if urls.is_remote(dataset.root) else _THREADS) as threads:
        shown = tqdm(
            threads.map(read, found, ids), desc=f"scan {dataset.name}", total=len(found), unit="track", dynamic_ncols=True
        )
        for (track, stems, rejected), track_id in zip(shown, ids, strict=True):
            rows.tracks += [track] if track else []
            rows.stems += stems
            rows.rejects += [_reject(dataset, track_id, one) for one in rejected]
    # The folder of a table may hold anything; a folder that is given holds one dataset.
    whole = dataset.folder == dataset.root or dataset.root.is_dir()
    listed = layout.tracks(dataset.root) if dataset.follows_links else items
    rows.rejects += [_reject(dataset, None, one) for one in (unread(dataset.root, listed, layout.COMPANIONS) if whole else ())]


def _licensed(item: FoundTrack | Rejected, licences: Sequence[str]) -> FoundTrack | Rejected:
    """Refuse a track whose licence is none of those that are wanted; all are wanted where none is named."""
    if isinstance(item, Rejected) or not licences:
        return item
    wanted = any(fnmatchcase(item.licence.lower(), licence.lower()) for licence in licences)
    return item if wanted else Rejected(item.name, "licence", f"its licence is {item.licence}")


def _reject(dataset: Dataset, track_id: str | None, rejected: Rejected) -> Reject:
    local = (without_root(text, dataset.folder) for text in (rejected.item, rejected.detail))
    item, detail = (text.encode("utf-8", "backslashreplace").decode() for text in local)
    return Reject("scan", dataset.name, track_id, item, rejected.reason, detail, rejected.count)


def _ids(dataset: Dataset, found: Sequence[FoundTrack], taken: Container[str]) -> list[str]:
    """Name tracks; those whose names differ only in characters that ids don't have get a hash of where they lie.

    So do those that another dataset has taken the name of: `a-b` has `c`, and `a` has `b-c`.
    """
    names = [f"{dataset.name}-{slug(item.name)}" for item in found]
    counts = Counter(names)

    def hashed(item: FoundTrack) -> str:
        where = f"{item.name} {item.path.relative_to(dataset.folder).as_posix() or '.'}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(where).hexdigest()[:6]

    return [
        f"{name}-{hashed(item)}" if counts[name] > 1 or name in taken else name for name, item in zip(names, found, strict=True)
    ]


def _split(rows: Rows, fractions: Sequence[float], seed: int, folders: Mapping[str, Path]) -> None:
    """Give all tracks their splits, one to songs that share a file, and order the rows; official doubles of a song stay once."""
    # Written so that NaN fails, too.
    if len(fractions) != len(SPLITS) or not (min(fractions) >= 0 and abs(sum(fractions) - 1) <= 1e-6):
        raise DataError(f"split {fractions}: give three shares for {', '.join(SPLITS)} that sum to 1, such as 0.8,0.1,0.1")
    equal = shared_files.find(rows.stems, {track.track_id: folders[track.dataset] for track in rows.tracks})
    songs = sorted({tuple(sorted({stem.track_id for stem in group})) for group in equal})
    rows.tracks, lost = splits.assign(rows.tracks, fractions, seed, songs)
    rows.rejects = [row for row in rows.rejects if row.reason != "shared_stem"] + shared_files.rows(equal, rows.tracks)
    for track in lost:
        detail = f"official {track.split} track of a song that an official split holds out"
        rows.rejects.append(Reject("scan", track.dataset, track.track_id, track.path, "leaks", detail, 1))
    gone = {track.track_id for track in lost}
    kept = [stem for stem in rows.stems if stem.track_id not in gone]
    rows.stems = sorted(kept, key=lambda stem: (stem.track_id, stem.stem_id))
