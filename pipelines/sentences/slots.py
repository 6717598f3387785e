"""Read the words in the fields of a template: lists of instruments, and genres. No word of a field is ever left over."""

import re
from functools import lru_cache

from instructme.dataset_tools.tasks import task_modules
from instructme.manifests import genres
from instructme.manifests.free_names import whole_name
from instructme.manifests.instruments import INSTRUMENTS

JOINED = re.compile(r"\s*(?:,\s*(?:and\b|plus\b|&)|[,&+/]|\b(?:and|plus|as well as)\b)\s*")
_EITHER = re.compile(r"\s*\b(?:or|nor)\b\s*(?:(?:any|the|no)\s+)?")
_ARTICLES = re.compile(
    r"^(?:(?:the|a|an|some|any|all|all of|both|this|that|these|those|my|your|its|his|her|their|our|another version of|sounds? of)"
    r"\s+)+"
)
NEW = re.compile(r"(?:^|[,&+/] ?|\b(?:and|plus|as well as) )(?:an?|some|another) ")
"""Before the name of something new, which has no level yet: `turn up the bass and a piano`."""
_NOUNS = re.compile(r"\s+(?:tracks?|parts?|lines?|stems?|sounds?|playing|layers?|instruments?)$")
_ADVERB = re.compile(r"^(?:up|down) | (?:back|on|up|down|out|off)$")
_STYLE_BEFORE = re.compile(r"^(?:the\s+)?style\s+of\s+")
_STYLE_AFTER = re.compile(
    r"\s+(?:genre|style|music|songs?|version|remix|track|tune|piece|feel|feeling|vibe|groove|flavou?r|sound|arrangement|number)$"
)
UNCLEAR = frozenset(
    {"beat", "beats", "egg", "eggs", "solo", "808", "taylor", "rap", "vibe", "virus", "prophet", "massive", "shake"}
    | {"room", "rooms", "fx", "loop", "loops", "sequence", "sequences", "overhead", "overheads", "amp", "cab", "cabinet"}
    | {"chorus", "ambience", "ambient", "programmed", "programming"}
)
"""Names of files that mean something else, or more than one thing, in a sentence."""
_UNCLEAR_ALONE = frozenset(
    {"acid", "analog", "analogue", "bone", "dial", "diva", "flamenco", "grand", "horny", "humming", "interview", "jingle"}
    | {"jingles", "monologue", "nord", "nylon", "parlour", "pipes", "poem", "precision", "quinto", "rattle", "spanish"}
    | {"speak", "surge", "talk", "tres", "trump", "vital", "wind", "winds", "zebra"}
)
"""Such names that are clear beside another word: `spanish guitar`, `wind section`."""
_NO_STYLE = frozenset({"acoustic", "traditional"})
"""Genres of datasets that ask for other instruments in a sentence: `make it acoustic`."""
_PIECE_OF_KIT, GROUP = 3, 2
"""Ranks of names.csv: a piece of a drum kit, and the least rank that names an instrument without doubt."""


def instruments(text: str, either: bool = False) -> tuple[str, ...] | None:
    """Read a list such as `the drums and a bass` or `lead and backing vocals`; None if any word isn't of an instrument's name.

    Args:
        text: in lower case.
        either: `or` joins, too, as in `no drums or bass`.
    """
    joined = _EITHER.sub(" and ", text) if either else text
    *others, last = JOINED.split(joined)
    kind = last.rpartition(" ")[2]
    names = [instrument(label) or (instrument(f"{label} {kind}") if kind != last else None) for label in others]
    names.append(instrument(last))
    return None if None in names else tuple(dict.fromkeys(name for name in names if name))


@lru_cache(maxsize=4096)
def instrument(label: str) -> str | None:
    """Name the instrument of a label in lower case, by all of its words; None if it isn't clear."""
    bare = _ARTICLES.sub("", label)
    # As names of files, "vocals back", "bass on" and "up bass" are backing vocals, a bassoon and a double bass.
    if bare in _UNCLEAR_ALONE or _ADVERB.search(bare):
        return None
    for words in (bare, _NOUNS.sub("", bare)):
        if words in INSTRUMENTS:
            return words if INSTRUMENTS[words].editable else None
        known = whole_name(words)
        if known and known[1] >= GROUP and known[1] != _PIECE_OF_KIT and not UNCLEAR & set(words.split()):
            return known[0] if INSTRUMENTS.get(known[0]) and INSTRUMENTS[known[0]].editable else None
    return None


def is_piece_of_kit(word: str) -> bool:
    """Tell whether a word is the name of one drum or cymbal."""
    known = whole_name(word)
    return bool(known and known[1] == _PIECE_OF_KIT)


@lru_cache(maxsize=4096)
def genre(text: str) -> str | None:
    """Name the genre of a text such as `a jazz song` or `funky`, by all of its words; None if it isn't clear."""
    label = _STYLE_BEFORE.sub("", _STYLE_AFTER.sub("", _ARTICLES.sub("", text)))
    label = _ARTICLES.sub("", label)
    if label in _NO_STYLE:
        return None
    # An adjective: jazzy, bluesy, funky.
    return genres.exact(label) or (genres.exact(label[:-1]) if re.fullmatch(r"[a-z]{3,}[^aeiou]y", label) else None)


@lru_cache(maxsize=1024)
def idiom(text: str) -> tuple[str, str] | None:
    """Read a word that is a whole instruction, such as `a karaoke version`: its task and instrument."""
    label = _STYLE_AFTER.sub("", _ARTICLES.sub("", text))
    idioms = ((name, getattr(task, "IDIOMS", {})) for name, task in task_modules().items())
    known = {word: (name, instrument) for name, words in idioms for word, instrument in words.items()}
    return known.get(label.replace("-", " "))


def words() -> frozenset[str]:
    """List the words of all names of instruments and genres, for typos."""
    names = (*INSTRUMENTS, *(name.lower() for name in genres.GENRES))
    spelt = {word for name in names for word in re.findall(r"[a-z]+", name)}
    around = " ".join(pattern.pattern for pattern in (_ARTICLES, _NOUNS, _STYLE_BEFORE, _STYLE_AFTER, JOINED, _EITHER))
    around = re.sub(r"\\[a-z]", " ", around)
    spelt |= set(re.findall(r"[a-z]{2,}", f"{re.sub('[a-z][?]', '', around)} {around.replace('?', '')}"))
    return frozenset(spelt | {f"{word}s" for word in spelt if not word.endswith("s")})
