"""Find General MIDI songs written by people, and turn them into tracks."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from instructme.dataset_tools.corpus import midi_score
from instructme.manifests.rows import DataError

LONGEST_S = 180.0
"""Songs are cut here."""
SHORTEST_S = 20.0
# Licences of the songs as /usr/share/doc/<package>/copyright of Debian states them. The soundfont, named in each stem's
# plugin_name, has its own.
DEBIAN_FOLDERS = {
    Path("/usr/share/games/openttd/baseset/openmsx"): "GPL-2.0-only",
    Path("/usr/share/games/simutrans/music"): "Artistic-1.0",
}


@dataclass(frozen=True)
class GmSong:
    """A MIDI file to be rendered."""

    name: str
    split: str
    path: Path
    licence: str


def find(folder: Path | None) -> list[GmSong]:
    """List the MIDI files of a folder, or of Debian's openttd-openmsx and simutrans-data.

    Of ten songs one is for validation and one for test.

    Raises:
        DataError: there are none.
    """
    folders = {folder: "unknown"} if folder else DEBIAN_FOLDERS
    paths = [
        (path, licence)
        for root, licence in folders.items()
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in (".mid", ".midi") and path.is_file()
    ]
    if not paths:
        where = f"{folder}" if folder else "Debian's places"
        raise DataError(f"no MIDI files in {where}: install openttd-openmsx and simutrans-data, or give --midi DIR")
    splits: Sequence[str] = ("train",) * 8 + ("validation", "test")
    return [
        GmSong(f"Track{number:05d}", splits[number % len(splits)], path, licence)
        for number, (path, licence) in enumerate(paths, 1)
    ]


def until(found: Sequence[GmSong], total_s: float | None) -> list[GmSong]:
    """Take songs from the front until they hold `total_s` of music that can be read; None takes all."""
    taken: list[GmSong] = []
    for song in found:
        if total_s is not None:
            if total_s <= 0:
                break
            with contextlib.suppress(DataError):
                total_s -= load(song)[1]
        taken.append(song)
    return taken


def load(song: GmSong) -> tuple[midi_score.Score, float]:
    """Read a song and its length in seconds, cut at LONGEST_S.

    Raises:
        DataError: unreadable, without notes, or too short.
    """
    score = midi_score.split(midi_score.read(song.path))
    ticks = [tick for events in score.stems.values() for tick, message in events if message.type in ("note_on", "note_off")]
    if not ticks:
        raise DataError("no notes")
    end_s = max(midi_score.seconds(score, ticks))
    if end_s < SHORTEST_S:
        raise DataError("too short")
    return midi_score.cut(score, LONGEST_S), min(end_s, LONGEST_S)


def soundfont() -> Path | None:
    """Find the soundfont that pretty_midi's wheel brings along; None if it doesn't."""
    package = find_spec("pretty_midi")
    path = Path(package.origin).parent / "TimGM6mb.sf2" if package and package.origin else None
    return path if path and path.is_file() else None
