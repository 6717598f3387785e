"""Read instruments out of studio file names such as `08_ElecGtr02_DI`, `BackingVox1DT` or `DRUM SNARE TOP - M80-SH`.

A name is cut into words (camelCase, digits, joined words, abbreviations, typos), and the words are looked up in
manifests/data/names.csv: the name with the most words wins, then the higher rank, then the later one. Ranks: 4 always wins,
3 names one instrument, 2 a group of them ("guitar"), 1 counts if nothing else is there, 0 is a guess.
"""

import csv
import re
import unicodedata
from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_DATA = Path(__file__).with_name("data")
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SUFFIX = re.compile(r"(\.(wav|flac|mp3|aiff?|ogg|m4a|mp4|mid))+$", re.IGNORECASE)
_LONGEST_JOIN = 4
"""Tokens that may be written apart but are one word: `E Gtr`, `Hi Hat`, `B 3`, `S N`."""


class Found(NamedTuple):
    """The best reading of a name."""

    instrument: str
    certain: bool


class _Name(NamedTuple):
    words: frozenset[str]
    rank: int
    instrument: str


def _load_names() -> list[_Name]:
    with (_DATA / "names.csv").open(encoding="utf-8", newline="") as file:
        return [
            _Name(frozenset(name.split()), int(row["rank"]), row["instrument"])
            for row in csv.DictReader(file)
            for name in row["names"].split(";")
        ]


def _load_words() -> dict[str, tuple[str, ...]]:
    words = {word: (word,) for name in _load_names() for word in name.words}
    with (_DATA / "words.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            words |= {spelt: tuple(row["means"].split()) or (spelt,) for spelt in row["spellings"].split()}
    return words


_LONG_NAMES = _load_names()
_WORDS = _load_words()


def plain(text: str) -> str:
    """Reduce text to ASCII, accents dropped."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


@lru_cache(maxsize=1 << 16)
def best_name(label: str) -> Found | None:
    """Find the instrument that a free name names, if any; not certain where it rests on a typo, a guess or a tie."""
    words = dict(_words(_TOKEN.findall(_SUFFIX.sub("", plain(label)))))
    order = list(words)
    exact = _best(order, {word for word, known in words.items() if known})
    loose = _best(order, set(words))
    # A guessed word may only make the reading finer, never overrule a word that is certain.
    if loose and (not exact or exact[0].words < loose[0].words):
        return Found(loose[0].instrument, False)
    return Found(exact[0].instrument, exact[1]) if exact else None


def _best(order: list[str], words: set[str]) -> tuple[_Name, bool] | None:
    found = [name for name in _LONG_NAMES if name.words <= words]
    if not found:
        return None

    def weight(name: _Name) -> tuple[bool, int, int]:
        return name.rank == 4, len(name.words), name.rank

    top = max(map(weight, found))
    ties = [name for name in found if weight(name) == top]
    winner = max(ties, key=lambda name: max(order.index(word) for word in name.words))
    return winner, winner.rank > 0 and len({name.instrument for name in ties}) == 1


def _words(tokens: list[str]) -> Iterator[tuple[str, bool]]:
    """Yield the words that the tokens stand for, and whether that is certain."""
    start = 0
    while start < len(tokens):
        for end in range(min(start + _LONGEST_JOIN, len(tokens)), start, -1):
            if meaning := _lookup("".join(tokens[start:end]).lower()):
                yield from ((word, True) for word in meaning)
                break
        else:
            end = start + 1
            yield from _unknown(tokens[start].lower())
        start = end


def _lookup(token: str) -> tuple[str, ...] | None:
    """Look a spelling up, also as a plural."""
    return _WORDS.get(token) or (_WORDS.get(token[:-1]) if token.endswith("s") and len(token) > 2 else None)


@lru_cache(maxsize=1 << 16)
def _unknown(token: str) -> tuple[tuple[str, bool], ...]:
    if pieces := _split(token):
        return tuple((word, True) for piece in pieces for word in piece)
    return tuple((word, False) for word in _guess(token) or ())


def _split(token: str) -> list[tuple[str, ...]] | None:
    """Cut a joined word such as `bassguitarleft` or `ohl` into the fewest known ones."""
    best: list[list[tuple[str, ...]] | None] = [[]] + [None] * len(token)
    for end in range(1, len(token) + 1):
        for start in range(end):
            head, piece = best[start], token[start:end]
            side = len(piece) == 1 and end == len(token) and piece in "lr" and start > 1
            meaning = () if side else _lookup(piece) if len(piece) > 2 or _edge(piece, start, end, token) else None
            if head is not None and meaning is not None:
                longer, current = [*head, meaning], best[end]
                if current is None or len(longer) < len(current):
                    best[end] = longer
    return best[-1] if len(token) > 2 else None


def _edge(piece: str, start: int, end: int, token: str) -> bool:
    """Allow a two-letter word at one end only: more of them make words out of anything."""
    return len(piece) == 2 and (start == 0 or (end == len(token) and len(token) > 4))


def _guess(token: str) -> tuple[str, ...] | None:
    """Guess a word from its beginning (`tromb`), its consonants (`clrnt`) or a misspelling (`giutar`)."""
    if len(token) > 3 and (meanings := {_WORDS[word] for word in _WORDS if word.startswith(token)}):
        return meanings.pop() if len(meanings) == 1 else None
    if len(token) > 2 and not re.search("[aeiou]", token):
        meanings = {_WORDS[word] for word in _WORDS if re.sub("[aeiou]", "", word) == token and len(word) > 3}
        return meanings.pop() if len(meanings) == 1 else None
    if len(token) < 5:
        return None
    near = [word for word in _WORDS if len(word) > 3 and word[0] == token[0] and abs(len(word) - len(token)) < 3]
    closest = max(near, key=lambda word: SequenceMatcher(None, word, token).ratio(), default=None)
    return _WORDS[closest] if closest and SequenceMatcher(None, closest, token).ratio() >= 0.8 else None
