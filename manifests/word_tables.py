"""The tables of names and words in manifests/data, and plain text: without accents, and in Latin letters."""

import csv
import re
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).with_name("data")


class Name(NamedTuple):
    """A line of names.csv: the words of a name in their order, its rank and its instrument."""

    words: frozenset[str]
    rank: int
    instrument: str
    order: tuple[str, ...]


def rows(name: str) -> list[dict[str, str]]:
    """Read a table of manifests/data."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


NAMES: defaultdict[str, list[Name]] = defaultdict(list)
"""Word -> the names that hold it."""
for _row in rows("names.csv"):
    for _text in _row["names"].split(";"):
        _name = Name(frozenset(_text.split()), int(_row["rank"]), _row["instrument"], tuple(_text.split()))
        for _word in _name.words:
            NAMES[_word].append(_name)
_SPELLINGS = [(spelt, row) for row in rows("words.csv") for spelt in row["spellings"].split()]
WORDS: dict[str, tuple[str, ...]] = {word: (word,) for word in NAMES}
"""Spelling -> the words that it stands for."""
WORDS |= {spelt: tuple(row["means"].split()) or (spelt,) for spelt, row in _SPELLINGS}
EVERYDAY = frozenset(spelt for spelt, row in _SPELLINGS if row["everyday"])
"""Spellings that name an instrument only as a guess, unless another word supports it."""
FOREIGN = {spelt: row["means"] for row in rows("foreign.csv") for spelt in row["spellings"].split()}
"""Words in other alphabets, which stand for English ones."""
QUALIFIERS = frozenset(word for row in rows("qualifiers.csv") for word in row["words"].split())
"""Words that change no instrument; unlike those of words.csv, they may be the title of a song."""
TITLE_WORDS = {row["kind"]: frozenset(row["words"].split()) for row in rows("title_words.csv")}
"""Words of titles, by what they are: versions, sections, files and folders, common words, and endings of versions."""
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


_LETTERS = 3
"""Letters of words that many languages have, with and without accents."""
_LATIN = str.maketrans(
    {"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ı": "i", "ß": "ss", "þ": "th", "Þ": "Th"}
    | {"æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe"}
)
"""Latin letters that are no letter with an accent."""


def plain(text: str) -> str:
    """Reduce text to ASCII: accents are dropped, and words in other alphabets become English ones."""
    if not text.isascii() and _FOREIGN_WORD.search(known := unicodedata.normalize("NFKC", text).lower()):
        text = _FOREIGN_WORD.sub(lambda match: f" {FOREIGN[match[0]]} ", known)
    return unicodedata.normalize("NFKD", text.translate(_LATIN)).encode("ascii", "ignore").decode()


def is_cut_out(text: str) -> bool:
    """Tell whether a word in an alphabet without spaces was cut out of a longer one, as `bass` in the Japanese `database`."""
    return bool(_CUT_OUT.search(_FOREIGN_WORD.sub("\0", unicodedata.normalize("NFKC", text).lower())))


def is_accented(text: str) -> bool:
    """Tell whether a short word is known only without its accents: Vietnamese `hát` is singing, and no hat."""
    words = re.findall(r"\w+", unicodedata.normalize("NFC", text))
    return any(not word.isascii() and len(word) <= _LETTERS and plain(word).lower() in WORDS for word in words)
