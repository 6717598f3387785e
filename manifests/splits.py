"""Assign tracks to train, validation and test so that no song or artist is in two of them."""

import hashlib
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from instructme.manifests.rows import SPLITS, Track
from instructme.manifests.word_tables import TITLE_WORDS

_NOBODY = (
    *("", "unknown", "unknownartist", "various", "variousartists", "va", "none", "na", "nan", "null", "undefined", "artist"),
    *("anonymous", "tba", "tbd", "unbekannt", "inconnu", "desconocido", "desconhecido", "sconosciuto", "неизвестен", "不明"),
)
_OTHERS = re.compile(r"\s*(?:[,&+/;]|\b(?:and|x|vs|with|und|et|y|e)\b).*", re.IGNORECASE)
"""Who plays with an artist: `Ann & Bert`, `Ann, Bert`; and the article in `Pines, The`."""
_UNTITLED = TITLE_WORDS["version"] | TITLE_WORDS["section"] | TITLE_WORDS["file or folder"]
"""Words that many titles consist of, by which no song is known."""

MOST_SHARING = 0.5
"""Songs that share a stem are parted if they would be more than this share of all: what nearly all songs hold is no loop."""
_MOST_NAMESAKES = 4
"""A title that more songs of one dataset have is the name of a kind of folder."""
_TRACK_NUMBER = re.compile(r"^\s*(?:(?:(?:track\s*)?\d+\s*[-–_.)]\s*|[(\[]\d+[)\]]\s*)+|0\d\s+)(?=\D)", re.IGNORECASE)
"""Programs that separate what they have separated number it twice: `2_1_Highway`. Others write `Track 1 - Highway`."""
_SEPARATED = re.compile(r"_\([^()]+\)(?:_.*)?$")
"""What such programs write behind a title: `Highway_(Instrumental)_model_bs_roformer`."""
_COPY = re.compile(
    r"^(?:copy of|kopie von|copie de|copia de|cópia de)\s+"
    r"|(?:\s*[(\[]\d+[)\]]|[\s._–-]+(?:copy|kopie|copie|copia|cópia|bak)(?:\s*\(?\d+\)?)?)\s*$",
    re.IGNORECASE,
)

_KEY = r"[a-g][#b♯♭]?\s?"
_NUMBERS = [
    *(r"v\d[\d.]*", r"ver\d+", r"t\d", r"tk\d+", r"x\d[\d.]*", r"\d+\s?s(?:ec)?"),
    *(
        r"\d{2,3}\s?bpm",
        rf"\d{{2,3}}(?:\s?bpm)?[\s_-]+{_KEY}m?(?:in|aj|inor|ajor)?",
        rf"(?:in\s{_KEY}m?|{_KEY}m)(?:in|aj|inor|ajor)",
    ),
    *(rf"in\s{_KEY}m?", r"\d{2,3}(?:\.\d)?k(?:hz)?(?:\d\db)?", r"44100|48000|88200|96000", r"\d\d[\s-]?bits?"),
    *(r"[+-]\d+\s?(?:st|semitones?)", r"(?:19|20)\d\d[-_. ]?[01]\d[-_. ]?[0-3]\d(?:_\d{4,6})?"),
    *(r"(?:ft|feat|featuring)\b.*", r"live\s(?:at|from|in)\b.*"),
]
_ENDINGS = "|".join([*sorted(TITLE_WORDS["ending"]), *_NUMBERS])
_OF_FILES = "|".join(sorted(TITLE_WORDS["ending after an underscore"] | TITLE_WORDS["section"] | TITLE_WORDS["version"]))
"""Also the last words of titles: `Going Down` is no version of `Going`, but `Highway_down` is one of `Highway`."""
_VERSION = re.compile(
    rf"\s*[(\[][^()\[\]]*\b({_ENDINGS}|{_OF_FILES})\b[^()\[\]]*[)\]]\s*$"
    rf"|(\s[-–—]\s+(\w+\s+)?|,?[\s_-])({_ENDINGS})[\s_.]*[+-]?[\d.]*\s*$"
    rf"|[_-]({_OF_FILES})[\s_.]*[+-]?[\d.]*\s*$",
    re.IGNORECASE,
)
"""What a title ends with where the same song is there in another version: `Highway (Club Remix)`."""
_LOOSE_VERSION = re.compile(rf"[\s_]({_OF_FILES})[\s_]*[+-]?[\d.]*\s*$", re.IGNORECASE)


def _plain(name: str) -> str:
    """Reduce a name to what datasets agree on: `Clara Berry & Wooldog` and `Clara Berry And Wooldog` are one."""
    decomposed = unicodedata.normalize("NFKD", name).lower().replace("&", "and")
    return "".join(letter for letter in decomposed if letter.isalnum())


def _plain_title(title: str) -> str:
    """Reduce a title likewise, without the number of a track in front and what names a copy or other versions behind it."""
    rest, before = _COPY.sub("", _TRACK_NUMBER.sub("", title)), ""
    rest = _SEPARATED.sub("", rest) or rest
    while rest != before:  # `Highway_T1_dry`, `Highway_pitch_up_2`
        rest, before = _VERSION.sub("", rest) or rest, rest
        rest = _LOOSE_VERSION.sub("", rest) or rest
    return _plain(rest or title)


def is_version(title: str) -> bool:
    """Tell whether a title is nothing but words of versions and sections: `Original`, `T1`, `Take 2`; not `Track 01`."""
    return any(map(str.isalpha, title)) and _plain_title(f"a {title}") == "a"


def artist_key(artist: str | None) -> str | None:
    """Reduce an artist to a key that is the same in all datasets; guests (`feat.`) don't count; None if unknown."""
    plain = _plain(re.split(r"\b(?:feat|featuring|ft)\b\.?", artist or "", maxsplit=1, flags=re.IGNORECASE)[0])
    return None if plain in _NOBODY else plain


def _first_artist(artist: str | None) -> str | None:
    """Reduce an artist to the first name without an article, which `The Pines`, `Pines, The` and `Pines & Ann` share."""
    return artist_key(re.sub(r"^the\s+", "", _OTHERS.sub("", artist or ""), flags=re.IGNORECASE)) or artist_key(artist)


def says_song(title: str | None) -> bool:
    """Tell whether a title alone may identify a song: `WAV`, `Intro`, `24bit`, `Track 01` don't."""
    return not _UNTITLED.issuperset(re.findall(r"[^\W\d_]+", (title or "").lower()))


def song_key(artist: str | None, title: str) -> str | None:
    """Identify a song over all datasets by artist and title; None if either is unknown."""
    by, plain = artist_key(artist), _plain(title)
    return f"song:{by}:{plain}" if by and plain else None


def _titled(tracks: Sequence[Track]) -> list[Track]:
    """Make one song of tracks that share nothing but a telling title, such as `Canção` in two encodings or cases, or a copy.

    A song without artist or MIDI is known by its track_id alone; one that has title mates by the first of theirs. Official
    splits that part such tracks are believed.
    """
    songs = {track.track_id: track.song_group for track in tracks}
    unknown = [track for track in tracks if ":" not in track.song_group]
    # Without artists, `Amber Original` may be a version of `Amber`: a split for both costs nothing.
    for members in _grouped(unknown, lambda track: _plain_title(track.title)).values():
        often = max(Counter((track.dataset, _plain(track.title)) for track in members).values()) > _MOST_NAMESAKES
        one = not often and all(says_song(track.title) for track in members) and len(_official(members)) < 2
        first = min(track.track_id for track in members)
        songs |= {track.track_id: first if one else track.track_id for track in members}
    return [
        replace(track, song_group=song, leak_group=track.leak_group if ":" in track.leak_group else song)
        for track in tracks
        for song in [songs[track.track_id]]
    ]


def _linked(
    tracks: Sequence[Track], leak: Mapping[str, str], groups: Iterable[Collection[str]], most: float = math.inf
) -> dict[str, str]:
    """Make one leak group of those that each group of track_ids meets, unless official splits part them, or it is too large."""
    linked = dict(leak)
    for ids in groups:
        names = {linked[track_id] for track_id in ids if track_id in linked}
        joined = [track for track in tracks if linked[track.track_id] in names] if len(names) > 1 else []
        if len(joined) <= most and len(_official(joined)) < 2:
            linked |= {track.track_id: min(names) for track in joined}
    return linked


def _narrow(track: Track) -> str:
    """Name the group that must never be cut: the song, or what the dataset says."""
    return track.song_group if track.leak_group.startswith("artist:") else track.leak_group


def _wide(track: Track) -> str:
    """Name the group that isn't cut either if the official splits allow: the artist, where known."""
    artist = artist_key(track.artist)
    return f"artist:{artist}" if artist and _narrow(track) == track.song_group else _narrow(track)


def _grouped(tracks: Iterable[Track], key: Callable[[Track], str]) -> dict[str, list[Track]]:
    groups: dict[str, list[Track]] = defaultdict(list)
    for track in tracks:
        groups[key(track)].append(track)
    return dict(sorted(groups.items()))


def _official(tracks: Iterable[Track]) -> list[str]:
    """List the official splits among tracks, the most held out first."""
    present = {track.split for track in tracks if track.official_split}
    return [split for split in reversed(SPLITS) if split in present]


def assign(
    tracks: Sequence[Track], fractions: Sequence[float], seed: int, shared: Iterable[Collection[str]] = ()
) -> tuple[list[Track], list[Track]]:
    """Give every track its leak group and its split; tracks that only a title names share its song group.

    The leak group is the artist where known, and the song alone for artists whom official splits divide. Tracks with
    an official split keep it; the others follow an official split of their leak group, else whole groups are drawn
    per dataset, so that its shares come as near to `fractions` as groups allow. The result doesn't depend on the
    order of the tracks, nor on the splits that an earlier call drew. `shared` are ids of tracks that share a stem.

    Returns:
        The tracks in order of track_id, and those left out because official splits hold their song twice: the most
        held-out copy stays (test before validation before train).
    """
    tracks = _titled(tracks)
    leak = {}
    for wide, members in _grouped(tracks, _wide).items():
        divided = len(_official(members)) > 1
        leak.update({track.track_id: _narrow(track) if divided else wide for track in members})
    songs = _grouped(tracks, lambda track: track.song_group).values()
    artists = _grouped(filter(lambda track: artist_key(track.artist), tracks), lambda track: str(_first_artist(track.artist)))
    leak = _linked(tracks, leak, ([track.track_id for track in members] for members in (*songs, *artists.values())))
    leak = _linked(tracks, leak, shared, max(MOST_SHARING * len(tracks), 2))
    tracks = [replace(track, leak_group=leak[track.track_id]) for track in sorted(tracks, key=lambda track: track.track_id)]
    grouped = _grouped(tracks, lambda track: track.leak_group)
    official = {group: splits[0] for group, members in grouped.items() if (splits := _official(members))}
    lost = [track for track in tracks if track.official_split and track.split != official[track.leak_group]]
    gone = {track.track_id for track in lost}
    kept = [track for track in tracks if track.track_id not in gone]
    drawn = _draw(kept, official, fractions, seed)
    return [replace(track, split=drawn[track.leak_group]) for track in kept], lost


def _draw(tracks: list[Track], taken: dict[str, str], fractions: Sequence[float], seed: int) -> dict[str, str]:
    """Map every leak group to a split: as already taken, else drawn dataset by dataset, large groups first."""
    splits = dict(taken)
    for dataset, members in _grouped(
        (track for track in tracks if not track.official_split), lambda track: track.dataset
    ).items():
        digest = int.from_bytes(hashlib.sha256(dataset.encode()).digest()[:8], "big")
        groups = _grouped(members, lambda track: track.leak_group)
        names = [list(groups)[index] for index in np.random.default_rng([seed, digest]).permutation(len(groups))]
        wanted = {split: share * len(members) for split, share in zip(SPLITS, fractions, strict=True)}
        for name in sorted(names, key=lambda name: (name not in splits, -len(groups[name]))):
            split = splits.setdefault(name, max(SPLITS, key=lambda split: wanted[split]))
            wanted[split] -= len(groups[name])
    return _with_held_out(tracks, splits, taken, fractions)


def _with_held_out(
    tracks: list[Track], splits: dict[str, str], taken: dict[str, str], fractions: Sequence[float]
) -> dict[str, str]:
    """Give test, then validation the smallest drawn group of train where they would be empty and train keeps another one.

    So a small set has one song for each split, where its shares alone would leave all songs in train.
    """
    groups = _grouped(tracks, lambda track: track.leak_group)
    splits = dict(splits)
    for split, share in zip(reversed(SPLITS[1:]), reversed(list(fractions)[1:]), strict=True):
        movable = [name for name, own in splits.items() if own == "train" and name not in taken]
        if share and split not in splits.values() and len([own for own in splits.values() if own == "train"]) > 1 and movable:
            splits[min(movable, key=lambda name: (len(groups[name]), name))] = split
    return splits
