"""Read instruments out of studio file names such as `08_ElecGtr02_DI`, `BackingVox1DT` or `DRUM SNARE TOP - M80-SH`.

A name is cut into words (camelCase, digits, joined words, abbreviations, typos), and the words are looked up in
manifests/data/names.csv: the name with the most words wins, then the higher rank, then the later one. Ranks: 5 always wins,
4 is one instrument, 3 a piece of a drum kit, 2 a group ("guitar"), 1 counts if nothing else is there, 0 is a guess.
"""

import csv
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from instructme.manifests import genres

_DATA = Path(__file__).with_name("data")
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_ABBREVIATED = re.compile(r"\b([A-Za-z])[./]([A-Za-z])\b")
_KEY = re.compile(r"(?<![A-Za-z])[A-G][#b]?[\s_-]*(?:major|minor|maj|min)(?![a-z])", re.IGNORECASE)
_GEAR = re.compile(r"(?<![A-Za-z0-9])\d{3,}[A-Za-z]+")
"""A microphone or a preamplifier: `251AC`, `1073LB`."""
_TRACK_NUMBER = re.compile(r"^\d\d[_.](?=.*[a-z])", re.IGNORECASE)
"""A number in front: `12_Strings` are not the twelve strings of a guitar."""
_SUFFIX = re.compile(r"(\.(wav|flac|mp3|aiff?|ogg|m4a|mp4|mid))+$", re.IGNORECASE)
_LONGEST_JOIN = 4
"""Tokens that may be written apart but are one word: `E Gtr`, `Hi Hat`, `2 Mix`."""
_LONGEST_WORD = 40
_ALWAYS = 5
_NO_STEM = "-"
_MIXTURE = "mixture"
GROUP = 2
"""Rank of a name that many instruments share: `drums`, `guitar`, `vocals`."""
_INSTRUMENT = GROUP
"""Least rank of a name that is an instrument, or a group of them, on its own."""
_SHORT = 2
"""Abbreviations of so many letters mean many things: a whole word of another instrument counts more."""
_KNOWN_SHORT = frozenset(
    ["hh", "oh", "bd", "sd", "kd", "sn", "ft", "bv", "lv", "ag", "eg", "ep", "vx", "gt", "bs", "sx", "pf", "fx"]
)
"""Those that are certain on their own; `TB` may be a trombone, a tambourine or the talkback, `FL` a flute or front left."""
_SEVERAL = 2
_LETTERS = 3
"""Letters that any word may begin or end with: a joined word of such pieces only is a guess, as `kit` and `ten` in `kitten`."""
_MODEL = 3
"""Letters that a model has at most."""
_SIMILAR = 0.8
"""Share of letters that a misspelling has in common with its word (difflib's ratio)."""


class SpellingMatch(NamedTuple):
    """The best reading of a name."""

    instrument: str
    certain: bool


class _Word(NamedTuple):
    """A word of the tables that tokens stand for, or a guess at it, or a token that nobody knows."""

    word: str
    certain: bool
    short: bool
    place: int
    strange: str = ""
    """The token as it is spelt, where nobody knows it."""
    everyday: bool = False
    """It is a maker, a model or a word of every day, too."""


class _Name(NamedTuple):
    words: frozenset[str]
    rank: int
    instrument: str
    order: tuple[str, ...]


def _load_names() -> list[_Name]:
    with (_DATA / "names.csv").open(encoding="utf-8", newline="") as file:
        return [
            _Name(frozenset(name.split()), int(row["rank"]), row["instrument"], tuple(name.split()))
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


_NAMES: defaultdict[str, list[_Name]] = defaultdict(list)
for _name in _load_names():
    for _word in _name.words:
        _NAMES[_word].append(_name)
_WORDS = _load_words()
_FOREIGN = _load_foreign()
_QUALIFIERS = _load_qualifiers()
_EVERYDAY = _load_everyday()
_SPACED = re.compile(r"[\u0370-\u052f]")
"""Greek and Cyrillic put spaces between words; Chinese, Japanese and Korean don't."""
_CUT_OUT = re.compile("\0[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]\0")
_LETTER = r"[^\W\d_]"
_FOREIGN_WORD = re.compile(
    "|".join(
        f"(?<!{_LETTER}){re.escape(word)}(?!{_LETTER})" if _SPACED.search(word) else re.escape(word)
        for word in sorted(_FOREIGN, key=len, reverse=True)
    )
)
_INITIALS: defaultdict[str, list[str]] = defaultdict(list)
_CONSONANTS: defaultdict[str, list[str]] = defaultdict(list)
for _word in _WORDS:
    _INITIALS[_word[0]].append(_word)
    if len(_word) > 3:
        _CONSONANTS[re.sub("[aeiou]", "", _word)].append(_word)


def plain(text: str) -> str:
    """Reduce text to ASCII: accents are dropped, and words in other alphabets become English ones."""
    if not text.isascii() and _FOREIGN_WORD.search(known := unicodedata.normalize("NFKC", text).lower()):
        text = _FOREIGN_WORD.sub(lambda match: f" {_FOREIGN[match[0]]} ", known)
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def tokens(label: str) -> list[str]:
    """Cut a label into words and numbers, as they are spelt."""
    return [token[0] for token in _TOKEN.finditer(plain(label))]


def is_cut_out(text: str) -> bool:
    """Tell whether a word in an alphabet without spaces was cut out of a longer one, as `bass` in the Japanese `database`."""
    return bool(_CUT_OUT.search(_FOREIGN_WORD.sub("\0", unicodedata.normalize("NFKC", text).lower())))


def knows(word: str) -> bool:
    """Tell whether a lower-case word belongs to the names of instruments, or to what is written beside them."""
    return _lookup(word) is not None


def strange_words(label: str) -> set[str]:
    """List the words of a free name that nobody knows: titles, players, and what a name is really about."""
    return {each.strange for each in _read(label) if each.strange}


def best_name(label: str, known: Collection[str] = ()) -> SpellingMatch | None:
    """Find the instrument that a free name names, if any; not certain where it rests on a typo, a guess or a tie.

    Neither is it certain where strange words may change it, unless they are `known`: see `_is_changed`.
    """
    read = _read(label)
    order = list(dict.fromkeys(each.word for each in read))
    exact = _exact(read, order)
    loose = _best(order, set(order))
    # A guessed word may only make the reading finer, never overrule a word that is certain.
    if loose and (not exact or exact[0].words < loose[0].words):
        return SpellingMatch(loose[0].instrument, False)
    if exact is None:
        return None
    letters = re.sub(r"[^a-z]", "", plain(label).lower())
    alone = len(letters) == _SHORT and letters not in _KNOWN_SHORT
    doubt = alone or _disputed(read, exact[0]) or _is_changed(read, exact[0], known) or _is_list(read, order, exact[0])
    doubt = doubt or (exact[0].words == {_MIXTURE} and bool(_instruments(read)))
    return SpellingMatch(exact[0].instrument, exact[1] and not doubt)


def _is_changed(read: list[_Word], best: _Name, known: Collection[str]) -> bool:
    """Tell whether a strange word may change what a name means.

    The last word says what a thing is: a triangle wave is no triangle. A word before it only describes it, as in `Moonlight
    Bass`, unless the name rests on an adjective or on abbreviations. The name of a mix may hold a title.
    """
    mine = [each for each in read if each.certain and each.word in best.words]
    strange = [each for each in read if each.strange and each.strange not in known]
    firm = any(name.rank >= _INSTRUMENT for word in best.words for name in _NAMES[word] if name.words <= best.words)
    weak = not firm or all(each.short for each in mine)
    after = len(mine) == 1 and any(each.place > mine[0].place for each in strange)
    return best.instrument != _NO_STEM and bool(after or (weak and strange) or all(each.everyday for each in mine))


def _instruments(read: list[_Word]) -> set[str]:
    """List the instruments that single words name."""
    return {each.word for each in read if each.certain and _instrument_of(each.word) not in ("", _NO_STEM)}


def _is_list(read: list[_Word], order: list[str], best: _Name) -> bool:
    """Tell whether a name may list instruments: a `Bass_Keyboard` is no keyboard bass, but a `Bass Synth` is a synth bass.

    Neither are `Strings Heroic Bass` a string bass.
    """
    nouns = [word for word in best.order if word != "synth" and _instrument_of(word)]
    if len({_instrument_of(word) for word in nouns}) < _SEVERAL:
        return False
    placed, strange = [order.index(word) for word in nouns], {each.strange for each in read}
    return placed != sorted(placed) or bool(strange & set(order[placed[0] : placed[-1]]))


def _instrument_of(word: str) -> str:
    """Find the instrument that a word names on its own; empty for an adjective."""
    return next((name.instrument for name in _NAMES[word] if name.rank >= _INSTRUMENT and name.order == (word,)), "")


def _disputed(read: list[_Word], best: _Name) -> bool:
    """Tell whether a name rests on abbreviations alone, and another abbreviation names another instrument: `SN TP`."""
    short = {each.word for each in read if each.certain and each.short}
    names = [name for word in short - best.words for name in _NAMES.get(word, ()) if name.words <= short]
    others = {name.instrument for name in names if name.rank >= _INSTRUMENT}
    return best.words <= short and bool(others - {best.instrument})


def whole_name(label: str) -> tuple[str, int] | None:
    """Find the instrument that all words of a label name together, and the rank of that name in names.csv.

    Unlike `best_name`, it drops no word and guesses none: `second guitar` and `giutar` are None.
    """
    tokens = list(_TOKEN.finditer(plain(label)))
    spelt = [token[0].lower() for token in tokens]
    words: set[str] = set()
    start = 0
    while start < len(tokens):
        ends = range(min(start + _LONGEST_JOIN, len(tokens)), start, -1)
        joined = ((end, "".join(spelt[start:end])) for end in ends)
        known = next(((end, found) for end, text in joined if len(text) > _SHORT and (found := _lookup(text))), None)
        if known is None:
            return None
        start, found = known
        words |= set(found)
    names = [name for word in words for name in _NAMES.get(word, ()) if name.words == words]
    top = max((name.rank for name in names), default=0)
    best = {name.instrument for name in names if name.rank == top}
    return (best.pop(), top) if len(best) == 1 else None


def all_names(label: str) -> set[str]:
    """List the instruments that a free name names in words of their own: two for `Bass_Drums`, one for `Bass Drum`."""
    read = _read(label)
    order = list(dict.fromkeys(each.word for each in read))
    best = _exact(read, order)
    if not best or best[0].rank == _ALWAYS:
        return set()
    words = {each.word for each in read if each.certain and not each.short} | best[0].words
    names = [name for word in order for name in _NAMES.get(word, ()) if name.words <= words and name.rank >= _INSTRUMENT]
    whole = [name for name in names if not any(name.words < other.words for other in names)]
    return {best[0].instrument, *(name.instrument for name in whole if not name.words & best[0].words)}


def _read(label: str) -> list[_Word]:
    text = _SUFFIX.sub("", _TRACK_NUMBER.sub("", plain(label))).replace("_", " ")
    text = _ABBREVIATED.sub(r"\1\2", _GEAR.sub(" ", _KEY.sub(" ", text)))
    return list(_words(list(_TOKEN.finditer(text))))


def _exact(read: list[_Word], order: list[str]) -> tuple[_Name, bool] | None:
    """Find the best name in words that are certain; short ones may make it finer, never be another instrument."""
    exact = _best(order, {each.word for each in read if each.certain})
    firm = _best(order, {each.word for each in read if each.certain and not each.short})
    firm = firm if firm and firm[0].rank >= _INSTRUMENT else None
    return firm if exact and firm and not exact[0].words >= firm[0].words else exact


def _best(order: list[str], words: set[str]) -> tuple[_Name, bool] | None:
    found = [name for word in order for name in _NAMES.get(word, ()) if name.words <= words]
    if not found:
        return None

    def weight(name: _Name) -> tuple[bool, int, int]:
        return name.rank == _ALWAYS, len(name.words), name.rank

    top = max(map(weight, found))
    ties = [name for name in found if weight(name) == top]
    winner = max(ties, key=lambda name: max(order.index(word) for word in name.words))
    return winner, winner.rank > 0 and len({name.instrument for name in ties}) == 1


def _words(tokens: list[re.Match[str]]) -> Iterator[_Word]:
    """Yield the words that the tokens stand for."""
    spelt = [token[0].lower() for token in tokens]
    start = 0
    while start < len(tokens):
        for end in range(min(start + _LONGEST_JOIN, len(tokens)), start, -1):
            meaning = _lookup("".join(spelt[start:end]))
            if meaning and not _apart(tokens[start:end]):
                length = tokens[end - 1].end() - tokens[start].start()
                everyday = bool(_EVERYDAY & {spelling := "".join(spelt[start:end]), spelling.removesuffix("s")})
                yield from (_Word(word, True, length <= _SHORT, start, everyday=everyday) for word in meaning)
                break
        else:
            end = start + 1
            if spelt[start].isalpha() and len(spelt[start]) > 1:
                yield from _unknown_word(spelt[start], start, _is_model(tokens[start]))
        start = end


def _unknown_word(token: str, place: int, model: bool) -> Iterator[_Word]:
    """Yield the words of a joined token, guesses at an unknown one, or the token itself."""
    words = _unknown(token)
    cut = any(certain for _, certain in words)
    strange = "" if model or cut or len(token) <= _SHORT or token in _QUALIFIERS or genres.exact(token) else token
    yield from (_Word(word, certain, False, place, strange) for word, certain in words or ((token, False),))


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


def _lookup(token: str) -> tuple[str, ...] | None:
    """Look a spelling up, also as a plural."""
    return _WORDS.get(token) or (_WORDS.get(token[:-1]) if token.endswith("s") and len(token) > 2 else None)


@lru_cache(maxsize=1 << 16)
def _unknown(token: str) -> tuple[tuple[str, bool], ...]:
    if pieces := _split(token) if 2 < len(token) < _LONGEST_WORD else None:
        firm = all(len(piece) > _SHORT and piece not in _EVERYDAY for piece in pieces) and max(map(len, pieces)) > _LETTERS
        return tuple((word, firm) for piece in pieces for word in _lookup(piece) or ())
    return tuple((word, False) for word in _guess(token[:_LONGEST_WORD]))


def _split(token: str) -> list[str] | None:
    """Cut a joined word such as `bassguitarleft` or `ohl` into the fewest known ones."""
    best: list[list[str] | None] = [[]] + [None] * len(token)
    for end in range(1, len(token) + 1):
        for start in range(end):
            head, piece = best[start], token[start:end]
            side = len(piece) == 1 and end == len(token) and piece in "lr" and start > 1
            known = side or ((len(piece) > 2 or _edge(piece, start, end, token)) and _lookup(piece) is not None)
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
    return _only({_WORDS[word] for word in _INITIALS[token[0]] if len(token) > 3 and word.startswith(token)}) or (
        _only({_WORDS[word] for word in _CONSONANTS.get(token, [])}) or _misspelt(token) or _half(token)
    )


def _only(meanings: set[tuple[str, ...]]) -> tuple[str, ...]:
    return meanings.pop() if len(meanings) == 1 else ()


def _misspelt(token: str) -> tuple[str, ...]:
    near = [word for word in _INITIALS[token[0]] if len(word) > 3 and abs(len(word) - len(token)) < 3]
    ratio, closest = max(((SequenceMatcher(None, word, token).ratio(), word) for word in near), default=(0.0, ""))
    return _WORDS[closest] if len(token) > 4 and ratio >= _SIMILAR else ()


def _half(token: str) -> tuple[str, ...]:
    """Read a joined word of which only one half is misspelt: `elctricgtr`."""
    for cut in range(4, len(token) - 2):
        if (known := _WORDS.get(token[cut:])) and (guess := _misspelt(token[:cut])):
            return *guess, *known
    return ()
