"""Account for every file of a dataset: each is in a track, once, or left out with a reason, a known companion, or told here.

Files of other kinds than audio, MIDI, tables, archives and films (pictures, texts) are not music and not counted; metadata is
told if it names stems.
"""

import os
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

from instructme.dataset_tools.layouts import (
    AUDIO_SUFFIXES,
    LARGEST_METADATA_BYTES,
    OTHER_AUDIO_SUFFIXES,
    FoundTrack,
    Rejected,
    is_file,
    is_hidden,
)
from instructme.manifests import urls
from instructme.manifests.paths import without_root

_NOTES = (".mid", ".midi", ".kar", ".rmi", ".smf")
_TABLES = (".csv", ".tsv", ".parquet", ".jams")
_SHEETS = (".xlsx", ".xls", ".ods", ".numbers", ".jsonl")
_METADATA = (".json", ".yaml", ".yml", ".xml")
"""Files that may say which stem holds which instrument."""
_AUDIO = (*AUDIO_SUFFIXES, *OTHER_AUDIO_SUFFIXES)
_PACKED = (
    *(".zip", ".7z", ".rar", ".tar", ".tgz", ".tbz", ".txz", ".gz", ".bz2", ".xz", ".zst", ".iso", ".dmg"),
    *(".aup3", ".h5", ".hdf5", ".npz", ".tfrecord", ".mov", ".mkv", ".webm", ".avi"),
)
"""Archives, projects and films, which may hold stems."""
_USED = ("grouping", "split_unused")
"""Reasons that tell of folders whose files are used."""
_PARTIAL = (".part", ".partial", ".crdownload", ".download", ".icloud")
"""What programs call a file that they have not loaded as a whole."""


def unread(folder: Path, items: Iterable[FoundTrack | Rejected], companions: Sequence[str]) -> Iterator[Rejected]:
    """Name the files of a dataset that no track uses and no reject names, one by one, in order of path.

    Args:
        folder: folder of the dataset.
        items: what its layout found.
        companions: patterns of paths that belong to the layout and are no stems, such as `*/mix.flac`.
    """
    used: set[str] = set()
    left_out: set[str] = set()
    for item in items:
        rejected = [item] if isinstance(item, Rejected) else item.rejected
        left_out |= {without_root(each.item, folder) for each in rejected if each.reason not in _USED}
        used |= _files(folder, item) if isinstance(item, FoundTrack) else set()
    stems = sorted(used)
    twins = {PurePosixPath(path).with_suffix(""): path for path in used if path.lower().endswith(_AUDIO)}
    for path in _listed(folder):
        if path in used or any(fnmatchcase(f"/{path}", f"*/{pattern}") for pattern in companions):
            continue
        if _is_named(path, left_out) or (path.lower().endswith(_METADATA) and not _names_stems(folder, path, stems)):
            continue
        twin = twins.get(PurePosixPath(path).with_suffix("")) if path.lower().endswith(_AUDIO) else None
        twin = twin if twin and is_file(folder / twin) else None
        yield Rejected(path, "twice", f"{PurePosixPath(twin).name} is read in its place") if twin else _untold(path)


def once(folder: Path, items: Sequence[FoundTrack | Rejected], *, in_a_track: bool) -> Iterator[FoundTrack | Rejected]:
    """Leave out stems whose file is another one's, by whatever path or link: it would be heard twice.

    Links may lead to one store for all songs, where silent stems are one file. Then only the stems of one track are compared.
    """
    known: set[str] = set()
    for item in items:
        if isinstance(item, Rejected):
            yield item
            continue
        known = set() if in_a_track else known
        kept, told = [], list(item.rejected)
        for stem in item.stems:
            # `scan` rejects paths that step out of the folder, and what is no path, with reasons of their own.
            safe = stem.path.is_relative_to(folder) and not {"..", "\0"} & {*stem.path.parts, *str(stem.path)}
            file = os.path.realpath(stem.path) if safe else ""
            if file and file in known:
                told.append(Rejected(str(stem.path), "twice", "another stem already is this file: remove one of the two"))
            else:
                kept.append(stem)
            known.add(file)
        yield item if len(kept) == len(item.stems) else replace(item, stems=tuple(kept), rejected=tuple(told))


def _untold(path: str) -> Rejected:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in _TABLES:
        return Rejected(path, "unread_table", f"it is not read: if it lists stems, give {path} as a root")
    if suffix in _NOTES:
        return Rejected(path, "unread_midi", "no stem has its name: name it like its stem, with the suffix .mid")
    if suffix in (*_SHEETS, *_METADATA):
        return Rejected(path, "unread_table", f"{suffix} can't be read: if it lists stems, save it as CSV")
    if suffix in _PARTIAL:
        return Rejected(path, "not_loaded", "the file is in the cloud, or its download has not ended: load it again")
    if path.lower().endswith(_PACKED):
        return Rejected(path, "packed", "sound in it is not read: unpack it, or export its sound as wav or flac")
    if suffix in OTHER_AUDIO_SUFFIXES:
        return Rejected(path, "unsupported_format", f"{suffix} can't be read: convert it to flac or wav")
    return Rejected(path, "not_read", "no track uses it; --layout folder reads any folder of stems")


def _names_stems(folder: Path, path: str, used: Sequence[str]) -> bool:
    """Tell whether metadata names half of the stems of its folder, and two or more: it may say what they are.

    `used` is in order, so that a folder is a stretch of it: a dataset may have a file of metadata for each song.
    """
    place = path[: path.rfind("/") + 1]
    stretch = (used[at] for at in range(bisect_left(used, place), len(used)))
    beside = {PurePosixPath(each).stem for each in takewhile(lambda each: each.startswith(place), stretch)}
    if len(beside) < 2 or not is_file(folder / path) or (folder / path).stat().st_size > LARGEST_METADATA_BYTES:
        return False
    text = (folder / path).read_text("utf-8", errors="replace")
    words = {*re.findall(r"[^\s\"',:\[\]{}<>]+", text), *(match[2] for match in re.finditer(r"([\"'])(.*?)\1", text))}
    named = beside & {*words, *(PurePosixPath(word).stem for word in words)}
    return len(named) > 1 and 2 * len(named) >= len(beside)


def _files(folder: Path, track: FoundTrack) -> set[str]:
    stated = (track.chords_path, track.beats_path, track.downbeats_path, track.table)
    paths = [*stated, *(path for stem in track.stems for path in (stem.path, stem.midi_path))]
    return {os.path.relpath(str(path), str(folder)).replace(os.sep, "/") for path in paths if path is not None}


def _is_named(path: str, left_out: set[str]) -> bool:
    """Tell whether a reject names a file, with or without its suffix, or a folder that it lies in."""
    parts = PurePosixPath(path)
    return bool({path, str(parts.with_suffix("")), *map(str, parts.parents)} & left_out - {"."})


def _listed(folder: Path) -> Iterator[str]:
    """List what may be music below a folder by relative path; hidden files and linked folders are left out."""
    suffixes = (*_AUDIO, *_NOTES, *_TABLES, *_SHEETS, *_METADATA, *_PACKED, *_PARTIAL)
    for path in sorted(_remote(folder) if urls.is_remote(folder) else _local(folder)):
        hidden = any(map(is_hidden, path.split("/")))
        if path.lower().endswith(suffixes if not hidden else ".icloud"):
            yield path


def _remote(folder: Path) -> Iterator[str]:
    remote: Any = folder
    top = remote.path.rstrip("/") + "/"
    yield from (name.removeprefix(top) for name in remote.fs.find(remote.path))


def _local(folder: Path) -> Iterator[str]:
    for place, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not is_hidden(name))
        within = os.path.relpath(place, folder)
        # Pipes and devices are no files of a dataset; broken links are.
        named = (name for name in names if is_file(Path(place, name)) or Path(place, name).is_symlink())
        yield from (name if within == "." else f"{within}/{name}".replace(os.sep, "/") for name in named)
