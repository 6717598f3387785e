"""Tell what a folder of music is by its name: an instrument's, a format's, or a shelf of a dataset."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from instructme.dataset_tools import song_files, song_names
from instructme.dataset_tools.layouts import audio, files, folders
from instructme.manifests.free_names import whole_name
from instructme.manifests.instruments import INSTRUMENTS, NO_STEM, normalise
from instructme.manifests.paths import slug

_INNER = {
    *("stems", "stem", "stems_audio", "parts", "audio", "tracks", "multitrack", "multitracks"),
    *("raw", "mono", "stereo", "dry", "wet", "processed"),
}
"""Names of folders that say nothing about the song."""
_FORMAT = re.compile(
    r"(wavs?|flac|aiff?|mp3|audio files|files|bounces?|exports?|renders?(?=[\s_-]*[\d\s_.-]*$)|\d{2}[\s_-]?bits?"
    r"|\d{2,3}([.,]\d)?[\s_-]?k(hz)?|44[.,]1|48|88[.,]2|96)([\s_-].*)?"
)
"""Names of folders that say in which format or how the stems were written."""
ASIDE = ("fx", "sfx", "misc", "extra", "loop", "sample")
"""Names of folders of a song's stems that are no instruments."""
_BETWEEN = re.compile(r"[&+,]|(?:^|[\s_-])(?:and|\d+)(?=[\s_.-]|$)")
SHELF = re.compile(r"(?:fold|split|part|subset|batch|chunk|shard|set|disc|cd|vol(?:ume)?)[\s_-]*\d+", re.IGNORECASE)
"""Names of folders that number a part of a dataset: `fold1`, `split0`."""


def is_part(folder: Path) -> bool:
    """Tell whether a folder is called like an instrument and holds no band; `Piano Man` is a song, `Keys/Highway` is one.

    `Bass - Tim` is a part, too.
    """
    name, _, player = folder.name.partition(" - ")
    if not is_instrument(name):
        return False
    own = families(audio(folder))
    return (len(own) < 2 or (not player and normalise(name).family in own)) and all(
        len(families(audio(part))) < 2 for part in folders(folder)
    )


def families(labels: Iterable[str]) -> set[str]:
    """List the families of the instruments that labels name for certain."""
    matches = [normalise(label) for label in labels]
    return {match.family for match in matches if match.certain and match.editable}


def is_instrument(name: str) -> bool:
    """Tell whether a name is that of instruments and nothing else, also numbered: `Guitars`, `01 Drums`, `Drums & Perc`."""
    words = [word.strip(" _.-") for word in _BETWEEN.split(name.lower()) if word.strip(" _.-")]
    return bool(words) and all(map(_is_instrument_word, words))


def _is_instrument_word(word: str) -> bool:
    plain, read = word.replace("_", " "), whole_name(word)
    return (
        bool({plain, plain.removesuffix("s")} & {*INSTRUMENTS, *ASIDE})
        or any(normalise(word, layout=layout).rule == "class" for layout in ("musdb", "moisesdb"))
        or (read is not None and read[1] > 0 and read[0] != NO_STEM and INSTRUMENTS[read[0]].editable)
    )


def holds_collection(parts: Sequence[Path]) -> bool:
    """Tell whether folders of instruments hold the same songs, each as a file: `bass/Alpha`, `drums/Alpha`, `bass/Beta`.

    Numbers count if there are more than two, and all folders have them: `bass/0001`, `drums/0001`, or `drums/drums_0001`.
    """
    names = Counter(name.lower() for part in parts for name in audio(part))
    several = [name for name, count in names.items() if count > 1]
    return (len(several) > 1 and all(map(song_names.is_own, names))) or (len(_titles(parts[0])) > 2 and _are_alike(parts))


def _titles(part: Path) -> set[str]:
    """List what stays of the names of files in a folder without its instrument."""
    return {slug(song_names.without(name, part.name)) for name in audio(part)}


def _are_alike(parts: Sequence[Path]) -> bool:
    """Tell whether folders of a band hold the same names but for their instrument: numbers, takes or sections."""
    names = [*map(_titles, parts)]
    band = {normalise(part.name).family for part in parts}
    return len(band) > 1 and all(own == names[0] for own in names) and all(map(song_names.strength, names[0]))


def may_hold_several(parts: Sequence[Path]) -> bool:
    """Tell whether files of folders of instruments have the same titles, `Bass/Funk_1`, `Drums/Funk_Drums`, or several tempi."""
    count = Counter(title for part in parts for title in _titles(part))
    again = [title for title, times in count.items() if times > 1]
    tempi = song_files.has_tempi([name for part in parts for name in audio(part)])
    return tempi or (len(again) > 1 and (any(map(song_names.is_own, again)) or _are_alike(parts)))


def is_working(folder: Path, below: Iterable[Path]) -> bool:
    """Tell whether a folder is what `scan` and `prepare` write: their tables beside a folder of parts."""
    return any(inner.name == "parts" for inner in below) and {"tracks", "stems", "parts"} <= files(folder, ".parquet").keys()


def holds_mixes(folder: Path) -> bool:
    """Tell whether a folder is called `mixes` or the like, and no file in it is called like an instrument."""
    sounds = audio(folder)
    return bool(sounds) and not normalise(folder.name).is_stem and all(normalise(name).rule == "unmatched" for name in sounds)


def is_inner(name: str) -> bool:
    """Tell whether the name of a folder says nothing about the song: `stems`, `WAV`, `24bit`."""
    return name.lower() in _INNER or bool(_FORMAT.fullmatch(name.lower()))


def sections(below: Sequence[Path]) -> dict[str, Path]:
    """List the stems of one song in folders of its sections, `Rhythm/Drums` and `Melody/Keys`, or of its channels; else none."""
    sides = are_channels(part.name for part in below)
    if len(below) < 2 or not (sides or all(is_untitled(part.name) and not is_inner(part.name) for part in below)):
        return {}
    inside = [all_audio(part) for part in below]
    own = [family for each in inside for family in families(each)]
    apart = len(own) == len({*own}) > 1 and all(map(families, inside))
    channels = sides and inside[0].keys() == inside[1].keys()
    return {
        f"{part.name}/{name}": each[name] for part, each in zip(below, inside, strict=True) for name in each if apart or channels
    }


def are_channels(names: Iterable[str]) -> bool:
    """Tell whether two names are those of the channels: `L` and `R`."""
    own = {name.lower() for name in names}
    return any(own == {*pair} for pair in song_names.CHANNELS)


def is_untitled(name: str) -> bool:
    """Tell whether all words of a name belong to instruments or channels: `Rhythm`, `L`; not `Song 1`."""
    return any(map(str.isalpha, name)) and not any(map(str.isdigit, name)) and not song_names.strength(name)


def all_audio(folder: Path) -> dict[str, Path]:
    """List the audio of a folder and of those in it, by path without suffix."""
    return audio(folder) | audio_of(part for part in folders(folder) if not part.is_symlink())


def audio_of(parts: Iterable[Path]) -> dict[str, Path]:
    """List the audio of several folders and of those in them, by the name of the folder and the path in it without suffix."""
    return {f"{part.name}/{name}": path for part in parts for name, path in all_audio(part).items()}
