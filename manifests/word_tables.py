"""The tables of names and words in manifests/data, and plain text: without accents, and in Latin letters."""

import csv
import re
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

_DATA = Path(__file__).with_name("data")


class Name(NamedTuple):
    """A line of names.csv: the words of a name in their order, its rank and its instrument."""

    words: frozenset[str]
    rank: int
    instrument: str
    order: tuple[str, ...]


def _load_names() -> list[Name]:
    with (_DATA / "names.csv").open(encoding="utf-8", newline="") as file:
        return [
            Name(frozenset(name.split()), int(row["rank"]), row["instrument"], tuple(name.split()))
            for row in csv.DictReader(file)
            for name in row["names"].split(";")
        ]


def _load_words() -> dict[str, tuple[str, ...]]:
    words: dict[str, tuple[str, ...]] = {word: (word,) for name in _load_names() for word in name.words}
    with (_DATA / "words.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            words |= {spelt: tuple(row["means"].split()) or (spelt,) for spelt in row["spellings"].split()}
    return words


def _load_everyday() -> frozenset[str]:
    """Read the spellings that name an instrument only as a guess, unless another word supports it."""
    with (_DATA / "words.csv").open(encoding="utf-8", newline="") as file:
        return frozenset(spelt for row in csv.DictReader(file) if row.get("everyday") for spelt in row["spellings"].split())


def _load_foreign() -> dict[str, str]:
    """Read words in other alphabets, which stand for English ones."""
    with (_DATA / "foreign.csv").open(encoding="utf-8", newline="") as file:
        return {spelt: row["means"] for row in csv.DictReader(file) for spelt in row["spellings"].split()}


def _load_qualifiers() -> frozenset[str]:
    """Read the words that change no instrument; unlike those of words.csv, they may be the title of a song."""
    with (_DATA / "qualifiers.csv").open(encoding="utf-8", newline="") as file:
        return frozenset(word for row in csv.DictReader(file) for word in row["words"].split())


NAMES: defaultdict[str, list[Name]] = defaultdict(list)
for _name in _load_names():
    for _word in _name.words:
        NAMES[_word].append(_name)
WORDS = _load_words()
FOREIGN = _load_foreign()
QUALIFIERS = _load_qualifiers()
EVERYDAY = _load_everyday()
_SPACED = re.compile(r"[\u0370-\u052f]")
"""Greek and Cyrillic put spaces between words; Chinese, Japanese and Korean don't."""
_CUT_OUT = re.compile("\0[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]\0")
_LETTER = r"[^\W\d_]"
_FOREIGN_WORD = re.compile(
    "|".join(
        f"(?<!{_LETTER}){re.escape(word)}(?!{_LETTER})" if _SPACED.search(word) else re.escape(word)
        for word in sorted(FOREIGN, key=len, reverse=True)
    )
)


def plain(text: str) -> str:
    """Reduce text to ASCII: accents are dropped, and words in other alphabets become English ones."""
    if not text.isascii() and _FOREIGN_WORD.search(known := unicodedata.normalize("NFKC", text).lower()):
        text = _FOREIGN_WORD.sub(lambda match: f" {FOREIGN[match[0]]} ", known)
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def is_cut_out(text: str) -> bool:
    """Tell whether a word in an alphabet without spaces was cut out of a longer one, as `bass` in the Japanese `database`."""
    return bool(_CUT_OUT.search(_FOREIGN_WORD.sub("\0", unicodedata.normalize("NFKC", text).lower())))
