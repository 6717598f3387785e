"""Find what lies beside the stems of a song: its mix, its MIDI files, its chords and beats."""

import re
from collections.abc import Collection, Container, Mapping
from pathlib import Path

from instructme.dataset_tools import song_files, song_names
from instructme.dataset_tools.layouts import AUDIO_SUFFIXES, _folder_names, audio, files, folders
from instructme.manifests.instruments import normalise
from instructme.manifests.paths import slug

_MIX = re.compile(r"mix|master|2trk|2track|two.?track|output|(?:stereo|main).?out", re.IGNORECASE)
_PARTIAL_MIX = re.compile(r"instrumental|karaoke|minus|rough|no[ _-]|without", re.IGNORECASE)
_MIDI = re.compile(r"midi", re.IGNORECASE)


def mix(mixes: Mapping[str, Path], wholes: Container[str] = ()) -> Path | None:
    """Choose the mix of a song among files that are no stems: one that is called a mix, else one that is called like the song."""
    full = [label for label in mixes if not _PARTIAL_MIX.search(label)]
    called = [label for label in full if _MIX.search(label)] or [label for label in full if label in wholes]
    return mixes[called[0]] if called else None


def mix_above(root: Path, folder: Path) -> Path | None:
    """Find the mix beside a folder of stems: `Highway/mix.wav` beside `Highway/stems`."""
    if folder == root or not _folder_names.is_inner(folder.name):
        return None
    return mix({label: path for label, path in audio(folder.parent).items() if not normalise(label).is_stem})


def wholes(sounds: Collection[str], names: Collection[str]) -> set[str]:
    """List the files that are called like their song, beside stems: `Highway/Highway.wav`.

    Args:
        sounds: the files of the song, by label.
        names: the names of the song.
    """
    if len(sounds) < 3:
        return set()
    heading = song_files.whole([*sounds])
    slugs = {slug(name) for name in names}
    called = {label for label in sounds if label == heading or slug(_without_suffix(label)) in slugs}
    mixes = {
        label for label in sounds for name in (*names, _title_in(label, sounds)) if name in label and _is_mix_of(label, name)
    }
    return {label for label in called if normalise(label).rule == "unmatched"} | mixes


def _title_in(label: str, sounds: Collection[str]) -> str:
    """Give what follows the first word of a label, if all other labels of the song hold it, too."""
    rest = song_names.GAP.split(label, maxsplit=1)[-1]
    return rest if rest != label and all(rest in other for other in sounds) else ""


def _is_mix_of(label: str, song: str) -> bool:
    """Tell whether a label is the name of its song and a word for mixtures: `AuMix_01_Jupiter`."""
    rest = label.replace(song, " ", 1).strip(" -_")
    return bool(song) and bool(rest) and not normalise(rest).is_stem


def _without_suffix(label: str) -> str:
    """Leave out a second suffix: `Highway.mp3`, of `Highway.mp3.mp3`."""
    return next((label.removesuffix(suffix) for suffix in AUDIO_SUFFIXES if label.lower().endswith(suffix)), label)


def midi(root: Path, folder: Path) -> dict[str, Path]:
    """List the MIDI files of a song: in its folder, or beside a folder of stems, in one that is called `MIDI` or the like."""
    own = files(folder, ".mid", ".midi")
    if own or folder == root or not _folder_names.is_inner(folder.name):
        return own
    beside = (part for part in folders(folder.parent) if _MIDI.search(part.name))
    return next((found for part in beside if (found := files(part, ".mid", ".midi"))), {})


def annotation(folder: Path, name: str, *suffixes: str) -> Path | None:
    """Find the chords or beats of a song in its folder."""
    return next((path for key, path in files(folder, *suffixes).items() if key.lower() == name), None)
