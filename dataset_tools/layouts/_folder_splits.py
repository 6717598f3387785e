"""Read splits from the names of folders: `train`, `Test Set`, `tr` beside `tt`."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path

from instructme.dataset_tools.layouts import Rejected, split_hint, split_name

_DIGIT = re.compile(r"\d")
_SHORT_SPLITS = {"tr": "train", "cv": "validation", "tt": "test"}
"""Names of splits in datasets of source separation."""


def read(below: Sequence[Path], songs: Container[Path], *, top: bool, inside: bool) -> dict[Path, str]:
    """Find the folders that are splits; `inside` one, there are none but below the root."""
    splits = {part: named for part in below if (named := split_name(part.name))} or _short_splits(below)
    numbered = len({*splits.values()}) == 1 and all(_DIGIT.search(part.name) for part in splits)
    if numbered or any(part in songs and part not in splits for part in below):
        # `Test 1` and `Test 2` may be songs; beside songs, a folder `Train` that holds stems is a song as well
        splits = {part: named for part, named in splits.items() if part not in songs}
    # Deeper down, a folder `test` alone may be a song.
    return splits if top or (not inside and len({*splits.values()}) > 1) else {}


def _short_splits(below: Sequence[Path]) -> dict[Path, str]:
    """Find folders that are called `tr`, `cv` and `tt`; one of them alone is none."""
    splits = {part: named for part in below if (named := _SHORT_SPLITS.get(part.name.lower()))}
    return splits if len(splits) > 1 else {}


def unused(root: Path, below: Sequence[Path], songs: Container[Path], known: Mapping[Path, str]) -> Iterator[Rejected]:
    """Tell of folders whose names may mean splits, such as `fold1_train` beside `fold1_test`, and are not read so."""
    hints = {part: hint for part in below if part not in known and (hint := split_hint(part.name))}
    if any(part in songs and part not in hints for part in below):
        hints = {part: hint for part, hint in hints.items() if part not in songs}
    if hints and (len({*hints.values(), *known.values()}) > 1 or 1 < len(hints) == len(below)):
        others = f" and {len(hints) - 1} more" if len(hints) > 1 else ""
        detail = f"its name{others} may mean a split, but was not read so: if it does, rename it to train, validation or test"
        yield Rejected(next(iter(hints)).relative_to(root).as_posix(), "split_unused", detail, len(hints))
