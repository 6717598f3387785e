"""Read the words of a label: they may be joined, abbreviated, misspelt or set apart by case, as in `ElecGtr02_DI`."""

import re
from collections import defaultdict
from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from instructme.manifests import genres
from instructme.manifests.word_tables import EVERYDAY, QUALIFIERS, WORDS, plain

_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_ABBREVIATED = re.compile(r"\b([A-Za-z])[./]([A-Za-z])\b")
_KEY = re.compile(r"(?<![A-Za-z])[A-G][#b]?[\s_-]*(?:major|minor|maj|min)(?![a-z])", re.IGNORECASE)
_GEAR = re.compile(r"(?<![A-Za-z0-9])\d{3,}[A-Za-z]+")
"""A microphone or a preamplifier: `251AC`, `1073LB`."""
_TRACK_NUMBER = re.compile(r"^\d\d[_.](?=.*[a-z])", re.IGNORECASE)
"""A number in front: `12_Strings` are not the twelve strings of a guitar."""
_SUFFIX = re.compile(r"(\.(wav|flac|mp3|aiff?|ogg|m4a|mp4|mid))+$", re.IGNORECASE)
LONGEST_JOIN = 4
"""Tokens that may be written apart but are one word: `E Gtr`, `Hi Hat`, `2 Mix`."""
_LONGEST_WORD = 40
SHORT = 2
"""Abbreviations of so many letters mean many things: a whole word of another instrument counts more."""
_LETTERS = 3
"""Letters that any word may begin or end with: a joined word of such pieces only is a guess, as `kit` and `ten` in `kitten`."""
_MODEL = 3
"""Letters that a model has at most."""
_SIMILAR = 0.8
"""Share of letters that a misspelling has in common with its word (difflib's ratio)."""


class Word(NamedTuple):
    """A word of the tables that tokens stand for, or a guess at it, or a token that nobody knows."""

    word: str
    certain: bool
    short: bool
    place: int
    strange: str = ""
    """The token as it is spelt, where nobody knows it."""
    everyday: bool = False
    """It is a maker, a model or a word of every day, too."""


_INITIALS: defaultdict[str, list[str]] = defaultdict(list)
_CONSONANTS: defaultdict[str, list[str]] = defaultdict(list)
for _word in WORDS:
    _INITIALS[_word[0]].append(_word)
    if len(_word) > 3:
        _CONSONANTS[re.sub("[aeiou]", "", _word)].append(_word)


def tokens(label: str) -> list[str]:
    """Cut a label into words and numbers, as they are spelt."""
    return [token[0] for token in _TOKEN.finditer(plain(label))]


def knows(word: str) -> bool:
    """Tell whether a lower-case word belongs to the names of instruments, or to what is written beside them."""
    return lookup(word) is not None


def strange_words(label: str) -> set[str]:
    """List the words of a free name that nobody knows: titles, players, and what a name is really about."""
    return {each.strange for each in read_words(label) if each.strange}


def read_words(label: str) -> list[Word]:
    """Read all words of a label: known ones, guesses, and those that nobody knows."""
    text = _SUFFIX.sub("", _TRACK_NUMBER.sub("", plain(label))).replace("_", " ")
    text = _ABBREVIATED.sub(r"\1\2", _GEAR.sub(" ", _KEY.sub(" ", text)))
    return list(_words(list(_TOKEN.finditer(text))))


def _words(tokens: list[re.Match[str]]) -> Iterator[Word]:
    """Yield the words that the tokens stand for."""
    spelt = [token[0].lower() for token in tokens]
    start = 0
    while start < len(tokens):
        for end in range(min(start + LONGEST_JOIN, len(tokens)), start, -1):
            meaning = lookup("".join(spelt[start:end]))
            if meaning and not _apart(tokens[start:end]):
                length = tokens[end - 1].end() - tokens[start].start()
                everyday = bool(EVERYDAY & {spelling := "".join(spelt[start:end]), spelling.removesuffix("s")})
                yield from (Word(word, True, length <= SHORT, start, everyday=everyday) for word in meaning)
                break
        else:
            end = start + 1
            if spelt[start].isalpha() and len(spelt[start]) > 1:
                yield from _unknown_word(spelt[start], start, _is_model(tokens[start]))
        start = end


def _unknown_word(token: str, place: int, model: bool) -> Iterator[Word]:
    """Yield the words of a joined token, guesses at an unknown one, or the token itself."""
    words = _unknown(token)
    cut = any(certain for _, certain in words)
    strange = "" if model or cut or len(token) <= SHORT or token in QUALIFIERS or genres.exact(token) else token
    yield from (Word(word, certain, False, place, strange) for word, certain in words or ((token, False),))


def _is_model(token: re.Match[str]) -> bool:
    """Tell a model's letters, which touch a digit, as in `FA06` and `14th`."""
    around = token.string[max(token.start() - 1, 0) : token.start()] + token.string[token.end() : token.end() + 1]
    return len(token[0]) <= _MODEL and any(map(str.isdigit, around))


def _apart(tokens: list[re.Match[str]]) -> bool:
    """Tell tokens that stand apart, so that they make no word: the letters of `mic F T`, `C - Bass`, and `C` in `C Bass`."""
    gaps = [after.start() - before.end() for before, after in pairwise(tokens)]
    if any(gap > 1 for gap in gaps) or (gaps and gaps[0] and tokens[0][0].lower() in ("c", "s")):
        return True
    return any(gaps) and len(tokens) == sum(len(token[0]) for token in tokens)


def lookup(token: str) -> tuple[str, ...] | None:
    """Look a spelling up, also as a plural."""
    return WORDS.get(token) or (WORDS.get(token[:-1]) if token.endswith("s") and len(token) > 2 else None)


@lru_cache(maxsize=1 << 16)
def _unknown(token: str) -> tuple[tuple[str, bool], ...]:
    if token in QUALIFIERS:
        return ()  # `counter` is a melody's, and no misspelt `count`
    if pieces := _split(token) if 2 < len(token) < _LONGEST_WORD else None:
        joined = all(len(piece) > SHORT and piece not in EVERYDAY for piece in pieces) and max(map(len, pieces)) > _LETTERS
        # `gambal` is a drum, not the left channel of a gamba.
        firm = joined and (len(pieces) > 1 or len(pieces[0]) == len(token))
        return tuple((word, firm) for piece in pieces for word in lookup(piece) or ())
    return tuple((word, False) for word in _guess(token[:_LONGEST_WORD]))


def _split(token: str) -> list[str] | None:
    """Cut a joined word such as `bassguitarleft` or `ohl` into the fewest known ones."""
    best: list[list[str] | None] = [[]] + [None] * len(token)
    for end in range(1, len(token) + 1):
        for start in range(end):
            head, piece = best[start], token[start:end]
            side = len(piece) == 1 and end == len(token) and piece in "lr" and start > 1
            known = side or ((len(piece) > 2 or _edge(piece, start, end, token)) and lookup(piece) is not None)
            if head is not None and known:
                longer, current = [*head, *([] if side else [piece])], best[end]
                if current is None or len(longer) < len(current):
                    best[end] = longer
    return best[-1]


def _edge(piece: str, start: int, end: int, token: str) -> bool:
    """Allow a two-letter word at one end only: more of them make words out of anything."""
    return len(piece) == 2 and (start == 0 or (end == len(token) and len(token) > 4))


def _guess(token: str) -> tuple[str, ...]:
    """Guess a word from its beginning (`tromb`), its consonants (`clrnt`), a misspelling (`giutar`) or its known half."""
    return _only({WORDS[word] for word in _INITIALS[token[0]] if len(token) > 3 and word.startswith(token)}) or (
        _only({WORDS[word] for word in _CONSONANTS.get(token, []) if len(token) > SHORT}) or _misspelt(token) or _half(token)
    )


def _only(meanings: set[tuple[str, ...]]) -> tuple[str, ...]:
    return meanings.pop() if len(meanings) == 1 else ()


def _misspelt(token: str) -> tuple[str, ...]:
    near = [word for word in _INITIALS[token[0]] if len(word) > 3 and abs(len(word) - len(token)) < 3]
    ratio, closest = max(((SequenceMatcher(None, word, token).ratio(), word) for word in near), default=(0.0, ""))
    return WORDS[closest] if len(token) > 4 and ratio >= _SIMILAR else ()


def _half(token: str) -> tuple[str, ...]:
    """Read a joined word of which only one half is misspelt: `elctricgtr`."""
    for cut in range(4, len(token) - 2):
        if (known := WORDS.get(token[cut:])) and (guess := _misspelt(token[:cut])):
            return *guess, *known
    return ()
