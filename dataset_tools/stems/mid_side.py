"""Find mid and side: `Piano Mid.wav` and `Piano Side.wav` are one stereo recording, its mean and half of its difference.

Their sum is the left channel, and their difference the right one. So the mean of both channels is the mid alone. Two mono files
of one folder are a pair if their names differ in the ending only, and if they have the same rate and length. `M` and `S` alone
may be initials of something else. They count only if no other name of the song ends in a single letter but `L` and `R`, and not
for voices, where they may mean mezzo and soprano.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from instructme.dataset_tools.layouts import Rejected
from instructme.dataset_tools.stems import stereo_pairs
from instructme.manifests.rows import Stem

_SIDES = (("mid", "side"), ("mid", "sides"), ("mids", "sides"), ("middle", "side"), ("mitte", "seite"), ("m", "s"))
_ENDING = re.compile(r"(.*[^\W_]\W*?)[\s._-]+\(?([^\W\d_]+)\)?((?:[\s._-]*\d+)?)")
"""A name, its last word, and a number behind it."""
_BOTH = re.compile(r"(?:.*[\s._-])?\(?(?:MS|M[-_]S|(?i:mid[\s_-]?side))\)?")
_ALSO = {"l", "r"}
"""Letters that other names of a song may end in beside `M` and `S`."""


def join(stems: Sequence[Stem]) -> tuple[list[Stem], list[Rejected]]:
    """Mark the two stems of each pair with the id of the other one; tell of what may be mid and side, but is not certain."""
    bases: defaultdict[tuple[str, str], dict[str, list[Stem]]] = defaultdict(lambda: defaultdict(list))
    for stem in stems:
        for base, ending in _ending(stem.path):
            bases[stem.instrument, base][ending].append(stem)
    letters = {ending for endings in bases.values() for ending in endings if len(ending) == 1} - {"m", "s"} - _ALSO
    other: dict[str, str] = {}
    notes = []
    for endings in bases.values():
        for mids, sides in ((endings.get(one, []), endings.get(two, [])) for one, two in _SIDES):
            if len(mids) != 1 or len(sides) != 1 or {mids[0].pair, sides[0].pair} != {None}:
                continue
            (mid,), (side,) = mids, sides
            if mid.stem_id in other or side.stem_id in other or (len(endings) > 2 and letters & {*endings}):
                continue  # the last are enumerations, such as S, M and A
            if problem := _doubt(mid, side, letters | (_ALSO & {*endings})):
                text = f"it may be the side of {mid.path}, but {problem}: the part takes the sum"
                notes.append(Rejected(side.path, "unpaired", text))
            else:
                other |= {mid.stem_id: side.stem_id, side.stem_id: mid.stem_id}
    return [replace(stem, pair=other.get(stem.stem_id, stem.pair)) for stem in stems], [*notes, *_in_one_file(stems)]


def mid_first(one: Stem, other: Stem) -> tuple[Stem, Stem] | None:
    """Order the two stems of a pair, the mid first; None if they are left and right."""
    for (base, ending), (second, last) in ((a, b) for a in _ending(one.path) for b in _ending(other.path)):
        if base == second and (ending, last) in _SIDES:
            return one, other
        if base == second and (last, ending) in _SIDES:
            return other, one
    return None


def detail(side: Stem, is_side: bool, channels: int) -> str:
    """Say what was made of a mid and its side."""
    if not is_side:
        return f"it may be the mid of {side.path}, but that is louder: the part takes the sum"
    made = "the part takes the mid alone" if channels == 1 else "left is their sum, and right their difference"
    return f"it is the mid of {side.path}: {made}"


def _ending(path: str) -> list[tuple[str, str]]:
    """Part a name from the word that it ends with, if any."""
    whole = PurePosixPath(path)
    match = _ENDING.fullmatch(whole.stem)
    return [(f"{whole.parent}/{match[1]}\0{match[3]}{whole.suffix}".lower(), match[2].lower())] if match else []


def _doubt(mid: Stem, side: Stem, letters: set[str]) -> str | None:
    """Say why two files may not be mid and side; None if they are."""
    if problem := stereo_pairs.difference(mid, side):
        return problem
    if len(_ending(side.path)[0][1]) > 1:
        return None
    if mid.family == "vocals":
        return "M and S may also be voices"
    return f"names of its song also end in {', '.join(sorted(letters)).upper()}" if letters else None


def _in_one_file(stems: Sequence[Stem]) -> list[Rejected]:
    """Tell of stereo files whose names say mid and side."""
    text = "its name may say that its channels are mid and side, but they are read as left and right: export it as left and right"
    return [
        Rejected(stem.path, "mid_side", text)
        for stem in stems
        if stem.channels == 2 and _BOTH.fullmatch(PurePosixPath(stem.path).stem)
    ]
