"""Find files that songs share, such as one loop in two songs: a model that learned it in train knows it in test.

`scan` keeps songs that share a file in one split where it draws splits, and tells. `shared_parts` finds the same sound in files
that differ.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from instructme.dataset_tools import audio
from instructme.manifests import urls
from instructme.manifests.rows import DataError, Reject, Stem, Track

SHORTEST_S = 4
"""Shorter files, such as a single hit of a drum, tell nothing of a song."""
_PEEK_BYTES = 1 << 16


def find(stems: Iterable[Stem], roots: Mapping[str, Path]) -> list[list[Stem]]:
    """List the stems of several songs that are one file: equal bytes, 4 s or more, some sound; `roots` are by track_id."""
    long = [stem for stem in stems if stem.length_samples >= SHORTEST_S * stem.sample_rate_hz]
    found = [[stem for stem in long if stem.known_bad is None]]
    for key in (
        lambda stem: (stem.size_bytes, stem.sample_rate_hz, stem.channels, stem.length_samples),
        lambda stem: _bytes(roots[stem.track_id] / stem.path, stem.size_bytes // 2, _PEEK_BYTES),
        lambda stem: _bytes(roots[stem.track_id] / stem.path, 0, stem.size_bytes),
    ):
        found = _parted(found, key)
    heard = [group for group in found if _sounds(roots[group[0].track_id] / group[0].path)]
    return sorted((sorted(group, key=_order) for group in heard), key=lambda group: _order(group[0]))


def _order(stem: Stem) -> tuple[str, str]:
    return stem.track_id, stem.path


def _parted(groups: Sequence[Sequence[Stem]], key: Callable[[Stem], Any]) -> list[list[Stem]]:
    """Part groups of stems by a key, found in threads, as files are waited for; only groups of several songs stay."""
    stems = [(number, stem) for number, group in enumerate(groups) for stem in group]
    parted: defaultdict[Any, list[Stem]] = defaultdict(list)
    with ThreadPoolExecutor(urls.THREADS) as threads:
        for (number, stem), value in zip(stems, threads.map(key, (stem for _, stem in stems)), strict=True):
            if value is not None:
                parted[number, value].append(stem)
    return [group for group in parted.values() if len({stem.track_id for stem in group}) > 1]


def _bytes(path: Path, start: int, length: int) -> bytes | None:
    """Hash bytes of a file; None if it can't be read."""
    digest = hashlib.sha256()
    try:
        with urls.opened(path) as found:
            file = found.open("rb") if isinstance(found, Path) else found
            file.seek(start)
            while length > 0 and (block := file.read(min(length, 1 << 20))):
                digest.update(block)
                length -= len(block)
            file.close()
    except (OSError, DataError):
        return None
    return digest.digest()


def _sounds(path: Path) -> bool:
    import soundfile

    try:
        with urls.opened(path) as found, soundfile.SoundFile(found) as file:
            return any(audio.peak(block) > audio.STEP for block in file.blocks(1 << 20, dtype="float32", fill_value=0))
    except (OSError, RuntimeError, DataError):
        return False


def rows(groups: Iterable[Sequence[Stem]], tracks: Iterable[Track]) -> list[Reject]:
    """Tell of files that songs share, each but the first one of a group; versions of one song may share their stems."""
    homes = {track.track_id: track for track in tracks}
    told = []
    for group in groups:
        kept = [stem for stem in group if stem.track_id in homes]
        for stem in kept[1:]:
            one, own = homes[kept[0].track_id], homes[stem.track_id]
            if own.song_group != one.song_group:
                detail = f"it is the same file as {kept[0].path} of {one.track_id}: {where(own, one)}"
                told.append(Reject("scan", own.dataset, own.track_id, stem.path, "shared_stem", detail, 1))
    return told


def where(one: Track, other: Track) -> str:
    """Say in which splits two songs are."""
    if one.split == other.split:
        return f"both songs are in {one.split}"
    return f"one song is in {one.split}, and the other one in {other.split}"
