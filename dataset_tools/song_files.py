"""Tell songs apart by the names of their files: `SongA_bass`, `SongA_drums`, `SongB_bass` are two songs.

What stays of a file name without an instrument counts as a song's name if an instrument occurs with another song's name, too.
Names of numbers and of common words (`001`, `Take 2`, `Slow Song`) count if two instruments do, or if they are a series. At the
end of a name, where programs number takes and doubles, they count only if each has the same instruments.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from instructme.dataset_tools import song_names
from instructme.manifests import spelling
from instructme.manifests.instruments import INSTRUMENTS, normalise

_BOTH = {"l", "r"}
_INSERT = re.compile(r"(.+)_(?:Insert \d+|Master|Current)")
"""How FL Studio calls the tracks of its mixer that have no name, behind the name of the project."""
_LOOP = re.compile(r"(?<![^\W_])loops?(?![^\W_])", re.IGNORECASE)
_BPM = re.compile(r"(?<![^\W_])(\d{2,3})[\s_-]?bpm(?![^\W_])", re.IGNORECASE)
_TEMPO = re.compile(r"(?<![^\W_])([6-9]\d|1\d\d)(?![^\W_])")
"""A number in the name of a loop that may be its tempo."""
_SERIES = 4
"""Numbers of loops that differ by no more count them."""
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
    heading = whole(names)
    names = [name for name in names if name != heading]
    if projects := _projects(names):
        return projects
    texts = [song_names.cleaned(names, numbers=numbers) for numbers in (True, False)]
    readings = [
        _Readings({name: list(song_names.cuts(text, reverse)) for name, text in zip(names, rests, strict=True)}, reverse)
        for rests in texts
        for reverse in (False, True)
    ]
    tries = [*map(_several, readings), *map(_singles, readings)]
    found = next((found for found in tries if found), None)
    if found is None or _are_mixes_beside_one_song(found):
        doubtful = (
            has_tempi(names)
            or any(map(_is_grid, texts))
            or any(_may_be_several(read) or _is_scattered(read) for read in readings)
        )
        return Grouping((), doubtful=doubtful)
    titled = any(map(song_names.is_own, (song.name for song in found.songs)))
    band = {normalise(label).instrument for song in found.songs for label in song.labels.values()}
    # `beat1_Snare` and `beat2_Snare` are no song `Snare` of two drum machines.
    return found._replace(doubtful=found.aligned and not (titled and len(band) > 1 and _are_alike(found.songs)))


def _are_alike(songs: Sequence[SongFiles]) -> bool:
    """Tell whether the largest song has three families of another one, or half of its own; else both may be one song."""
    own = sorted(({normalise(label).family for label in song.labels.values()} for song in songs), key=len)
    most = max(len(own[-1] & other) for other in own[:-1])
    return 2 * sum(len(song.labels) > 1 for song in songs) > len(songs) and (most > 2 or 2 * most >= len(own[-1]))


def _projects(names: Sequence[str]) -> Grouping | None:
    """Read the files of several projects of FL Studio: `beat1_Insert 1`, `beat1_808`, `beat2_Insert 1`."""
    found = sorted({match[1] for name in names if (match := _INSERT.fullmatch(name))}, key=len, reverse=True)
    songs: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        if project := next((each for each in found if name.startswith(f"{each}_")), None):
            songs[project][name] = name[len(project) + 1 :]
    if len(songs) < 2 or sum(map(len, songs.values())) < len(names) or min(map(len, songs.values())) < 2:
        return None
    return Grouping(tuple(SongFiles(project, labels) for project, labels in sorted(songs.items())))


def whole(names: Sequence[str]) -> str | None:
    """Find the name that all others begin with, and that is no instrument's: `Highway`, beside `Highway-Bass` and `Highway-Keys`.

    Such a file is called like its song, and may hold all of it.
    """
    first = min(names, key=len, default="")
    others = [name[len(first) :] for name in names if name != first and name.startswith(first)]
    apart = len(others) > 1 and len(others) == len(names) - 1 and not any(rest[0].isalnum() for rest in others)
    return first if apart and not song_names.names_instrument(first) and any(map(str.isalpha, first)) else None


def _are_mixes_beside_one_song(found: Grouping) -> bool:
    """Tell whether all that is found beside one song is a mixture: `AuMix_Highway` beside `AuSep_1_vn` and `AuSep_2_vc`."""
    heads = [[song_names.GAP.split(label, 1)[0] for label in song.labels.values()] for song in found.songs]
    holds = [any(normalise(head).is_stem for head in own) for own in heads]
    return sum(holds) == 1 and len(found.songs) == 2 and sum(len(song.labels) for song in found.songs) > 2


class _Readings:
    """All ways to read file names as song and instrument, and how often each part occurs with others."""

    def __init__(self, cuts: dict[str, list[tuple[str, str]]], reverse: bool) -> None:
        self.cuts, self.reverse = cuts, reverse
        songs: defaultdict[str, set[str]] = defaultdict(set)
        self.labels: defaultdict[str, set[str]] = defaultdict(set)
        self.strength: dict[str, int] = {}
        for song, label in (pair for pairs in cuts.values() for pair in pairs if song_names.names_instrument(pair[1])):
            songs[song_names.key(label)].add(song_names.key(song))
            self.labels[song_names.key(song)].add(song_names.key(label))
            self.strength[song_names.key(song)] = song_names.strength(song)
        self.shared = {song: {label for label in own if len(songs[label]) > 1} for song, own in self.labels.items()}
        """Song -> the labels that occur with other songs, too."""
        self.repeated = {song for song, own in self.shared.items() if own}
        self.named = {song for song in self.repeated if self.strength[song]}
        self.own = {song for song, strength in self.strength.items() if strength == song_names.OWN}
        self.wholes = {song for song in self.repeated if _differ(self.shared[song])}
        """Songs that have several instruments of other songs."""
        if self._are_bands():
            self.named |= self.wholes

    def _are_bands(self) -> bool:
        """Tell whether all files belong to bands, one under a name of its own: then `Rain` beside `Neon Sky` is a song, too."""
        families = [{normalise(label).family for label in self.shared[song]} for song in self.wholes]
        all_are_bands = all(len(each) > 2 for each in families) and self.covers(self.wholes) == len(self.cuts)
        return bool(self.wholes & self.own) and all_are_bands

    def is_prefix(self, song: str) -> bool:
        """Tell whether all files that begin with a song's name belong to several longer names of whole songs: `Artist1_Song1`."""
        files = [fronts for pairs in self.cuts.values() if song in (fronts := {song_names.key(front) for front, _ in pairs})]
        longer = [{front for front in fronts & self.wholes if song in front} - {song} for fronts in files]
        return all(longer) and not set.intersection(*longer)

    def covers(self, songs: set[str]) -> int:
        """Count the files that belong to one of the songs."""
        return sum(any(song_names.key(song) in songs for song, _ in pairs) for pairs in self.cuts.values())

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
    own = read.own
    pairs_up = {song for song in own if len(read.labels[song]) > 1}
    dotted = read.is_dotted()
    several = {song for song in (read.repeated if dotted else read.named) if len(read.labels[song]) > 1}
    sure = dotted or read.covers(several) == len(read.cuts)
    series = Counter(map(_root, read.named))
    full = {song for song in several if song in own or sure or series[_root(song)] > 1 or _differ(read.shared[song])}
    if read.reverse and full - own and not read.is_product(full):
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
    songs = read.wholes - song_names.SIDES
    return len(songs) > 1 and read.covers(songs) == len(read.cuts)


def _is_scattered(read: _Readings) -> bool:
    """Tell whether files have different titles: `Alpha_bass`, `Beta_bass`, or `Alpha_bass`, `Alpha_drums`, `bass`, `drums`."""
    titles = [
        {song_names.key(song) for song, label in pairs if song_names.names_instrument(label)} & read.own
        for pairs in read.cuts.values()
    ]
    bare = {song_names.key(name) for name in read.cuts}
    twice = any(len(read.labels[song] & bare) > 1 for song in read.own)
    titled = [each for each in titles if each]
    # `Jazz_drums` beside `Disco_drums` and `Hendrix_drums`: words of styles may be titles.
    enough = len(titles) if _differ({*read.cuts}) else max(2, len(titles) // 2)
    return len(titles) > 1 and (twice or (len(titled) >= enough and not set.intersection(*titled)))


def has_tempi(names: Sequence[str]) -> bool:
    """Tell whether names state several tempi, as those of loops of a sample pack do: `Loop_120_Am`, `Loop_95_Cm`."""
    stated = [match for name in names if (match := _BPM.search(name) or (_LOOP.search(name) and _TEMPO.search(name)))]
    tempi = [int(match[1]) for match in stated]
    return bool(tempi) and max(tempi) - min(tempi) > _SERIES


def _is_grid(names: Sequence[str]) -> bool:
    """Tell whether names pair the same fronts with the same ends: `001_1`, `001_2`, but not `Kick_In`, `Kick_Out`."""
    ends: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        cuts = [cut for cut in song_names.GAP.finditer(name) if cut.start()]
        if not cuts:
            return False
        ends[name[: cuts[-1].start()].lower()].add(name[cuts[-1].end() :].lower())
    first = next(iter(ends.values()), _BOTH)
    alike = len(ends) > 1 and all(own == first for own in ends.values()) and not all(map(song_names.names_instrument, first))
    return alike and len(first) > 1 and first != _BOTH and not all(map(_says_no_more, ends))


def _says_no_more(front: str) -> bool:
    """Tell whether a text names an instrument, and has no word that nobody knows: `Kick`, but not `LI_FullChoir`."""
    words = [token.lower() for token in spelling.tokens(front) if token.isalpha()]
    return song_names.names_instrument(front) and all(map(spelling.knows, words))


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
        choices = (_choose(read, [pair for pair in pairs if song_names.key(pair[0]) in rank]) for rank in ranks)
        if match := next(filter(None, choices), None):
            titles.setdefault(song_names.key(match[0]), match[0])
            songs[song_names.key(match[0])][name] = match[1]
        else:
            strays.append(name)
    bare = [name for name in strays if song_names.names_instrument(name) and song_names.strength(name) < song_names.OWN]
    if len(songs) < 2 or len(bare) > _MOST_BARE or 2 * len(strays) > len(read.cuts):
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
        is_whole = song_names.strength(added) == song_names.WEAK and song_names.key(pair[0]) in read.wholes
        is_version = is_whole and not song_names.work(added) and bool(song_names.VERSIONS & set(song_names.key(added).split()))
        if song_names.strength(added) == song_names.OWN or is_version or (is_whole and read.is_prefix(song_names.key(chosen[0]))):
            chosen = pair
    return chosen


def _singles(read: _Readings) -> Grouping | None:
    """Read a folder in which one instrument occurs under as many names as there are files: single parts of many songs."""
    named = {name: [pair for pair in own if song_names.key(pair[0]) in read.named] for name, own in read.cuts.items()}
    pairs = {name: own[0] for name, own in named.items() if own}
    if len(pairs) < max(2, len(read.cuts)) or len({song_names.key(song) for song, _ in pairs.values()}) < len(pairs):
        return None
    labels = {normalise(label) for _, label in pairs.values()}
    firm = all(label.certain for label in labels) or all(song_names.is_own(song) for song, _ in pairs.values())
    if len({label.instrument for label in labels}) > 1 or not firm:
        return None
    return Grouping(tuple(SongFiles(song, {name: label}) for name, (song, label) in pairs.items()), aligned=False)


def _is_class(label: str) -> bool:
    """Tell whether a label is the name of an instrument and nothing else."""
    return normalise(label, layout="moisesdb").rule == "class" or label.lower() in INSTRUMENTS
