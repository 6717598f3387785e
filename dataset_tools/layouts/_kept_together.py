"""Keep what may be one song in one split, and tell of it: versions, parts of a song in folders of their own, equal titles."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from instructme.dataset_tools import song_names
from instructme.dataset_tools.layouts import FoundTrack, Rejected, _folder_names
from instructme.manifests import genres
from instructme.manifests.counting import counted
from instructme.manifests.instruments import normalise
from instructme.manifests.paths import slug
from instructme.manifests.splits import is_version

_DATE = re.compile(r"(?:19|20)\d\d[-_. ]?\d\d[-_. ]?\d\d(?:\D.*)?")
"""A folder of a day, such as `2023-05-01` or `20230501_1530`, in that of a song."""
_REMIX = re.compile(r"[^()\[\]]+[\s_-](?:remix|mix|edit|version|bootleg|rework|dub)", re.IGNORECASE)
"""A version by what it ends with; beside other songs it may be a title."""
_MOST = 20
"""A folder with more songs is a dataset, however they are called."""
_LEAST_SHELVES, _LARGEST_SHELF = 8, 0.2
"""Folders with songs may be those of artists if there are so many of them, and none has a larger share of the songs."""
_MOST_TITLES = 0.8
"""A folder of which more files have words of their own and name no instrument for certain may be an album."""
_ADVICE = "if that is wrong, move the files of each song into a folder of their own, or list them in a table"


def doubt(root: Path, folder: Path, reading: str) -> Rejected:
    """Tell that the files of a folder may be grouped otherwise."""
    where = (folder.relative_to(root) / "*").as_posix()
    return Rejected(where, "grouping", f"{reading}, which may be wrong: if it is, use a folder for each song, or a table")


def one_work(root: Path, place: Path, items: Sequence[FoundTrack | Rejected]) -> Iterator[FoundTrack | Rejected]:
    """Keep versions of one song in one split. Where the artist is known, all songs of the artist stay together anyway."""
    versions = [item for item in items if isinstance(item, FoundTrack) and not item.artist and not item.leak_group]
    yield from _joined(items, {slug(place.relative_to(root).as_posix()): versions})


def nested(items: Sequence[FoundTrack | Rejected]) -> Iterator[FoundTrack | Rejected]:
    """Keep a song and what lies in its folder in one split: `Highway/Samples/Recorded` may be the sounds of `Highway`."""
    tracks = {item.name: item for item in items if isinstance(item, FoundTrack) and item.aligned}
    groups: dict[str, list[FoundTrack]] = {}
    for name, track in tracks.items():
        if above := [str(parent) for parent in PurePosixPath(name).parents if str(parent) in tracks]:
            groups.setdefault(above[-1], [tracks[above[-1]]]).append(track)
    yield from _told(items, groups, lambda own: f"it lies in the folder of the song {own[0].title}, and is read as a song")


def untitled(items: Sequence[FoundTrack | Rejected]) -> Iterator[FoundTrack | Rejected]:
    """Keep songs in one split whose folders have words of instruments or versions for names: `Highway/Acoustic`, `Highway/T1`."""
    tracks = [item for item in items if isinstance(item, FoundTrack)]
    groups: defaultdict[str, list[FoundTrack]] = defaultdict(list)
    for item in tracks:
        groups[str(PurePosixPath(item.name).parent)] += [item] if item.aligned else []
    for place, own in groups.items():
        names = {track.name: PurePosixPath(track.name).name for track in own}
        if not all(map(_may_be_untitled, names.values())):
            groups[place] = [track for track in own if _is_untitled(names[track.name], place)]
    # Right below the root, a dataset of songs may have one that is called `Ambient`.
    groups["."] = groups["."] if len(groups["."]) == len(tracks) else []
    several = {name: own for name, own in groups.items() if 1 < len(own) <= _MOST}
    yield from _told(
        items, several, lambda own: f"{_listed([each.path.name for each in own])} are read as songs, and are no titles"
    )


def _is_untitled(name: str, place: str = ".") -> bool:
    return _folder_names.is_untitled(name) or is_version(name) or bool(place != "." and _DATE.fullmatch(name))


def _may_be_untitled(name: str) -> bool:
    """Tell whether a name may be no title, beside others of that kind: `01 Verse`, `Some Remix`."""
    return any(map(_is_untitled, {name, song_names.without_number(name)})) or bool(_REMIX.fullmatch(name))


def equal_titles(items: Sequence[FoundTrack | Rejected]) -> Iterator[FoundTrack | Rejected]:
    """Tell once of titles that several folders have, as when two separators have read the same songs."""
    titles: defaultdict[tuple[str, str | None], list[FoundTrack]] = defaultdict(list)
    for item in items:
        if isinstance(item, FoundTrack) and item.aligned and song_names.is_own(item.title):
            titles[slug(item.title), item.artist].append(item)
    several = [own for own in titles.values() if len(own) > 1]
    yield from items
    yield from _reversed(items)
    if several:
        first = several[0]
        titled = f"{counted(len(several), 'title')} {'is' if len(several) == 1 else 'are'}"
        reading = f"{titled} there more than once, such as {_listed([track.name for track in first])}; each is read as a song"
        yield Rejected(first[0].name, "grouping", f"{reading}. {_ADVICE.capitalize()}", len(several))


def shelved(items: Sequence[FoundTrack | Rejected]) -> Iterator[FoundTrack | Rejected]:
    """Keep the songs of a folder in one split where many folders hold songs, and tell of it: they may be artists or albums."""
    tracks = [item for item in items if isinstance(item, FoundTrack) and item.aligned]
    shelves = next((found for depth in (1, 2) if (found := _shelves(tracks, depth))), {})
    yield from _joined(items, {slug(place): own for place, own in shelves.items()})
    if shelves:
        shared = {place: own for place, own in shelves.items() if len(own) > 1}
        reading = f"folders such as {_listed(list(shared))} may be artists or albums: the songs of each are in one split"
        yield Rejected(next(iter(shared)), "grouping", f"{reading}. Nothing is lost if they are not", len(shared))


def _shelves(tracks: Sequence[FoundTrack], depth: int) -> dict[str, list[FoundTrack]]:
    """Group songs by the folder at a depth; nothing where these folders are hardly those of artists."""
    shelves: defaultdict[str, list[FoundTrack]] = defaultdict(list)
    for track in tracks:
        parts = PurePosixPath(track.name).parts
        shelves["/".join(parts[:depth]) if len(parts) > depth else "."].append(track)
    shelves.pop(".", None)
    several = any(len(own) > 1 for own in shelves.values())
    largest = max(map(len, shelves.values()), default=0)
    titles = [genres.normalise(PurePosixPath(place).name) for place in shelves]
    many = len(shelves) >= _LEAST_SHELVES and largest <= _LARGEST_SHELF * len(tracks)
    return shelves if several and many and sum(map(bool, titles)) < len(titles) / 2 else {}


def _reversed(items: Sequence[FoundTrack | Rejected]) -> Iterator[Rejected]:
    """Tell of names that may be `Title - Artist`: three artists have one title, and there are more artists than titles."""
    tracks = [item for item in items if isinstance(item, FoundTrack) and item.artist and song_names.is_own(item.title)]
    artists: defaultdict[str, set[str | None]] = defaultdict(set)
    for track in tracks:
        artists[slug(track.title)].add(track.artist)
    often = next((track for track in tracks if len(artists[slug(track.title)]) > 2), None)
    if often and len(artists) < len({track.artist for track in tracks}):
        count = len(artists[slug(often.title)])
        detail = f"{often.title} is the title of {count} artists: if the names are `Title - Artist`, turn them around"
        yield Rejected(often.name, "grouping", detail, count)


def nameless(items: Sequence[FoundTrack | Rejected]) -> Iterator[FoundTrack | Rejected]:
    """Tell of songs in which next to no file is surely called like an instrument.

    They may be recordings, such as `000/000002.mp3`, or the songs of an album, of which one is called `Piano Man`.
    """
    told = {item.item.removesuffix("/*") for item in items if isinstance(item, Rejected) and item.reason == "grouping"}
    yield from items
    for track in (item for item in items if isinstance(item, FoundTrack) and item.aligned and item.name not in told):
        others = [stem.label for stem in track.stems if not normalise(stem.label).certain]
        count, titled = len(track.stems), sum(map(song_names.is_own, others))
        if count > 1 and (len(others) == count or titled >= _MOST_TITLES * count):
            which = "no name" if len(others) == count else f"only {counted(count - len(others), 'name')}"
            reading = f"{which} of its {count} files is for certain an instrument's, and they are read as the stems of one song"
            yield Rejected(track.name, "grouping", f"{reading}. {_ADVICE.capitalize()}")


def _told(
    items: Sequence[FoundTrack | Rejected], groups: Mapping[str, list[FoundTrack]], reading: Callable[[Sequence[FoundTrack]], str]
) -> Iterator[FoundTrack | Rejected]:
    """Keep each group in one split, and tell of it."""
    yield from _joined(items, {slug(name): own for name, own in groups.items()})
    for own in groups.values():
        yield Rejected(own[-1].name, "grouping", f"{reading(own)}; they are in one split. {_ADVICE.capitalize()}", len(own) - 1)


def _joined(
    items: Sequence[FoundTrack | Rejected], groups: Mapping[str, Collection[FoundTrack]]
) -> Iterator[FoundTrack | Rejected]:
    """Give the tracks of each group one leak group, which draws their splits together."""
    names = {track.name: f"folder:{name}" for name, own in groups.items() if len(own) > 1 for track in own}
    for item in items:
        if isinstance(item, FoundTrack) and item.name in names and not item.artist and not item.leak_group:
            yield replace(item, leak_group=names[item.name])
        else:
            yield item


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{names[0]}, {names[1]} and {len(names) - 2} more"
