"""What the other names of a song say about a name: a bass among singers is a voice, and words that all share are a title."""

import re
from collections.abc import Iterable

from instructme.manifests import spelling
from instructme.manifests.instruments import Companions, normalise

_VOICE = re.compile(r"sopr(?:ano?s?)?|mezzos?|altos?|alt|tenor[es]?|bar[iy]ton[eo]?s?|bass[eio]?|bas")
_BASS = "bas"
_SUNG = re.compile(r"\ba[\s_-]?c(?:ap+|api|appe)ella\b", re.IGNORECASE)


def companions(labels: Iterable[str], title: str = "") -> Companions:
    """Read what the labels of a song and its title say about each label.

    Singers are two or more parts of a choir that are half of the labels, or that stand beside no instrument. A single part of
    a choir, such as `Tenor`, may also be a saxophone: then a bass is a bass, but a guess.
    """
    names = list(labels)
    parts = [(voice, name) for name in names if (voice := _voice(name))]
    found = {name: normalise(name).family for name in names}
    upper = [voice for voice, name in parts if voice != _BASS and found[name] in ("vocals", "other")]
    others = set(found.values()) - {"vocals", "bass", "other"}
    kinds = {voice for voice, name in parts if found[name] in ("vocals", "other", "bass")}
    singers = bool(upper) and len(kinds) > 1 and (not others or (len(set(upper)) > 1 and len(upper) * 2 >= len(names)))
    # `BGV Alto` says that it is a singer's; then `Bass` without such a word is a bass.
    bare = [name for voice, name in parts if voice != _BASS and normalise(_VOICE.sub(" ", name.lower())).family != "vocals"]
    maybe = singers or any(found[name] in ("vocals", "other") for name in bare)
    return Companions(singers, maybe, bool(_SUNG.search(title)), _shared_words(names))


def _voice(label: str) -> str:
    """Find the part of a choir that a label names, by its first three letters; empty if there is none."""
    words = (token.lower() for token in spelling.tokens(label))
    return next((word[:3] for word in words if _VOICE.fullmatch(word)), "")


def _shared_words(labels: list[str]) -> frozenset[str]:
    """List the words that nobody knows, but that stand beside different instruments of one song: its title, a player."""
    families: dict[str, set[str]] = {}
    for label in labels:
        match = normalise(label)
        for word in spelling.strange_words(label) if match.editable else ():
            families.setdefault(word, set()).add(match.family)
    return frozenset(word for word, own in families.items() if len(own) > 1)
