"""Read artist and title from the name of a song: `Artist - Title`, `Artist_-_Title`, `ArtistName_SongTitle`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from instructme.dataset_tools import song_names
from instructme.dataset_tools.layouts import FoundTrack, Rejected, _folder_names

_LETTER = re.compile(r"[^\W\d_]")
_COPY = re.compile(r"\s*(?i:copy|kopie|copie|copia|cópia)(?:\s*\(\d+\))?\s*")
"""What programs write behind the name of a copy: `Highway - Copy`."""
_FILES = re.compile(
    r"\W*(?:(?:stems?|multi[ -]?tracks?|multis|raw|wavs?|mp3|flac|audio|files?|exports?|bounces?|project|session|pack)\W*)*",
    re.IGNORECASE,
)
"""What names files behind a title: `Highway - Stems`."""
_NUMBERED = re.compile(r"^(?:(?:\d+[\s_]*[-–_.)][\s_]*)+|0\d\s+)(?=.*[\s_][-–—][\s_])")
"""The numbers of a song in front of artist and title: `05 - The Band - Highway`. Some have two: `2_1_The Band - Highway`."""
_JOINED = re.compile(r"([A-Z0-9][^\W_]*[a-z][^\W_]*)_([A-Z][^\W_]*[a-z][^\W_]*)(?:_(?i:full|excerpt|multitracks?|stems?))?")
"""`ArtistName_SongTitle`, as MedleyDB writes it, or `ArtistName_SongTitle_Full` as the Cambridge library does."""
_DASH = re.compile(r"((?:[^()\[\]]|\([^()]*\)|\[[^\[\]]*\])*?)(?: [-–—] |_[-–—]_)(.*)")
"""Artist and title, or the like, around a dash that is in no brackets."""


def artist_and_title(name: str) -> tuple[str | None, str]:
    """Read artist and title around a dash, `Artist - Title` or `Artist_-_Title`; else the name is the title."""
    dash = _DASH.fullmatch(_NUMBERED.sub("", name) or name)
    if not dash or not _is_artist_and_title(*dash.groups()):
        return None, name
    artist, title = dash.groups() if " " in name else (part.replace("_", " ") for part in dash.groups())
    return artist, title


def _is_artist_and_title(artist: str, title: str) -> bool:
    """Tell whether a name has artist and title around its dash, and not `Highway - Stems`, a copy, a tempo or an instrument."""
    says_files = _COPY.fullmatch(title) or _FILES.fullmatch(song_names.without_tempo(title))
    return bool(_LETTER.search(artist)) and not says_files and not _folder_names.is_instrument(artist)


def in_one_word(items: Sequence[FoundTrack | Rejected]) -> Iterator[FoundTrack | Rejected]:
    """Give artist and title to songs without an artist whose titles are `ArtistName_SongTitle`, if there are several artists."""
    names = {item.name: match for item in items if isinstance(item, FoundTrack) and (match := _joined(item))}
    several = len({match[1] for match in names.values()}) > 1
    for item in items:
        match = names.get(item.name) if isinstance(item, FoundTrack) and several else None
        yield replace(item, artist=match[1], title=match[2]) if isinstance(item, FoundTrack) and match else item


def _joined(track: FoundTrack) -> re.Match[str] | None:
    """Read a title `ArtistName_SongTitle` of a track without an artist; words that songs are numbered by are no artist."""
    match = _JOINED.fullmatch(track.title) if track.artist is None and track.aligned else None
    return match if match and song_names.is_own(match[1]) else None
