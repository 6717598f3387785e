"""Read the dataset layouts that exist on people's disks: one file per layout, its name is the layout's name.

A layout is a module with four names, and nothing else has to be told about it:

    EXPECTS: str                                            what it looks for, for the message that nothing was found
    COMPANIONS: tuple[str, ...]                             patterns of its audio, MIDI and tables that are no stems: `mix.*`
    recognises(root: Path) -> bool                          cheap: names of files, at most a header or two
    tracks(root: Path) -> Iterator[FoundTrack | Rejected]   in a fixed order; reads metadata, never audio

Paths are absolute and may come from metadata as they are: `scan` rejects those that leave the root. A root may also lie in an
object store: look into it by pathlib's methods and the functions of this module alone, and join names as `folder / Path(name)`.
"""

import contextlib
import functools
import importlib.resources
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from instructme.manifests import urls
from instructme.manifests.instruments import InstrumentMatch
from instructme.manifests.paths import composed, inside
from instructme.manifests.rows import DataError
from instructme.manifests.word_tables import rows

_SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation", "heldout", "holdout"), "test"),
}
_SPLIT = re.compile(r"\d*([a-z]+?)(?:sets?|splits?|data)?(?:(?:part|pt|shard|chunk)?\d+(?:of\d+)?)?")
"""A split with what numbers it: `train_1`, `01_train`, `Train Set 2`, `train_part1`, `train_1of2`."""
AUDIO_SUFFIXES = (
    *(".flac", ".wav", ".wave", ".bwf", ".rf64", ".w64", ".aiff", ".aif", ".aifc", ".caf", ".au", ".snd"),
    *(".ogg", ".oga", ".opus", ".mp3"),
)
"""What libsndfile reads, in order of preference where one stem is there twice."""
OTHER_AUDIO_SUFFIXES = (
    *(".m4a", ".mp4", ".aac", ".wma", ".ape", ".wv", ".mogg", ".mka", ".m4b", ".mp2", ".ac3", ".weba", ".3gp", ".amr"),
    *(".mpc", ".tta", ".ofr", ".shn", ".dsf", ".dff", ".sd2", ".rx2"),
)
LARGEST_METADATA_BYTES = 1 << 20
_SYSTEM = ("$recycle.bin", "recycler", "#recycle", "@recycle", "@eadir", "lost+found", "system volume information", "__macosx")
_DEEPEST = 32
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something that can't be used: what, a reason code, one line for a person, and how many things it stands for."""

    item: str
    reason: str
    detail: str
    count: int = 1


def no_stem(item: str, label: str, match: InstrumentMatch) -> Rejected:
    """Reject a mixture or click track; say so where its label leaves a doubt."""
    advice = "if it is a stem, rename it, or name it with --aliases"
    if match.rule == "unmatched":
        return Rejected(item, "not_a_stem", f"perhaps a mixture by the name of its song or folder: {label}; {advice}")
    if match.is_stem or match.certain:
        return Rejected(item, "not_a_stem", f"a mixture or click track by its name: {label}")
    return Rejected(item, "not_a_stem", f"perhaps a mixture or click track by its name: {label}; {advice}")


@dataclass(frozen=True, slots=True)
class FoundStem:
    """One audio file with its label; the fields are those of `instructme.manifests.rows.Stem` before any header is read."""

    stem_id: str
    path: Path
    label: str
    program: int | None = None
    plugin: str = ""
    midi_path: Path | None = None
    bleed: bool | None = None
    known_bad: str | None = None
    flagged_rendered: bool | None = None
    lead: bool = False


@dataclass(frozen=True, slots=True)
class FoundTrack:
    """One song; the fields are those of `instructme.manifests.rows.Track`, as shipped.

    `split` is the dataset's own or None. `song_group` is None where the song has no identity beyond its folder;
    `leak_group` is None where song or artist say it all. `table` is the file that lists the song, if its layout reads tables.
    """

    name: str
    path: Path
    title: str
    stems: tuple[FoundStem, ...]
    artist: str | None = None
    genre: str | None = None
    licence: str = "unknown"
    split: str | None = None
    song_group: str | None = None
    leak_group: str | None = None
    aligned: bool = True
    tempo_bpm: float | None = None
    key: str | None = None
    chords_path: Path | None = None
    bleed: bool | None = None
    beats_path: Path | None = None
    downbeats_path: Path | None = None
    table: Path | None = None
    mix_path: Path | None = None
    rejected: tuple[Rejected, ...] = ()


def read_mapping(root: Path, path: Path) -> dict[str, Any]:
    """Read a YAML or JSON file of a dataset.

    Raises:
        DataError: missing, outside the root, larger than 1 MiB, broken, not a mapping, or YAML that grows or nests
            without bound.
    """
    inside(root, path.relative_to(root))
    if not is_file(path):
        raise DataError(f"no metadata: {path}: the track can't be used without it")
    try:
        if path.stat().st_size > LARGEST_METADATA_BYTES:
            raise DataError(f"metadata larger than 1 MiB: {path}: check that it is the right file")
        text = path.read_text("utf-8-sig")
        if path.suffix == ".json":
            values = json.loads(text)
        else:
            _check_yaml(text, path)
            values = yaml.load(text, Loader=_LOADER)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError(f"can't read metadata: {path}: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(values, dict):
        raise DataError(f"metadata is not a mapping: {path}: check that it is the right file")
    return values


def _check_yaml(text: str, path: Path) -> None:
    """Refuse aliases, by which a few lines expand to gigabytes, and nesting so deep that it crashes libyaml's loader."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise DataError(f"metadata with YAML aliases: {path}: write the values out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise DataError(f"metadata nested deeper than {_DEEPEST}: {path}: check that it is the right file")


def mapping(value: Any) -> dict[str, Any]:
    """Take a mapping with text keys from metadata; anything else is empty."""
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """Take text from metadata: a trimmed string or number, what UTF-8 can't write replaced; anything else, NaN too, is empty."""
    if not isinstance(value, str | int | float) or isinstance(value, bool) or value != value:
        return ""
    return str(value).strip().encode("utf-8", "replace").decode()


def positive(value: Any) -> float | None:
    """Take a finite number above 0 from metadata; anything else is None."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def yes(value: Any) -> bool | None:
    """Take a yes or no from metadata: booleans, and the words and digits that people write; anything else is None."""
    word = str(value).strip().lower().removesuffix(".0")
    return True if word in ("yes", "y", "true", "t", "1", "x") else False if word in ("no", "n", "false", "f", "0") else None


def split_name(name: str) -> str | None:
    """Read a split from the name of a folder or a cell, such as `Test Set` or `train_2`; None if it means none."""
    match = _SPLIT.fullmatch(re.sub(r"[\W_]+", "", name.lower()))
    return _SPLIT_NAMES.get(match[1]) if match else None


def split_hint(name: str) -> str | None:
    """Find the first word of a name that is a split's, such as that of `my_train_final`; None if there is none."""
    return next((split for word in re.findall(r"[^\W\d_]+", name.lower()) if (split := _SPLIT_NAMES.get(word))), None)


def is_file(path: Path) -> bool:
    """Tell whether a path from metadata is a file; False also for names that no disk can hold."""
    return _tell(path.is_file)


def is_folder(path: Path) -> bool:
    """Tell whether a path made of names is a folder; False also for names that no disk can hold."""
    return _tell(path.is_dir)


def _tell(ask: Callable[[], bool]) -> bool:
    """Ask what there is; a link that leads back to itself is nothing, and neither is a name that is too long."""
    try:
        return ask()
    except (OSError, ValueError):
        return False


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is hidden, or one in which systems keep deleted files."""
    return name.startswith(".") or name.lower() in _SYSTEM


def _entries(folder: Path) -> "list[os.DirEntry[str] | Path]":
    """List a folder in order of name, without hidden entries (such as `._name.wav`, `$RECYCLE.BIN`); none if it is no folder.

    Raises:
        DataError: the folder can't be read.
    """
    try:
        with contextlib.closing(folder.iterdir()) if urls.is_remote(folder) else os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not is_hidden(entry.name)), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataError(f"can't list {folder}: {error.strerror or error}: change its permissions, or move it away") from None


def folders(folder: Path) -> list[Path]:
    """List the folders in a folder, in order of name."""
    return [folder / entry.name for entry in _entries(folder) if _tell(entry.is_dir)]


def files(folder: Path, *suffixes: str) -> dict[str, Path]:
    """List the files in a folder that end in one of the suffixes (in any case), by name without suffix.

    Names are in Unicode's composed form, as macOS writes others than Linux. Where a name is there with several suffixes, or in
    capitals too, the one listed first is taken.
    """
    found: dict[str, tuple[int, Path]] = {}
    for entry in _entries(folder):
        path = folder / entry.name
        # A broken link is listed, to be rejected with a reason; pipes and devices are not.
        if path.suffix.lower() in suffixes and (_tell(entry.is_file) or (entry.is_symlink() and not path.exists())):
            rank, name = suffixes.index(path.suffix.lower()), composed(path.stem).casefold()
            found[name] = min(found.get(name, (rank, path)), (rank, path))
    return {composed(path.stem): path for _, path in found.values()}


def audio(folder: Path) -> dict[str, Path]:
    """List the audio files in a folder, by name without suffix."""
    return files(folder, *AUDIO_SUFFIXES)


def unread_audio(root: Path, folder: Path) -> Iterator[Rejected]:
    """List the audio files in a folder whose format can't be read."""
    for path in files(folder, *OTHER_AUDIO_SUFFIXES).values():
        where = path.relative_to(root).as_posix()
        yield Rejected(where, "unsupported_format", f"{path.suffix} can't be read: convert it to flac or wav")


@functools.cache
def names() -> tuple[str, ...]:
    """Name the layouts: the files of this folder."""
    here = importlib.resources.files(__name__)
    return tuple(sorted(file.name[:-3] for file in here.iterdir() if file.name.endswith(".py") and file.name[0] != "_"))


@functools.cache
def known_faults(dataset: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Read manifests/data/known_bad.csv for a dataset: (track, stem) -> (`bad` or `bleed`, what is wrong)."""
    return {
        (row["track"], row["stem"]): (row["effect"], row["fault"]) for row in rows("known_bad.csv") if row["dataset"] == dataset
    }
