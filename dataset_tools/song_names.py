"""Tell songs apart by the names of their files: `SongA_bass`, `SongA_drums`, `SongB_bass` are two songs.

A song's name is what stays when an instrument is cut off a file name, at any separator that people use: a space, `_`, `.`, `-`,
a parenthesis, a capital letter. It counts as a song's name if an instrument occurs with another song's name, too. Names of
numbers and of common words (`001`, `Take 2`, `Slow Song`) count if two instruments do, or if they are a series. At the end of a
name, where programs number takes and doubles, they count only if each has the same instruments. Words that belong to instruments
and microphones (`Lead`, `DI`) are never a song's name on their own.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from instructme.manifests import spelling
from instructme.manifests.instruments import INSTRUMENTS, normalise

_GAP = re.compile(r"\s*(?:[-–—]+\s+|[~=@{|+,;·・•｜／＿]\s*)|\s+[-–—]+\s*|[-–—]{2,}|_+|\.|\s*[(\[（【]\s*|\s+|[-‐-―−－]")
_NEGATION = re.compile(r"[\W_](?:no|without|minus|sans|ohne|sem|sin)[\W_]*$", re.IGNORECASE)
"""What belongs to the word behind it: `no_vocals` is a label, and `Alpha_no` is no song."""
_CUT = re.compile(
    rf"{_GAP.pattern}|(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d+$)|(?<=[^\W_])(?=(?i:bass|drums?|vocals?|vox|guitars?|piano|keys|synth|strings|other)$)"
)
_ENDING = re.compile(r"\s*(?:\([^()]*\)|[-–—]\s+[^-–—]+)$")
_ENDS = " _.,-–—()[]（）【】"
_NUMBER = re.compile(r"^(?:(?:track|audio|tr|aud)[\s_-]*\d+|\d+[a-z]?)(?:\s*[-–—_.)]\s*|\s+)(?=\S)", re.IGNORECASE)
"""A number in front of a name: `08_`, `Track 1 - `."""
_MUSICAL = re.compile(r"[\s_.,(\[-]+(?:\d{2,3}\s?bpm|[A-G][#b]?\s?(?:maj|min|major|minor))[)\]]?(?=$|[\s_.,)\]-])", re.IGNORECASE)
"""Tempo and key of a song, written into the names of its files."""
_COMMON = frozenset(
    re.findall(
        r"\w+",
        """
        song track insert channel jam band artist title studio slow fast long short big little good best nice loud soft dark
        bright warm the a an of my one two three four five six seven eight nine ten
        """,
    )
)
"""Words of songs that also occur in the names of stems of one song."""
_SECTIONS = frozenset(
    [
        "verse",
        "chorus",
        "prechorus",
        "refrain",
        "bridge",
        "intro",
        "outro",
        "section",
        "part",
        "pt",
        "break",
        "drop",
        "hook",
        "loop",
    ]
)
_VERSIONS = frozenset(
    ["take", "tk", "version", "ver", "v", "alt", "new", "old", "final", "live", "demo", "rehearsal", "remaster", "remastered"]
)
_SIDES = frozenset("lr")
"""Letters of channels."""
_OWN, _WEAK, _NONE = 2, 1, 0
"""Strength of a song's name: it has a word of its own; common words or numbers; nothing but words of instruments."""
_MOST_BARE = 1
"""A folder with more files that are called nothing but an instrument holds one song."""


class SongFiles(NamedTuple):
    """The files of one song: file name -> label without the song's name."""

    name: str
    labels: dict[str, str]


class Grouping(NamedTuple):
    """The songs of a folder, and the files that fit none. No songs: all files belong to one."""

    songs: tuple[SongFiles, ...]
    strays: tuple[str, ...] = ()
    aligned: bool = True
    """False: each song is a single part, and all are of one instrument."""
    doubtful: bool = False
    """The files may as well be grouped otherwise: songs known by numbers alone, or one song that looks like several."""


def group(names: Sequence[str]) -> Grouping:
    """Group the names of the files of one folder, without suffix, by song."""
    texts = [_cleaned(names, numbers=numbers) for numbers in (True, False)]
    readings = [
        _Readings({name: list(_cuts(text, reverse)) for name, text in cleaned.items()}, reverse)
        for cleaned in texts
        for reverse in (False, True)
    ]
    tries = [*map(_several, readings), *map(_singles, readings)]
    found = next((found for found in tries if found), None)
    if found is None:
        return Grouping((), doubtful=any(map(_may_be_several, readings)) or _is_grid(names))
    return found._replace(doubtful=found.aligned and not any(map(is_own, (song.name for song in found.songs))))


def work(name: str) -> str:
    """Reduce the name of a song to the work that it is a version or a section of; empty for `Take 2` and `Chorus`."""
    words = re.findall(r"[^\W\d_]+|\d+", name.lower())
    own = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if word not in _VERSIONS | _SECTIONS and not (word.isdigit() and before in _VERSIONS | _SECTIONS)
    ]
    return " ".join(own)


def without(name: str, instrument: str) -> str:
    """Cut an instrument off the name of a file, if it is there: the song of `Alpha_bass`."""
    family = normalise(instrument).family
    pairs = [pair for reverse in (False, True) for pair in _cuts(name, reverse)]
    known = (song for song, label in pairs if _names_instrument(label) and normalise(label).family == family)
    return next(known, name)


def labels(names: Sequence[str], song: str = "") -> dict[str, str]:
    """Cut off what all file names of one song share, such as its title; file name -> label.

    What is shared stays where it says which instrument it is: `Kick In` and `Kick Out`, `Synth Bass` and `Synth Pad`.
    """
    ends = _without_ending(names)
    fronts = _fronts([ends[name] for name in names], song)
    return {name: fronts[ends[name]] for name in names}


def _without_ending(names: Sequence[str]) -> dict[str, str]:
    """Cut off what ends all names, in brackets, behind a dash or as words of no instrument, if different instruments stay."""
    for cut in ({name: _ENDING.sub("", name) for name in names}, _without_last_words(names)):
        endings = {name[len(rest) :].strip(_ENDS).lower() for name, rest in cut.items()}
        if (
            len(endings) == 1
            and all(cut.values())
            and len({each.instrument for each in map(normalise, cut.values()) if each.certain}) > 1
        ):
            return cut
    return dict(zip(names, names, strict=True))


def _without_last_words(names: Sequence[str]) -> dict[str, str]:
    """Cut off the last words that all names share, unless they are an instrument: `Bass_Backing_Track`, `Piano_Backing_Track`."""
    rests = [name.rstrip(" )]") for name in names]
    while len(rests) > 1 and len(last := {_tail(rest) for rest in rests}) == 1 and "" not in last:
        rests = [rest[: -len(_tail(rest))].rstrip(_ENDS) for rest in rests]
    cut = dict(zip(names, rests, strict=True))
    return dict(zip(names, names, strict=True)) if normalise(names[0][len(rests[0]) :]).editable else cut


def _tail(text: str) -> str:
    """Give the last word of a text that has more; empty where cutting it off would leave nothing."""
    ends = [cut.end() for cut in _GAP.finditer(text) if cut.start()]
    return text[ends[-1] :].lower() if ends else ""


def _fronts(names: Sequence[str], song: str) -> dict[str, str]:
    titled = re.compile(re.escape(song) + r"[\s._-]+(?=\S)", re.IGNORECASE)
    if song and all(titled.match(name) for name in names):
        return {name: titled.sub("", name, count=1) for name in names}
    rests = _cleaned(names, numbers=False)
    untitled = len(names) < 2 or all(rests[name] == name for name in names) or not _is_title(list(names), rests)
    return dict(zip(names, names, strict=True)) if untitled else rests


def title(names: Sequence[str]) -> str:
    """Find the title with which all file names of one song begin; empty if there is none."""
    own = labels(names)
    first = names[0] if names else ""
    shared = first[: first.find(own[first])] if first else ""
    return shared.strip(" ._-()[]") if _strength(shared) else ""


def is_own(text: str) -> bool:
    """Tell whether a text has a word of its own, which is none of instruments, takes, sections or songs in general."""
    return _strength(text) == _OWN


def _is_title(names: list[str], rests: Mapping[str, str]) -> bool:
    """Tell whether the shared part is a title: it has a word of no instrument, or makes one instrument of different ones."""
    shared = names[0][: names[0].find(rests[names[0]])]
    if not all(_names_instrument(rest) for rest in rests.values()):
        # `BD_Keys`, `BD_Hats`, `BD_Heal it`: an abbreviation before several instruments is none.
        return _is_abbreviation(shared) and len({each.family for each in map(normalise, rests.values()) if each.certain}) > 1
    whole = {normalise(name).instrument for name in names}
    parts = [normalise(rest) for rest in rests.values()]
    return _strength(shared) == _OWN or (
        len(whole) == 1 and len({part.instrument for part in parts}) > 1 and all(part.certain for part in parts)
    )


def _is_abbreviation(shared: str) -> bool:
    letters = re.findall(r"[^\W\d_]+", shared)
    return bool(letters) and all(len(each) < 3 for each in letters)


def _cleaned(names: Sequence[str], *, numbers: bool) -> dict[str, str]:
    """Leave out tempo and key, numbers in front unless `numbers`, and the words with which all names begin."""
    texts = [_MUSICAL.sub("", name) or name for name in names]
    if not numbers:
        texts = [_NUMBER.sub("", text) or text for text in texts]
    while len(texts) > 1 and (first := {_head(text) for text in texts}) and len(first) == 1 and "" not in first:
        rests = [text[_GAP.search(text, 1).end() :] for text in texts]  # type: ignore[union-attr]
        if _holds_songs(rests):
            break
        texts = rests
    return dict(zip(names, texts, strict=True))


def _holds_songs(rests: Sequence[str]) -> bool:
    """Tell whether the word that was cut off all names is a song's on its own: `Blue_bass` beside `Blue Moon_bass`."""
    bare = {_key(rest) for rest in rests if not _strength(rest) and _names_instrument(rest)}
    return bool(bare) and len(bare & {_key(label) for rest in rests for song, label in _cuts(rest, False) if _strength(song)}) > 1


def _head(text: str) -> str:
    """Give the first word of a text that has more; empty where cutting it off would leave nothing."""
    cut = _GAP.search(text, 1)
    return text[: cut.start()].lower() if cut and text[cut.end() :].strip(" )]") else ""


def _cuts(text: str, reverse: bool) -> Iterator[tuple[str, str]]:
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


class _Readings:
    """All ways to read file names as song and instrument, and how often each part occurs with others."""

    def __init__(self, cuts: dict[str, list[tuple[str, str]]], reverse: bool) -> None:
        self.cuts, self.reverse = cuts, reverse
        songs: defaultdict[str, set[str]] = defaultdict(set)
        self.labels: defaultdict[str, set[str]] = defaultdict(set)
        self.strength: dict[str, int] = {}
        for song, label in (pair for pairs in cuts.values() for pair in pairs if _names_instrument(pair[1])):
            songs[_key(label)].add(_key(song))
            self.labels[_key(song)].add(_key(label))
            self.strength[_key(song)] = _strength(song)
        self.shared = {song: {label for label in own if len(songs[label]) > 1} for song, own in self.labels.items()}
        """Song -> the labels that occur with other songs, too."""
        self.repeated = {song for song, own in self.shared.items() if own}
        self.named = {song for song in self.repeated if self.strength[song]}

        self.wholes = {song for song in self.repeated if _differ(self.shared[song])}
        """Songs that have several instruments of other songs."""

    def is_prefix(self, song: str) -> bool:
        """Tell whether all files that begin with a song's name belong to several longer names of whole songs: `Artist1_Song1`."""
        files = [fronts for pairs in self.cuts.values() if song in (fronts := {_key(front) for front, _ in pairs})]
        longer = [{front for front in fronts & self.wholes if song in front} - {song} for fronts in files]
        return all(longer) and not set.intersection(*longer)

    def covers(self, songs: set[str]) -> int:
        """Count the files that belong to one of the songs."""
        return sum(any(_key(song) in songs for song, _ in pairs) for pairs in self.cuts.values())

    def is_dotted(self) -> bool:
        """Tell whether all files are called `song.bass` or `song - bass`: nothing but an instrument after a dot or dash."""
        return all(
            any(name in (f"{song}.{label}", f"{song} - {label}") and _is_class(label) for song, label in own)
            for name, own in self.cuts.items()
        )

    def is_product(self, songs: set[str]) -> bool:
        """Tell whether each song has the same instruments, those of a band, and each file belongs to one."""
        sets = {frozenset(self.labels[song]) for song in songs}
        families = {normalise(label).family for label in next(iter(sets), ())}
        band = len(families) > 2 or (len(families) > 1 and bool(families & {"bass", "drums"}))
        return len(sets) == 1 and band and self.covers(songs) == len(self.cuts)


def _several(read: _Readings) -> Grouping | None:
    """Find songs of several stems."""
    own = {song for song, strength in read.strength.items() if strength == _OWN}
    pairs_up = {song for song in own if len(read.labels[song]) > 1}
    dotted = read.is_dotted()
    several = {song for song in (read.repeated if dotted else read.named) if len(read.labels[song]) > 1}
    sure = dotted or read.covers(several) == len(read.cuts)
    series = Counter(map(_root, read.named))
    full = {song for song in several if song in own or sure or series[_root(song)] > 1 or _differ(read.shared[song])}
    if read.reverse and full and not full & own and not read.is_product(full):
        return None  # numbers of takes and doubles, as programs write them at the end
    if not full or len(read.named | full) < 2:
        # Two songs may share no instrument; but then every file must belong to one.
        return _assign(read, (pairs_up,)) if read.covers(pairs_up) == len(read.cuts) else None
    firm = full | (read.named if dotted else read.named & own)
    # Among songs, a word of instruments may be a title, too: `Whisper - Drums`.
    likely = read.repeated if read.covers(firm) > len(read.cuts) / 2 else set()
    return _assign(read, (full, firm, likely, pairs_up))


def _may_be_several(read: _Readings) -> bool:
    """Tell whether all files of what is read as one song could be those of several, too."""
    songs = read.wholes - _SIDES
    return len(songs) > 1 and read.covers(songs) == len(read.cuts)


def _is_grid(names: Sequence[str]) -> bool:
    """Tell whether names of no instrument pair the same fronts with the same ends: `001_1`, `001_2`, `002_1`, `002_2`."""
    ends: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        cuts = [cut for cut in _GAP.finditer(name) if cut.start()]
        if not cuts or _names_instrument(name):
            return False
        ends[name[: cuts[-1].start()].lower()].add(name[cuts[-1].end() :].lower())
    return len(ends) > 1 and len({*map(frozenset, ends.values())}) == 1 < len(next(iter(ends.values())))


def _root(song: str) -> str:
    """Give a name without the number or letter at its end, by which the songs of a series differ: `track1`, `SongA`."""
    return re.sub(r"(\d+|[a-z])$", "", song)


def _differ(labels: set[str]) -> bool:
    return len({normalise(label).instrument for label in labels}) > 1


def _assign(read: _Readings, ranks: Sequence[set[str]]) -> Grouping | None:
    """Give each file to a song of the first rank that has one for it."""
    songs: defaultdict[str, dict[str, str]] = defaultdict(dict)
    titles: dict[str, str] = {}
    strays = []
    for name, pairs in read.cuts.items():
        match = next((pair for rank in ranks if (pair := _choose(read, [each for each in pairs if _key(each[0]) in rank]))), None)
        if match:
            titles.setdefault(_key(match[0]), match[0])
            songs[_key(match[0])][name] = match[1]
        else:
            strays.append(name)
    bare = [name for name in strays if _names_instrument(name) and _strength(name) < _OWN]
    if len(songs) < 2 or len(bare) > _MOST_BARE:
        return None
    return Grouping(tuple(SongFiles(titles[key], own) for key, own in songs.items()), tuple(strays))


def _choose(read: _Readings, pairs: list[tuple[str, str]]) -> tuple[str, str] | None:
    """Choose the shortest name of a song, or a longer one that adds a word of its own: `Morning` or `Morning Angel`.

    A version such as `Morning (Live)` is a song, too, if it has several instruments of the other songs. So are `Artist 1 Song 1`
    and `Artist 1 Song 2`, if no file belongs to `Artist 1` alone.
    """
    if not pairs:
        return None
    chosen = pairs[0]
    for pair in pairs[1:]:
        added = pair[0].replace(chosen[0], " ", 1)
        is_whole = _strength(added) == _WEAK and _key(pair[0]) in read.wholes
        is_version = is_whole and not work(added) and bool(_VERSIONS & set(_key(added).split()))
        if _strength(added) == _OWN or is_version or (is_whole and read.is_prefix(_key(chosen[0]))):
            chosen = pair
    return chosen


def _singles(read: _Readings) -> Grouping | None:
    """Read a folder in which one instrument occurs under as many names as there are files: single parts of many songs."""
    matches = {name: next((pair for pair in own if _key(pair[0]) in read.named), None) for name, own in read.cuts.items()}
    pairs = {name: pair for name, pair in matches.items() if pair}
    if len(pairs) < max(2, len(read.cuts)) or len({_key(song) for song, _ in pairs.values()}) < len(pairs):
        return None
    if len({normalise(label).instrument for _, label in pairs.values()}) > 1:
        return None
    return Grouping(tuple(SongFiles(song, {name: label}) for name, (song, label) in pairs.items()), aligned=False)


def _key(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def _names_instrument(label: str) -> bool:
    """Tell whether a label names an instrument or a mixture."""
    match = normalise(label)
    return not match.is_stem or match.rule != "unmatched"


def _is_class(label: str) -> bool:
    """Tell whether a label is the name of an instrument and nothing else."""
    return normalise(label, layout="moisesdb").rule == "class" or label.lower() in INSTRUMENTS


def _strength(text: str) -> int:
    """Tell how much a text looks like the name of a song."""
    words = [word.lower() for word in spelling.tokens(text) if word.isalpha()]
    if any(len(word) > 1 and word not in _COMMON | _SECTIONS | _VERSIONS and not spelling.knows(word) for word in words):
        return _OWN
    common = any(word in _COMMON | _SECTIONS | _VERSIONS for word in words) or (
        all(len(word) == 1 for word in words) and not (words and _SIDES.issuperset(words))
    )
    return _WEAK if common and re.search(r"\w", text) else _NONE
