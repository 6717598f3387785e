"""Turn what datasets and users call a genre into the name that an instruction says, as in "remix to Jazz genre"."""

import re
import unicodedata
from functools import lru_cache

from instructme.manifests.word_tables import rows


def _key(label: str) -> str:
    text = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    return "".join(re.findall(r"[a-z0-9]+", text.replace("&", " n ").replace(" and ", " n ")))


_ROWS = rows("genres.csv")
_GENRES = {_key(row["genre"]): row["genre"] for row in _ROWS}
_GENRES |= {_key(alias): row["genre"] for row in _ROWS for alias in row["aliases"].split(";") if alias}
GENRES: tuple[str, ...] = tuple(dict.fromkeys(_GENRES.values()))
"""The genres that instructions name."""


@lru_cache(maxsize=4096)
def normalise(label: str) -> str | None:
    """Name the genre of a label such as `hip-hop`, `Singer/Songwriter` or `Rock; Pop`; None if nothing in it is known.

    The whole label is looked up first, then its parts from the left (separated by `/ , ; |`), then its last words, so
    that `Norwegian Folk` is Folk.
    """
    parts = [label, *re.split(r"[/,;|]", label)]
    known = (_GENRES.get(_key(part)) for part in parts)
    return next((genre for genre in known if genre), None) or _by_last_words(label)


def exact(label: str) -> str | None:
    """Name the genre of a whole label; unlike `normalise`, drop no word of it."""
    return _GENRES.get(_key(label))


def _by_last_words(label: str) -> str | None:
    words = label.replace("-", " ").replace("_", " ").split()
    tails = (_key(" ".join(words[start:])) for start in range(1, len(words)))
    return next((_GENRES[tail] for tail in tails if tail in _GENRES), None)
