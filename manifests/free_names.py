"""Read instruments out of studio file names such as `08_ElecGtr02_DI`, `BackingVox1DT` or `DRUM SNARE TOP - M80-SH`.

The words of a name are looked up in manifests/data/names.csv: the name with the most words wins, then the higher rank, then
the later one. Ranks: 5 always wins, 4 is one instrument, 3 a piece of a drum kit, 2 a group ("guitar"), 1 counts if nothing
else is there, 0 is a guess.
"""

import re
from collections.abc import Collection
from typing import NamedTuple

from instructme.manifests.spelling import LONGEST_JOIN, SHORT, Word, lookup, read_words, tokens
from instructme.manifests.word_tables import NAMES, Name, plain

_ALWAYS = 5
_NO_STEM = "-"
_MIXTURE = "mixture"
GROUP = 2
"""Rank of a name that many instruments share: `drums`, `guitar`, `vocals`."""
_INSTRUMENT = GROUP
"""Least rank of a name that is an instrument, or a group of them, on its own."""
_KNOWN_SHORT = frozenset(
    ["hh", "oh", "bd", "sd", "kd", "sn", "ft", "bv", "lv", "ag", "eg", "ep", "vx", "gt", "bs", "sx", "pf", "fx"]
)
"""Those that are certain on their own; `TB` may be a trombone, a tambourine or the talkback, `FL` a flute or front left."""

_PART = re.compile(r"[\W\d_]*(?:voice|stimme)[\W_]*\d", re.IGNORECASE)
"""A part of a score, of any instrument: `Voice 1 (Melody)`. It may also be a singer."""


class NameMatch(NamedTuple):
    """The best reading of a name."""

    instrument: str
    certain: bool


def best_name(label: str, known: Collection[str] = ()) -> NameMatch | None:
    """Find the instrument that a free name names, if any; not certain where it rests on a typo, a guess or a tie.

    Neither is it certain where strange words may change it, unless they are `known`: see `_is_changed`.
    """
    read = read_words(label)
    order = list(dict.fromkeys(each.word for each in read))
    exact = _exact(read, order)
    loose = _best(order, set(order))
    # A guessed word may only make the reading finer, never overrule a word that is certain.
    if loose and (not exact or exact[0].words < loose[0].words):
        return NameMatch(loose[0].instrument, False)
    if exact is None:
        return None
    letters = re.sub(r"[^a-z]", "", plain(label).lower())
    alone = len(letters) == SHORT and letters not in _KNOWN_SHORT
    doubt = alone or _disputed(read, exact[0]) or _is_changed(read, exact[0], known)
    doubt = doubt or _PART.match(label) is not None or _is_list(read, order, exact[0]) or _is_mixed(read, exact[0])
    return NameMatch(exact[0].instrument, exact[1] and not doubt)


def all_names(label: str) -> set[str]:
    """List the instruments that a free name names in words of their own: two for `Bass_Drums`, one for `Bass Drum`."""
    read = read_words(label)
    order = list(dict.fromkeys(each.word for each in read))
    best = _exact(read, order)
    if not best or best[0].rank == _ALWAYS:
        return set()
    words = {each.word for each in read if each.certain and not each.short} | best[0].words
    names = [name for word in order for name in NAMES.get(word, ()) if name.words <= words and name.rank >= _INSTRUMENT]
    whole = [name for name in names if not any(name.words < other.words for other in names)]
    return {best[0].instrument, *(name.instrument for name in whole if not name.words & best[0].words)}


def whole_name(label: str) -> tuple[str, int] | None:
    """Find the instrument that all words of a label name together, and the rank of that name in names.csv.

    Unlike `best_name`, it drops no word and guesses none: `second guitar` and `giutar` are None.
    """
    spelt = [token.lower() for token in tokens(label)]
    words: set[str] = set()
    start = 0
    while start < len(spelt):
        ends = range(min(start + LONGEST_JOIN, len(spelt)), start, -1)
        joined = ((end, "".join(spelt[start:end])) for end in ends)
        known = next(((end, found) for end, text in joined if len(text) > SHORT and (found := lookup(text))), None)
        if known is None:
            return None
        start, found = known
        words |= set(found)
    names = [name for word in words for name in NAMES.get(word, ()) if name.words == words]
    top = max((name.rank for name in names), default=0)
    best = {name.instrument for name in names if name.rank == top}
    return (best.pop(), top) if len(best) == 1 else None


def _is_changed(read: list[Word], best: Name, known: Collection[str]) -> bool:
    """Tell whether a strange word may change what a name means.

    The last word says what a thing is: string theory is no string. A word before it only describes it, as in `Moonlight
    Bass`, unless the name rests on an adjective or on abbreviations. The name of a mix may hold a title.
    """
    mine = [each for each in read if each.certain and each.word in best.words]
    strange = [each for each in read if each.strange and each.strange not in known]
    firm = any(name.rank >= _INSTRUMENT for word in best.words for name in NAMES[word] if name.words <= best.words)
    weak = not firm or all(each.short for each in mine)
    after = len(mine) == 1 and any(each.place > mine[0].place for each in strange)
    return best.instrument != _NO_STEM and bool(after or (weak and strange) or all(each.everyday for each in mine))


def _is_mixed(read: list[Word], best: Name) -> bool:
    """Tell whether what is named a mixture may be a stem: `2MIX_gtr` names an instrument, too."""
    return best.words == {_MIXTURE} and any(each.certain and _instrument_of(each.word) not in ("", _NO_STEM) for each in read)


def _is_list(read: list[Word], order: list[str], best: Name) -> bool:
    """Tell whether a name may list instruments: a `Bass_Keyboard` is no keyboard bass, but a `Bass Synth` is a synth bass.

    Neither is `Strings Heroic Bass` a string bass.
    """
    nouns = [word for word in best.order if word != "synth" and _instrument_of(word)]
    within = {
        name.instrument for word in best.words for name in NAMES[word] if name.words < best.words and name.rank >= _INSTRUMENT
    }
    if len({_instrument_of(word) for word in nouns}) < 2 or best.instrument in within:
        return False
    placed, strange = [order.index(word) for word in nouns], {each.strange for each in read}
    return placed != sorted(placed) or bool(strange & set(order[placed[0] : placed[-1]]))


def _instrument_of(word: str) -> str:
    """Find the instrument that a word names on its own; empty for an adjective."""
    return next((name.instrument for name in NAMES[word] if name.rank >= _INSTRUMENT and name.order == (word,)), "")


def _disputed(read: list[Word], best: Name) -> bool:
    """Tell whether a name rests on abbreviations alone, and another abbreviation names another instrument: `SN TP`."""
    short = {each.word for each in read if each.certain and each.short}
    names = [name for word in short - best.words for name in NAMES.get(word, ()) if name.words <= short]
    others = {name.instrument for name in names if name.rank >= _INSTRUMENT}
    return best.words <= short and bool(others - {best.instrument})


def _exact(read: list[Word], order: list[str]) -> tuple[Name, bool] | None:
    """Find the best name in words that are certain; short ones may make it finer, never be another instrument."""
    exact = _best(order, {each.word for each in read if each.certain})
    firm = _best(order, {each.word for each in read if each.certain and not each.short})
    firm = firm if firm and firm[0].rank >= _INSTRUMENT else None
    return firm if exact and firm and not exact[0].words >= firm[0].words else exact


def _best(order: list[str], words: set[str]) -> tuple[Name, bool] | None:
    found = [name for word in order for name in NAMES.get(word, ()) if name.words <= words]
    if not found:
        return None

    def weight(name: Name) -> tuple[bool, int, int]:
        return name.rank == _ALWAYS, len(name.words), name.rank

    top = max(map(weight, found))
    ties = [name for name in found if weight(name) == top]
    winner = max(ties, key=lambda name: max(order.index(word) for word in name.words))
    return winner, winner.rank > 0 and len({name.instrument for name in ties}) == 1
