"""Describe mixes in words: what sounds in them, their genre where it is known, and what users wrote about their tracks."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from instructme.manifests import csv_files
from instructme.manifests.instruments import INSTRUMENTS
from instructme.manifests.rows import DataError

TRUE, FALSE, UNKNOWN = 1, 0, -1
_ALL = ("a mix of {}", "{} playing together", "only {}")
_ALONE = ("{} alone", "solo {}", "only {}")
_SOME = ("music with {}", "a song with {}", "{}")
_GENRE = ("{} music", "a {} song")


@dataclass(frozen=True, slots=True)
class Mix:
    """What is known of a mix: all instruments that sound, its genre if known, and the captions of its track."""

    instruments: frozenset[str]
    genre: str | None = None
    captions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Caption:
    """A text, and what it claims: these instruments, nothing but them (`complete`), a genre; or just itself (`own`)."""

    text: str
    instruments: frozenset[str] = frozenset()
    complete: bool = False
    genre: str | None = None
    own: bool = False

    def truth(self, mix: Mix) -> int:
        """Say whether it is true of a mix: TRUE, FALSE or UNKNOWN, as where the genre of the mix is."""
        if self.own:
            return TRUE if self.text in mix.captions else FALSE if mix.captions else UNKNOWN
        if self.instruments != mix.instruments if self.complete else not self.instruments <= mix.instruments:
            return FALSE
        if self.genre is None or self.genre == mix.genre:
            return TRUE
        return FALSE if mix.genre else UNKNOWN


def sides(recipe: Mapping[str, Any], captions: Mapping[str, tuple[str, ...]]) -> tuple[Mix, Mix]:
    """Describe source and target of a recipe; its genre is that of the target. What has no name in music isn't named."""
    found = []
    for side, genre in (("source", None), ("target", recipe["genre"])):
        named = frozenset(name for name in recipe[f"{side}_instruments"] if name not in INSTRUMENTS or INSTRUMENTS[name].editable)
        found.append(Mix(named, genre, captions.get(recipe[f"{side}_track"], ())))
    return found[0], found[1]


def draw(mix: Mix, random: np.random.Generator) -> Caption:
    """Draw a caption that is true of a mix: every second time a user's where there is one, else of genre or instruments."""
    if mix.captions and random.random() < 0.5:
        return Caption(str(random.choice(mix.captions)), own=True)
    genre = mix.genre if mix.genre and random.random() < 0.5 else None
    names = sorted(mix.instruments)
    count = int(random.integers(0 if genre else 1, len(names) + 1)) if names else 0
    complete = bool(names) and not genre and random.random() < 0.5
    # In alphabetical order: fewer texts, and each is encoded only once.
    claimed = names if complete else sorted(random.permutation(names)[:count].tolist())
    if genre:
        text = str(random.choice(_GENRE)).format(genre) + (f" with {spoken(claimed)}" if claimed else "")
    elif complete:
        text = str(random.choice(_ALL if len(names) > 1 else _ALONE)).format(spoken(names))
    else:
        text = str(random.choice(_SOME)).format(spoken(claimed) or "sound")
    return Caption(text, frozenset(claimed), complete, genre)


def describe(mix: Mix) -> Caption:
    """Give the caption that names all instruments of a mix, in alphabetical order."""
    return Caption(f"a mix of {spoken(sorted(mix.instruments)) or 'sound'}", mix.instruments, complete=True)


def spoken(names: Sequence[str]) -> str:
    """Join names as one says them: a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def truth(mixes: Sequence[Mix], captions: Sequence[Caption]) -> npt.NDArray[np.int8]:
    """Say of each mix and each caption whether it is true: (mixes, captions) of TRUE, FALSE and UNKNOWN."""
    return np.array([[caption.truth(mix) for caption in captions] for mix in mixes], dtype=np.int8)


def read(path: Path) -> dict[str, tuple[str, ...]]:
    """Read users' captions: a CSV with columns track_id and caption, in UTF-8, any number of captions of a track.

    Raises:
        DataError: not readable, another heading, or an empty field.
    """
    found: dict[str, tuple[str, ...]] = {}
    try:
        for line, row in csv_files.read(path)[1]:
            track, caption = row.get("track_id"), row.get("caption")
            if not track or not caption:
                raise DataError(f"{path}, line {line}: needs a track_id and a caption under a heading 'track_id,caption'")
            found[track] = (*found.get(track, ()), caption)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"can't read captions from {path}: write a CSV 'track_id,caption' in UTF-8 ({error})") from None
    if not found:
        raise DataError(f"no captions in {path}: write a CSV 'track_id,caption' in UTF-8")
    return found
