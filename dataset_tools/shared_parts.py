"""Find parts that songs share, such as one loop in two songs, also at another level, sample rate or start.

Splits are drawn before anything is decoded, so such songs may be in two of them: `prepare` tells. A part becomes 64 numbers, sums
of its samples under random signs, from its first sound on. Their correlation is about that of the parts. `shared_files` finds
equal files.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.shared_files import SHORTEST_S, where
from instructme.dataset_tools.stems import measures
from instructme.dataset_tools.stored import Stored, mono
from instructme.manifests.rows import Reject, Track

FILE = "part_sounds.npy"
HEARD_S = 30
"""So much of a part is compared, from its first sound on; parts that sound for less than `SHORTEST_S` are not."""
SAME = 0.97
"""Correlation from which on two parts are the same."""
_PIECE_S = 1 / 1500
_NUMBERS = 64
_LOUD = 0.1
"""Share of the peak over which a part sounds."""
_BLOCK = 4096


def numbers(sound: Stored, rate_hz: int) -> Samples:
    """Reduce a part to `(64,)` of length 1: the same for the same sound at another level or start; zeros if it is short."""
    start, stop = _extent(sound, max(_LOUD * measures.peak(sound), audio.STEP), rate_hz)
    if stop - start < SHORTEST_S * rate_hz:
        return np.zeros(_NUMBERS, np.float32)
    piece, count = max(1, round(_PIECE_S * rate_hz)), round(HEARD_S / _PIECE_S / _NUMBERS) * _NUMBERS
    means = mono(sound, start, start + count * piece).reshape(-1, piece).mean(axis=1)
    folded = (means * _signs(count)).reshape(-1, _NUMBERS).sum(axis=0, dtype=np.float64)
    return np.asarray(folded / max(np.linalg.norm(folded), 1e-12), dtype=np.float32)


def _extent(sound: Stored, least: float, rate_hz: int) -> tuple[int, int]:
    """Find where a part sounds first, and last within what is compared."""
    loud = (at + np.flatnonzero(np.abs(audio.mono(block)) > least) for at, block in sound.blocks())
    start = next((int(places[0]) for places in loud if len(places)), None)
    if start is None:
        return 0, 0
    last = np.flatnonzero(np.abs(mono(sound, start, start + HEARD_S * rate_hz)) > least)[-1]
    return start, start + int(last) + 1


@cache
def _signs(count: int) -> Samples:
    return np.random.default_rng(0).choice(np.array([-1, 1], dtype=np.float32), count)


def write(folder: Path, rows: Sequence[Samples]) -> None:
    """Keep the numbers of a track's parts."""
    np.save(folder / FILE, np.stack(rows))


def find(
    folders: Mapping[str, Path], tracks: Sequence[Track], parts: Sequence[Mapping[str, Any]], known: Collection[tuple[str, str]]
) -> list[Reject]:
    """Tell of each part that sounds the same as a part of an earlier track; versions of one song may share their parts.

    Args:
        folders: track_id -> folder of its parts.
        tracks: all tracks, of which those in `folders` are compared.
        parts: track_id, instrument and stems of each part, in the order of the tracks and of their tables.
        known: track_id and stem_id of stems that `scan` told of.
    """
    homes = {track.track_id: track for track in tracks if track.track_id in folders}
    owners = [part for part in parts if part["track_id"] in homes]
    counts = Counter(part["track_id"] for part in owners)
    table = np.concatenate([_nothing(0), *(_read(folders[track_id], count) for track_id, count in counts.items())])
    told = []
    for one, other in _pairs(table, [homes[part["track_id"]].song_group for part in owners]):
        if not all((owners[one]["track_id"], stem) in known for stem in owners[one]["stems"]):
            own, first = (homes[owners[at]["track_id"]] for at in (one, other))
            detail = f"it sounds the same as {owners[other]['instrument']} of {first.track_id}: {where(own, first)}"
            told.append(Reject("prepare", own.dataset, own.track_id, owners[one]["instrument"], "shared_stem", detail, 1))
    return told


def _pairs(table: Samples, songs: Sequence[str]) -> list[tuple[int, int]]:
    """List each part that is the same as an earlier one of another song, and the first such one."""
    found: dict[int, int] = {}
    for at in range(0, len(table), _BLOCK):
        alike = np.abs(table[at : at + _BLOCK] @ table.T) > SAME
        for row, column in zip(*(places.tolist() for places in np.nonzero(alike)), strict=True):
            if column < at + row and songs[column] != songs[at + row]:
                found.setdefault(at + row, column)
    return sorted(found.items())


def _read(folder: Path, count: int) -> Samples:
    """Read the numbers of a track's parts; one that an older version prepared has none."""
    held = np.load(folder / FILE) if (folder / FILE).exists() else _nothing(0)
    return np.asarray(held, np.float32) if held.shape == (count, _NUMBERS) else _nothing(count)


def _nothing(count: int) -> Samples:
    return np.zeros((count, _NUMBERS), np.float32)
