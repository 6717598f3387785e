"""Join split stereo: `vocals.L.wav` and `vocals.R.wav` are the two channels of one stem.

Two mono files of one song are a pair if their names differ in one word only, which is `L` in one name and `R` in the other
(or `Left` and `Right`, `Lt` and `Rt`, `links` and `rechts`), and if they have the same rate and length. A part takes both as it
takes the channels of a stereo file: a mono part takes the mean.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from instructme.dataset_tools.layouts import Rejected
from instructme.dataset_tools.song_names import CHANNELS
from instructme.manifests.rows import Stem

_WORDS = "|".join(word for pair in CHANNELS for word in pair)
_SIDE = re.compile(
    rf"(?<![^\W_])(?:(?i:{_WORDS}))(?![^\W_])"  # a word of its own
    r"|(?:(?<=[a-z0-9])|(?<=[A-Z]{2}))[LR](?![^\W_])"  # the last letter of `GtrL`, `OHL` and `Piano 1L`
)


def join(stems: Sequence[Stem]) -> tuple[list[Stem], list[Rejected]]:
    """Mark the two stems of each pair with the id of the other one; tell of halves that can't be joined.

    Stems keep their order. A pair has one instrument; files of two channels that are called left and right stay as they are.
    """
    sides: defaultdict[tuple[str, str, str], dict[str, list[Stem]]] = defaultdict(lambda: {"l": [], "r": []})
    for stem in stems:
        for place, side in _readings(stem.path):
            sides[stem.instrument, place, PurePosixPath(stem.path).suffix.lower()][side].append(stem)
    other: dict[str, str] = {}
    notes = []
    for halves in sides.values():
        if any(len(half) != 1 for half in halves.values()):
            continue
        (left,), (right,) = halves["l"], halves["r"]
        if left.stem_id in other or right.stem_id in other:
            continue
        if problem := difference(left, right):
            detail = f"it looks like the other channel of {left.path}, but {problem}: the part takes the sum"
            notes.append(Rejected(right.path, "unpaired", detail))
        else:
            other |= {left.stem_id: right.stem_id, right.stem_id: left.stem_id}
    return [replace(stem, pair=other.get(stem.stem_id)) for stem in stems], notes


def left_first(one: Stem, other: Stem) -> tuple[Stem, Stem]:
    """Order the two stems of a pair: the left one first."""
    sides = dict(_readings(one.path))
    left = all(sides[place] == "l" for place, side in _readings(other.path) if sides.get(place, side) != side)
    return (one, other) if left else (other, one)


def _readings(path: str) -> list[tuple[str, str]]:
    """List the (name without side, side) that a path may mean, one for each word in it that is a side."""
    name = str(PurePosixPath(path).with_suffix(""))
    start = len(str(PurePosixPath(path).parent.parent))  # the file and its folder, such as `L/bass`
    return [
        (f"{name[: match.start()]}\0{name[match.end() :]}\0{number}".lower(), "lr"[pair.index(match[0].lower())])
        for match in _SIDE.finditer(name, start)
        for number, pair in enumerate(CHANNELS)
        if match[0].lower() in pair
    ]


def difference(one: Stem, other: Stem) -> str | None:
    """Say why two files are not the channels of one; None if they may be."""
    if one.channels != 1 or other.channels != 1:
        return "they are not both mono"
    if (one.sample_rate_hz, one.length_samples) != (other.sample_rate_hz, other.length_samples):
        return "their lengths or rates differ; if they belong together, export both with one length"
    return None
