"""Suspect bleed: a part that follows another one of its song at a fixed distance, as a microphone does that hears it."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audit import shapes
from instructme.dataset_tools.audit.report import Finding
from instructme.manifests import tables
from instructme.manifests.rows import Part

_FEWEST_FRAMES = 100
_NEAREST_DB = 6
"""Parts at nearly one level are doubles of each other, not bleed."""
_FARTHEST_DB = 50
_QUIETEST_DB = -90
LEAST_SHARE = 0.4
"""Of the frames in which the other part plays. Of 98 pairs recorded apart, one reaches more than 0.28 (0.56).
Bleed that was added to recorded parts 10 dB under the other part is found in 58 of 100 pairs, 20 dB under it in 43:
tests/benchmarks/bleed.py."""
_LEAST_SPREAD_DB = 5.0
"""A part of one level says nothing of what follows it."""
_MOST_ROWS = 50
Levels = npt.NDArray[np.int64]


class Suspicion(NamedTuple):
    """A part in which another one is heard: by how much softer, and in which share of the frames of the other one."""

    track: str
    part: str
    hears: str
    under_db: int
    share: float


def finding(work: Path) -> Finding:
    """List the parts of a working folder that may hold the sound of another part."""
    suspects = sorted(_suspects(work), key=lambda each: -each.share)
    if not suspects:
        detail = "Levels of all parts were compared. Half of all bleed is found."
        return Finding("fine", "No part follows another one like bleed", detail)
    rows = [(*each[:3], each.under_db, f"{each.share:.0%}") for each in suspects[:_MOST_ROWS]]
    return shapes.finding(
        "note",
        f"{shapes.counted(len(suspects), 'part')} may hold the sound of another part",
        "A suspicion, not a proof: their level follows the other part at a fixed distance. Half of all bleed is found, and parts "
        "that play one rhythm may be listed. Listen to them: if it is bleed, removing one part leaves it in the other.",
        ("track", "part", "hears", "dB under it", "share of its frames"),
        rows,
    )


def _suspects(work: Path) -> Iterator[Suspicion]:
    songs: defaultdict[str, dict[str, Levels]] = defaultdict(dict)
    for row in tables.read(work / "parts.parquet", Part, ["track_id", "instrument", "level_db"]).to_pylist():
        songs[row["track_id"]][row["instrument"]] = np.array(row["level_db"], dtype=np.int64)
    for track, levels in songs.items():
        for part, other in permutations(levels, 2):
            if match := follows(levels[part], levels[other]):
                yield Suspicion(track, part, other, *match)


def follows(part: Levels, other: Levels) -> tuple[int, float] | None:
    """Tell by how many dB and in which share of frames a part follows another, `(frames,)` in whole dBFS; None if it doesn't."""
    length = min(len(part), len(other))
    part, other = part[:length], other[:length]
    plays = other > max(int(other.max(initial=-120)) - 40, _QUIETEST_DB)
    if np.count_nonzero(plays) < _FEWEST_FRAMES:
        return None
    low, high = np.percentile(other[plays], [20, 80])
    if high - low < _LEAST_SPREAD_DB:
        return None
    under = (other - part)[plays & (part > _QUIETEST_DB)]
    counts = np.bincount(under[(under >= _NEAREST_DB) & (under <= _FARTHEST_DB)], minlength=_FARTHEST_DB + 2)
    near = np.convolve(counts, np.ones(3, dtype=np.int64), mode="same")
    best = int(near.argmax())
    share = float(near[best]) / np.count_nonzero(plays)
    if share < LEAST_SHARE:
        return None
    return best - 1 + int(counts[best - 1 : best + 2].argmax()), share
