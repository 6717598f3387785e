"""Read MUSDB18-HQ, and MUSDB18 once it is converted to wav folders.

`{train,test}/<Artist - Title>/{drums,bass,other,vocals}.wav` beside `mixture.wav`, which is no stem. Validation is 14
named training songs (musdb's configs/mus.yaml). Genre and licence of a song are those of the list on the dataset's site.
The errata listed there are carried as `bleed`.

Only the 150 songs of that list are MUSDB's, and only with these five files. Any other song beside them is read with all
its files, as the layout `folder` reads it, and its licence is unknown.

Source: Rafii et al., MUSDB18-HQ (2019).
"""

import functools
from collections.abc import Iterator
from pathlib import Path

from instructme.dataset_tools.layouts import FoundStem, FoundTrack, Rejected, audio, files, folders, known_faults
from instructme.dataset_tools.layouts import folder as own_folders
from instructme.manifests.rows import DataError
from instructme.manifests.splits import song_key
from instructme.manifests.word_tables import rows

EXPECTS = "train/ or test/ with folders <Artist - Title> of drums, bass, other, vocals and mixture"
COMPANIONS = ("mixture.*",)
_STEMS = ("drums", "bass", "other", "vocals")
_LICENCE = "LicenseRef-MUSDB18-educational"
"""Educational use only."""


def recognises(root: Path) -> bool:
    """Tell whether a song of the list is there with mixture and two or more of the stems, or stem.mp4 files."""
    return bool(_compressed(root)) or any(_is_song(folder) for folder, _ in _songs(root))


def tracks(root: Path) -> Iterator[FoundTrack | Rejected]:
    """Read every song of train and test.

    Raises:
        DataError: the compressed release, which has to be converted first.
    """
    if compressed := _compressed(root):
        raise DataError(
            f"MUSDB18 as {compressed}: .stem.mp4 can't be read: convert it to wav folders with `musdbconvert {root} OUT` "
            "(pip install musdb; needs ffmpeg), or get MUSDB18-HQ"
        )
    for folder, split in _songs(root):
        if _is_song(folder):
            yield _song(root, folder, split)
        else:
            yield from own_folders.walk(root, folder, split)


def _song(root: Path, folder: Path, split: str) -> FoundTrack:
    sounds, faults = audio(folder), known_faults("musdb")
    artist, _, title = folder.name.partition(" - ")
    where, listed = folder.relative_to(root).as_posix(), _listed()[song_key(artist, title) or ""]
    return FoundTrack(
        name=folder.name,
        path=folder,
        title=title,
        artist=artist,
        stems=tuple(
            FoundStem(stem, sounds[stem], stem, bleed=True if (folder.name, stem) in faults else None)
            for stem in _STEMS
            if stem in sounds
        ),
        genre=listed["genre"],
        licence=listed.get("licence", _LICENCE),
        mix_path=sounds.get("mixture"),
        split="validation" if listed.get("validation") and split == "train" else split,
        rejected=tuple(
            Rejected(f"{where}/{stem}", "missing", "no such stem in the folder") for stem in _STEMS if stem not in sounds
        ),
    )


def _songs(root: Path) -> Iterator[tuple[Path, str]]:
    for split in ("train", "test"):
        yield from ((folder, split) for folder in folders(root / split))


def _is_song(folder: Path) -> bool:
    artist, dash, title = folder.name.partition(" - ")
    names = set(audio(folder))
    known = bool(dash) and song_key(artist, title) in _listed()
    return known and "mixture" in names and len(names & set(_STEMS)) > 1 and names <= {"mixture", *_STEMS}


def _compressed(root: Path) -> Path | None:
    """Find a song of the compressed release."""
    found = (path for split in ("train", "test") for path in files(root / split, ".mp4").values())
    return next((path for path in found if path.name.endswith(".stem.mp4")), None)


@functools.cache
def _listed() -> dict[str, dict[str, str]]:
    """Read the list of songs: genre, licence, and whether it is for validation, by artist and title."""
    return {song_key(*row["track"].split(" - ", 1)) or row["track"]: row for row in rows("musdb.csv")}
