"""Read anybody's own stems: song folders, `song.bass.wav` names, separator output, one folder per instrument.

Found by walking down from the root, at most four folders deep and never along links:
- a folder with stems is a song; mixtures are recognised by name and are never stems. MIDI files belong to the stems of
  their names, a single one to all stems; `chords.lab` is the chord chart
- a folder of `song.bass.wav`, `song.drums.wav` (or `song - bass.wav`) holds one song per first half of the names
- a folder of instrument folders is one song if it lies below the root; in the root or a split folder it is a
  collection of single parts that don't belong together in time (`aligned` false)
- `train`, `valid` and the like right below the root are splits; a name `Artist - Title` gives artist and title
- beside `guitar.ogg` and the like, `song.ogg` is the backing track (Frets on Fire), not the mixture
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from instructme.dataset_tools.layouts import SPLIT_NAMES, FoundStem, FoundTrack, Rejected, audio, files, folders, unread_audio
from instructme.manifests.instruments import INSTRUMENTS, normalise
from instructme.manifests.paths import slug

EXPECTS = "song folders of stems such as Song/bass.wav, or files such as song.bass.wav"
_DEPTH = 4
_INNER = ("stems", "audio", "tracks", "multitrack", "multitracks", "raw")
"""Names of folders that say nothing about the song."""
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class _Song:
    """A song as found: where its name comes from, its folder, and its files and MIDI files by label."""

    place: Path
    folder: Path
    sounds: dict[str, Path]
    midi: dict[str, Path]


def recognises(root: Path) -> bool:
    """Tell whether the walk finds a song."""
    return any(isinstance(found, FoundTrack) for found in tracks(root))


def tracks(root: Path) -> Iterator[FoundTrack | Rejected]:
    """Read every song or single part below the root."""
    yield from _walk(root, root, None, _DEPTH)


def _walk(root: Path, folder: Path, split: str | None, depth: int) -> Iterator[FoundTrack | Rejected]:
    if folder != root and folder.is_symlink():
        where = folder.relative_to(root).as_posix()
        yield Rejected(where, "link", f"links to folders aren't followed: give {folder.resolve()} as a root of its own")
        return
    sounds, midi, below = audio(folder), files(folder, ".mid", ".midi"), folders(folder)
    yield from unread_audio(root, folder)
    if songs := _flat_songs(sounds):
        flat_midi = _by_song(midi, _separator(sounds))
        for name, labelled in songs.items():
            yield _track(root, _Song(folder / name, folder, labelled, flat_midi.get(name, {})), split)
    elif any(_is_stem(label, sounds) for label in sounds):
        yield _track(root, _Song(folder, folder, sounds, midi), split)
    elif below and all(_is_instrument(part.name) for part in below):
        if folder == root or (folder.parent == root and split is not None):
            yield from (_single(path, part.name, split) for part in below for path in audio(part).values())
        elif grouped := {f"{part.name}/{name}": path for part in below for name, path in audio(part).items()}:
            yield _track(root, _Song(folder, folder, grouped, {}), split)
    elif depth:
        for part in below:
            yield from _walk(root, part, SPLIT_NAMES.get(part.name.lower()) if folder == root else split, depth - 1)


def _is_instrument(name: str) -> bool:
    """Tell whether a name is that of an instrument and nothing else; `Piano Man` is a song."""
    return name.lower().replace("_", " ") in INSTRUMENTS or any(
        normalise(name, layout=layout).rule == "class" for layout in ("musdb", "moisesdb")
    )


def _is_backing(label: str, sounds: dict[str, Path]) -> bool:
    return label.lower() == "song" and len(sounds) > 1


def _is_stem(label: str, sounds: dict[str, Path]) -> bool:
    return _is_backing(label, sounds) or normalise(label).is_stem


def _by_song(named: dict[str, Path], separator: str) -> dict[str, dict[str, Path]]:
    songs: dict[str, dict[str, Path]] = {}
    for name, path in named.items():
        song, found, label = name.rpartition(separator)
        songs.setdefault(song if found else name, {})[label] = path
    return songs


def _separator(sounds: dict[str, Path]) -> str:
    return "." if all("." in name for name in sounds) else " - "


def _flat_songs(sounds: dict[str, Path]) -> dict[str, dict[str, Path]]:
    """Group `song.bass`, `song.drums` by song; nothing unless a song has two stems and all songs names of more than digits."""
    separator = _separator(sounds)
    songs = _by_song(sounds, separator)
    labels = {label for labelled in songs.values() for label in labelled}
    flat = (
        all(separator in name for name in sounds)
        and all(_LETTER.search(song) for song in songs)
        and any(len(labelled) > 1 for labelled in songs.values())
        and (separator == "." or all(_is_instrument(label) or not normalise(label).is_stem for label in labels))
    )
    return songs if flat else {}


def _names(root: Path, place: Path) -> tuple[str, str | None, str]:
    """Give the name, artist and title of a song from where it lies."""
    inside = [part for part in place.relative_to(root).parts if part.lower() not in _INNER]
    if inside and inside[0].lower() in SPLIT_NAMES:
        inside = inside[1:]
    last = inside[-1] if inside else root.name
    artist, dash, title = last.partition(" - ")
    known = bool(dash) and bool(_LETTER.search(artist))
    return "/".join(inside) or root.name, artist if known else None, title if known else last


def _label(name: str, song: str, sounds: dict[str, Path]) -> str:
    """Take the song's own name off the front of a file name, where all files begin with it."""
    if _is_backing(name, sounds):
        return "backing track"
    pattern = re.compile(re.escape(song) + r"[\s._-]+", re.IGNORECASE)
    return pattern.sub("", name, count=1) if all(pattern.match(other) for other in sounds) else name


def _track(root: Path, song: _Song, split: str | None) -> FoundTrack:
    name, artist, title = _names(root, song.place)
    midi = {label.lower(): path for label, path in song.midi.items()}
    alone = len(midi) == 1 and not midi.keys() & {label.lower() for label in song.sounds}
    shared = next(iter(midi.values())) if alone else None
    mixes = [label for label in song.sounds if not _is_stem(label, song.sounds)]
    stems = tuple(
        FoundStem(slug(label), path, _label(label, song.place.name, song.sounds), midi_path=midi.get(label.lower(), shared))
        for label, path in song.sounds.items()
        if label not in mixes
    )
    chords = song.folder / "chords.lab"
    return FoundTrack(
        name=name,
        path=song.place,
        title=title,
        artist=artist,
        stems=stems,
        split=split,
        chords_path=chords if chords.is_file() and song.place == song.folder else None,
        rejected=tuple(Rejected(f"{name}/{label}", "not_a_stem", "a mixture or click track by its name") for label in mixes),
    )


def _single(path: Path, instrument: str, split: str | None) -> FoundTrack:
    """Make a track of one part; parts of the same file name may be of one song and share a leak group."""
    return FoundTrack(
        name=f"{instrument}/{path.stem}",
        path=path.with_suffix(""),
        title=path.stem,
        stems=(FoundStem(slug(path.stem), path, instrument),),
        split=split,
        leak_group=f"name:{slug(path.stem)}",
        aligned=False,
    )
