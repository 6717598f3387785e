"""Read the names of a song's files: its title, and what is left of each name without it.

A song's name is what stays when an instrument is cut off a file name, at any separator that people use: a space, `_`, `.`, `-`,
a parenthesis, a capital letter. Names of numbers and of common words (`001`, `Take 2`, `Slow Song`) say little. Words that
belong to instruments and microphones (`Lead`, `DI`) are never a song's name on their own.
"""

import re
from collections.abc import Iterator, Sequence

from instructme.manifests import spelling
from instructme.manifests.instruments import normalise, without_model
from instructme.manifests.word_tables import TITLE_WORDS

GAP = re.compile(r"\s*(?:[-–—]+\s+|[~=@{|+,;·・•｜／＿]\s*)|\s+[-–—]+\s*|[-–—]{2,}|_+|\.|\s*[(\[（【]\s*|\s+|[-‐-―−－]")
_NEGATION = re.compile(r"[\W_](?:no|without|minus|sans|ohne|sem|sin)[\W_]*$", re.IGNORECASE)
"""What belongs to the word behind it: `no_vocals` is a label, and `Alpha_no` is no song."""
_CUT = re.compile(
    rf"{GAP.pattern}|(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d+$)|(?<=[^\W_])(?=(?i:bass|drums?|vocals?|vox|guitars?|piano|keys|synth|strings|other)$)"
)
_ENDING = re.compile(r"\s*(?:\([^()]*\)|[-–—]\s+[^-–—]+)$")
_ENDS = " _.,-–—()[]（）【】"
_NUMBER = re.compile(r"^(?:(?:track|audio|tr|aud)[\s_-]*\d+|\d+[a-z]?)(?:\s*[-–—_.)]\s*|\s+)(?=\S)", re.IGNORECASE)
"""A number in front of a name: `08_`, `Track 1 - `."""
_MUSICAL = re.compile(r"[\s_.,(\[-]+(?:\d{2,3}\s?bpm|[A-G][#b]?\s?(?:maj|min|major|minor))[)\]]?(?=$|[\s_.,)\]-])", re.IGNORECASE)
"""Tempo and key of a song, written into the names of its files."""
_COMMON = TITLE_WORDS["common"]
"""Words of songs that also occur in the names of stems of one song."""
_SECTIONS, VERSIONS = TITLE_WORDS["section"], TITLE_WORDS["version"]
CHANNELS = (
    *(("l", "r"), ("left", "right"), ("lt", "rt"), ("lft", "rgt")),
    *(("links", "rechts"), ("gauche", "droite"), ("izq", "der"), ("izquierda", "derecha"), ("sx", "dx"), ("esq", "dir")),
)
"""Words for the two channels, also in German, French, Spanish, Italian and Portuguese."""
SIDES = frozenset("lr")
"""Letters of channels."""
OWN, WEAK, _NONE = 2, 1, 0
"""Strength of a song's name: it has a word of its own; common words or numbers; nothing but words of instruments."""


def work(name: str) -> str:
    """Reduce the name of a song to the work that it is a version or a section of; empty for `Take 2` and `Chorus`."""
    words = re.findall(r"[^\W\d_]+|\d+", name.lower())
    own = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if word not in VERSIONS | _SECTIONS and not (word.isdigit() and before in VERSIONS | _SECTIONS)
    ]
    return " ".join(own)


def without(name: str, instrument: str) -> str:
    """Cut an instrument off the name of a file, if it is there: the song of `Alpha_bass`."""
    family = normalise(instrument).family
    pairs = [pair for reverse in (False, True) for pair in cuts(name, reverse)]
    known = (song for song, label in pairs if names_instrument(label) and normalise(label).family == family)
    return next(known, name)


def labels(names: Sequence[str], song: str = "") -> dict[str, str]:
    """Cut off what all file names of one song share, such as its title; file name -> label.

    What is shared stays where it says which instrument it is: `Kick In` and `Kick Out`, `Synth Bass` and `Synth Pad`.
    """
    return dict(zip(names, _fronts(_without_ending(names), song), strict=True))


def _without_ending(names: Sequence[str]) -> Sequence[str]:
    """Cut off what ends all names, in brackets, behind a dash or as words of no instrument, if different instruments stay."""
    for cut in ([_ENDING.sub("", name) for name in names], _without_last_words(names)):
        endings = {name[len(rest) :].strip(_ENDS).lower() for name, rest in zip(names, cut, strict=True)}
        shared = len(endings) == 1 and all(cut)
        if shared and len({each.instrument for each in map(normalise, cut) if each.certain}) > 1:
            return cut
    return names


def _without_last_words(names: Sequence[str]) -> Sequence[str]:
    """Cut off the last words that all names share, unless they are an instrument: `Bass_Backing_Track`, `Piano_Backing_Track`."""
    rests = [name.rstrip(" )]") for name in names]
    while len({*names}) > 1 and len(last := {_tail(rest) for rest in rests}) == 1 and "" not in last:
        rests = [rest[: -len(_tail(rest))].rstrip(_ENDS) for rest in rests]
    last_words = [normalise(ending) for ending in {name[len(rest) :] for name, rest in zip(names, rests, strict=True)}]
    # `vn_01_Jupiter` beside `vc_01_Jupiter`: a word that may be an instrument's is a title's behind different instruments.
    apart = len({match.instrument for match in map(normalise, rests) if match.editable}) > 1
    named = any(match.editable and (match.certain or not apart) for match in last_words)
    return names if named else rests


def _tail(text: str) -> str:
    """Give the last word of a text that has more; empty where cutting it off would leave nothing."""
    ends = [cut.end() for cut in GAP.finditer(text) if cut.start()]
    return text[ends[-1] :].lower() if ends else ""


def _fronts(names: Sequence[str], song: str) -> Sequence[str]:
    titled = re.compile(re.escape(song) + r"[\s._-]+(?=\S)", re.IGNORECASE)
    if song and all(titled.match(name) for name in names):
        return [titled.sub("", name, count=1) for name in names]
    rests = cleaned(names, numbers=False)
    return rests if len(names) > 1 and _is_title(names, rests) else names


def title(names: Sequence[str]) -> str:
    """Find the title with which all file names of one song begin; empty if there is none."""
    own = labels(names)
    fronts = [name[: name.find(own[name])] for name in names] or [""]
    # Numbers that differ are those of the files.
    shared = fronts[0] if len({front.lower() for front in fronts}) == 1 else _NUMBER.sub("", fronts[0])
    return shared.strip(" ._-()[]") if strength(shared) else ""


def without_number(name: str) -> str:
    """Leave out a number in front: `08_`, `Track 1 - `."""
    return _NUMBER.sub("", name) or name


def without_tempo(title: str) -> str:
    """Leave out tempo and key: nothing stays of `120 bpm - A minor`."""
    return _MUSICAL.sub("", f" {title}").strip()


def is_own(text: str) -> bool:
    """Tell whether a text has a word of its own, which is none of instruments, takes, sections or songs in general."""
    return strength(text) == OWN


def _is_title(names: Sequence[str], rests: Sequence[str]) -> bool:
    """Tell whether the shared part is a title: it has a word of no instrument, or makes one instrument of different ones."""
    shared, parts = names[0][: names[0].find(rests[0])], [*map(normalise, rests)]
    if not all(map(names_instrument, rests)):
        # `BD_Keys`, `BD_Hats`, `BD_Heal it`: an abbreviation before several instruments is none.
        letters = re.findall(r"[^\W\d_]+", shared)
        abbreviated = bool(letters) and all(len(each) < 3 for each in letters)
        return abbreviated and len({part.family for part in parts if part.certain}) > 1
    whole = {normalise(name).instrument for name in names}
    return strength(shared) == OWN or (
        len(whole) == 1 and len({part.instrument for part in parts}) > 1 and all(part.certain for part in parts)
    )


def cleaned(names: Sequence[str], *, numbers: bool) -> list[str]:
    """Leave out tempo and key, numbers in front unless `numbers`, and the words with which all names begin."""
    bare = [*map(without_model, names)]
    ends = _without_last_words(bare if len({*bare}) == len(names) else names)  # else one song is there by two models
    texts = [_MUSICAL.sub("", end) or name for name, end in zip(names, ends, strict=True)]
    if not numbers:
        texts = [*map(without_number, texts)]
    while len(texts) > 1 and (first := {_head(text) for text in texts}) and len(first) == 1 and "" not in first:
        rests = [text[GAP.search(text, 1).end() :] for text in texts]  # type: ignore[union-attr]
        if _holds_songs(rests):
            break
        texts = rests
    return texts


def _holds_songs(rests: Sequence[str]) -> bool:
    """Tell whether the word that was cut off all names is a song's on its own: `Blue_bass` beside `Blue Moon_bass`."""
    bare = {key(rest) for rest in rests if not strength(rest) and names_instrument(rest)}
    return bool(bare) and len(bare & {key(label) for rest in rests for song, label in cuts(rest, False) if strength(song)}) > 1


def _head(text: str) -> str:
    """Give the first word of a text that has more; empty where cutting it off would leave nothing."""
    cut = GAP.search(text, 1)
    return text[: cut.start()].lower() if cut and text[cut.end() :].strip(" )]") else ""


def cuts(text: str, reverse: bool) -> Iterator[tuple[str, str]]:
    """Yield (song, label) for every place where a text can be cut, the shortest song first."""
    places = [(cut.start(), cut.end()) for cut in _CUT.finditer(text) if cut.start()]
    for start, end in reversed(places) if reverse else places:
        front, back = _unbracketed(text[:start]), _unbracketed(text[end:])
        if front and back and not _NEGATION.search(front):
            yield (back, front) if reverse else (front, back)


def _unbracketed(text: str) -> str:
    """Leave out brackets around a part of a name, and close those that a cut has left open: `Highway (Live`."""
    bare = text.strip(" ()[]{}（）【】")
    return bare + ")" * (bare.count("(") > bare.count(")"))


def key(text: str) -> str:
    """Reduce a text to its words in small letters, by which two spellings of a song or a label are one.

    A sign in front of a number counts, and a sharp: `Highway_-3st` and `Highway_+3st`, `C` and `C#` are two songs.
    """
    return " ".join(re.findall(r"(?<![^\W_])[+-](?=\d)[^\W_]+|[^\W_]+[#♯]?", text.lower()))


def names_instrument(label: str) -> bool:
    """Tell whether a label names an instrument or a mixture."""
    match = normalise(label)
    return not match.is_stem or match.rule != "unmatched"


def strength(text: str) -> int:
    """Tell how much a text looks like the name of a song."""
    words = [word.lower() for word in spelling.tokens(text) if word.isalpha()]
    if any(len(word) > 1 and word not in _COMMON | _SECTIONS | VERSIONS and not spelling.knows(word) for word in words):
        return OWN
    common = any(word in _COMMON | _SECTIONS | VERSIONS for word in words) or (
        all(len(word) == 1 for word in words) and not (words and SIDES.issuperset(words))
    )
    return WEAK if common and re.search(r"\w", text) else _NONE
