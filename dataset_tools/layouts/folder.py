"""Read anybody's own stems: song folders, `song.bass.wav` names, separator output, one folder per instrument.

Found by walking down from the root:
- a folder with stems is a song (mixtures are recognised by name and are never stems); its MIDI files belong to the
  stems of the same name, a single one to all stems; `chords.lab` is its chord chart
- a folder of `song.bass.wav`, `song.drums.wav` holds one song per first half of the names
- a folder of instrument folders is one song if it lies below the root; in the root or a split folder it is a
  collection of single parts that don't belong together in time (`aligned` false)
- `train`, `valid` and the like right below the root are splits; a name `Artist - Title` gives artist and title
- beside `guitar.ogg` and the like, `song.ogg` is the backing track (Frets on Fire), not the mixture
"""

import re
from collections.abc import Iterator
from pathlib import Path

from dataset_tools.layouts import SPLIT_NAMES, FoundStem, FoundTrack, Rejected, audio, files, folders, unread_audio
from manifests.instruments import INSTRUMENTS, normalise
from manifests.paths import slug

EXPECTS = "song folders of stems such as Song/bass.wav, or files such as song.bass.wav"
_DEPTH = 4
_INNER = ("stems", "audio", "tracks", "multitrack", "multitracks", "raw")
"""Names of folders that say nothing about the song."""


def recognises(root: Path) -> bool:
    """Tell whether the walk finds a song."""
    return any(isinstance(found, FoundTrack) for found in tracks(root))


def tracks(root: Path) -> Iterator[FoundTrack | Rejected]:
    """Read every song or single part below the root, at most four folders deep."""
    yield from _walk(root, root, None, _DEPTH)


def _walk(root: Path, folder: Path, split: str | None, depth: int) -> Iterator[FoundTrack | Rejected]:
    sounds, below = audio(folder), folders(folder)
    collection = folder == root or (folder.parent == root and split is not None)
    if flat := _flat_songs(sounds):
        for song, stems in flat.items():
            yield _track(root, folder / song, stems, folder, split)
    elif any(_is_stem(label, sounds) for label in sounds):
        yield _track(root, folder, sounds, folder, split)
    elif below and all(_is_instrument(part.name) for part in below):
        parts = [(part.name, label, path) for part in below for label, path in audio(part).items()]
        if collection:
            yield from (_single(root, path, part, split) for part, _, path in parts)
        elif parts:
            named = {f"{part} {label}": (label if _is_instrument(label) else part, path) for part, label, path in parts}
            yield _track(
                root, folder, {key: path for key, (_, path) in named.items()}, folder, split, {k: v[0] for k, v in named.items()}
            )
    elif depth:
        for part in below:
            yield from _walk(root, part, SPLIT_NAMES.get(part.name.lower()) if folder == root else split, depth - 1)


def _is_instrument(name: str) -> bool:
    """Tell whether a folder is named for an instrument and nothing else; `Piano Man` is a song."""
    return name.lower().replace("_", " ") in INSTRUMENTS or any(
        normalise(name, layout=layout).rule == "class" for layout in ("musdb", "moisesdb")
    )


def _is_backing(label: str, sounds: dict[str, Path]) -> bool:
    return label.lower() == "song" and len(sounds) > 1


def _is_stem(label: str, sounds: dict[str, Path]) -> bool:
    return _is_backing(label, sounds) or normalise(label, layout="folder").is_stem


def _flat_songs(sounds: dict[str, Path]) -> dict[str, dict[str, Path]]:
    """Group `song.bass`, `song.drums` by song; nothing unless a song has two stems and its name more than digits."""
    songs: dict[str, dict[str, Path]] = {}
    for name, path in sounds.items():
        song, dot, label = name.rpartition(".")
        if not dot or not re.search(r"[^\W\d_]", song):
            return {}
        songs.setdefault(song, {})[label] = path
    return songs if any(len(stems) > 1 for stems in songs.values()) else {}


def _names(root: Path, place: Path) -> tuple[str, str | None, str]:
    """Give the name, artist and title of a song from where it lies."""
    inside = [part for part in place.relative_to(root).parts if part.lower() not in _INNER]
    if inside and inside[0].lower() in SPLIT_NAMES:
        inside = inside[1:]
    last = inside[-1] if inside else root.name
    artist, dash, title = last.partition(" - ")
    known = bool(dash) and bool(re.search(r"[^\W\d_]", artist))
    return "/".join(inside) or root.name, artist if known else None, title if known else last


def _label(name: str, song: str, sounds: dict[str, Path]) -> str:
    """Take the song's own name off the front of a file name, where all files begin with it."""
    if _is_backing(name, sounds):
        return "backing track"
    pattern = re.compile(re.escape(song) + r"[\s._-]+", re.IGNORECASE)
    return pattern.sub("", name, count=1) if all(pattern.match(other) for other in sounds) else name


def _track(
    root: Path, place: Path, sounds: dict[str, Path], folder: Path, split: str | None, labels: dict[str, str] | None = None
) -> FoundTrack:
    name, artist, title = _names(root, place)
    midi = {stem.lower(): path for stem, path in files(folder, ".mid", ".midi").items()}
    shared = next(iter(midi.values())) if len(midi) == 1 and not midi.keys() & {label.lower() for label in sounds} else None
    mixes = [label for label in sounds if not _is_stem(label, sounds)]
    stems = tuple(
        FoundStem(
            slug(label),
            path,
            (labels or {}).get(label) or _label(label, place.name, sounds),
            midi_path=midi.get(label.lower(), shared),
        )
        for label, path in sounds.items()
        if label not in mixes
    )
    chords = folder / "chords.lab"
    rejected = [Rejected(f"{name}/{label}", "not_a_stem", "a mixture or click track by its name") for label in mixes]
    return FoundTrack(
        name=name,
        path=folder,
        title=title,
        artist=artist,
        stems=stems,
        split=split,
        chords_path=chords if chords.is_file() else None,
        rejected=(*rejected, *unread_audio(folder)),
    )


def _single(root: Path, path: Path, instrument: str, split: str | None) -> FoundTrack:
    """Make a track of one part; parts of the same file name may be of one song and share a leak group."""
    return FoundTrack(
        name=f"{instrument}/{path.stem}",
        path=path.parent,
        title=path.stem,
        stems=(FoundStem(slug(path.stem), path, instrument),),
        split=split,
        leak_group=f"name:{slug(path.stem)}",
        aligned=False,
    )
