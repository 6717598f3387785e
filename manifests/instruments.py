"""Turn whatever a stem is called into the name of an instrument: file name, dataset class, MIDI program or sampler patch.

The vocabulary and all that is known about names are tables in manifests/data; this module only reads them. When in doubt
the more general instrument wins ("guitar" rather than a guess at which guitar), because a listener hears a wrong name.
"""

import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from instructme.manifests import csv_files, free_names
from instructme.manifests.rows import DataError
from instructme.manifests.spelling import read_words
from instructme.manifests.word_tables import is_accented, is_cut_out, plain, rows

_LONGEST_LABEL = 255
NO_STEM = "-"
"""Stands in the tables for what is no stem at all: mixes, masters, click tracks, guide tracks."""
_SEPARATED = re.compile(r"(?P<name>.*_\((?P<label>[^()]+)\))_[^()]+")
"""How Ultimate Vocal Remover writes the model behind the label: `Song_(Vocals)_model_bs_roformer_ep_317`."""
_EXAMPLES = re.compile(r"\([^)]*,[^)]*\)")
_REMARK = re.compile(r"\([^)]*\)")
_JOINED = re.compile(
    r"[&+,;]|(?<![a-z])(?:and|or|plus|vs|und|mit|et|avec|con|with)(?![a-z])|(?-i:(?<=[a-z])(?:And|Plus)(?=[A-Z]))"
    r"|(?<=bass)[\s_-]+(?=drums)|(?<=drums)[\s_-]*(?=bass|keys|gtr|guitar)|(?<=guitar)(?=drums)|(?<=bass)(?=keys)|(?<=keys)[\s_-]*(?=bass)",
    re.IGNORECASE,
)
_LACKS = re.compile(
    r"(?:\b|_)(?:no|non|minus|m-1|without|w[/-]?o|sans|ohne|sin|sem|senza|bez|zonder|utan|uden|off|less|ex|except|but)[\s_-]+(?P<after>.+)"
    r"|\b(?:no|minus)(?P<joined>(?-i:[A-Z][a-z]\w*)|drums?|vox|vocals?|bass|guitars?|keys|piano)\b"
    r"|^(?P<before>.+?)(?:[\s_-]?less|[\s_-](?:free|off|removed|excluded))(?:\b|_)",
    re.IGNORECASE,
)
"""A mixture without an instrument: `no_vocals`, `NoVox`, `Drumless`, `drums_removed`, `all except drums`."""


class Instrument(NamedTuple):
    """An entry of the vocabulary (manifests/data/instruments.csv)."""

    name: str
    family: str
    editable: bool
    is_lead: bool


class InstrumentMatch(NamedTuple):
    """What a label means, and by which rule."""

    instrument: str
    family: str
    editable: bool
    rule: str
    certain: bool
    is_stem: bool


class Companions(NamedTuple):
    """What the other names of a song say; made by `instructme.manifests.companions`."""

    singers: bool = False
    """The song is one of singers."""
    maybe_singers: bool = False
    """One name or more may be a part of a choir."""
    sung: bool = False
    """By its title, the song is sung alone."""
    words: frozenset[str] = frozenset()
    """Words that nobody knows, but that different instruments share."""


ALONE = Companions()
_WITH = re.compile(r"[\W_]*(?:with[\s_-]|w/)", re.IGNORECASE)
"""A mixture that has more than another one: `With Lead Vocals`."""


INSTRUMENTS: dict[str, Instrument] = {
    row["name"]: Instrument(row["name"], row["family"], row["editable"] == "yes", row["lead"] == "yes")
    for row in rows("instruments.csv")
}
"""The vocabulary."""
GENERAL_NAMES = {instrument.family: name for name, instrument in reversed(INSTRUMENTS.items())}
"""The general name of each family, such as "strings": the name of its first instrument."""
_PROGRAMS = {int(row["program"]): row["instrument"] for row in rows("programs.csv")}
_PATCHES = [(row["patch"], row["instrument"]) for row in rows("plugins.csv")]


def label_key(label: str) -> str:
    """Reduce a label to lower-case words, so that `lead_male_singer` and `lead male singer` are one."""
    return " ".join(re.findall(r"[a-z0-9]+", plain(label).lower()))


def alias_key(label: str) -> str:
    """Reduce a label to what an alias of it must share: `label_key`, or all words where it has letters beside Latin ones."""
    letters = unicodedata.normalize("NFKD", label)
    if all(letter.isascii() or not letter.isalpha() for letter in letters):
        return label_key(label)
    return " ".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", label).casefold()))


_NAMES = {label_key(name): name for name in INSTRUMENTS}
_PROGRAM_NAMES = {label_key(row["name"]): row["instrument"] for row in rows("programs.csv")}
_CLASSES = {(row["layout"], label_key(row["label"])): row["instrument"] for row in rows("classes.csv")}


def _match(instrument: str, rule: str, certain: bool = True) -> InstrumentMatch:
    entry = INSTRUMENTS["other" if instrument == NO_STEM else instrument]
    return InstrumentMatch(entry.name, entry.family, entry.editable, rule, certain, instrument != NO_STEM)


def normalise(
    label: str,
    *,
    layout: str = "",
    program: int | None = None,
    plugin: str = "",
    aliases: Mapping[str, str] | None = None,
    among: Companions = ALONE,
) -> InstrumentMatch:
    """Name the instrument of a stem.

    The first rule that knows wins: the user's alias of this label, the class of a known dataset (`layout` is slakh,
    medleydb, moisesdb or musdb), the sampler patch, the General MIDI program (0-127; 128 is drums), the label read as a
    free file name. Never raises; what nobody knows is "other", not editable, by rule "unmatched". The other names of the song
    (`among`) may make a file name a guess.
    """
    alias = aliases and (aliases.get(label) or aliases.get(alias_key(label)))
    if alias and (alias in INSTRUMENTS or alias == NO_STEM):
        return _match(alias, "alias")
    match = _normalise(label[:_LONGEST_LABEL], layout, program if program in _PROGRAMS else None, plugin, among.words)
    if match.rule != "name":
        return match
    if among.singers and match.instrument == "bass":
        return _match("vocals", "name", False)
    may_be_sung = (among.maybe_singers and match.family == "bass") or (among.sung and match.family != "vocals")
    return match._replace(certain=match.certain and not (may_be_sung and match.is_stem))


@lru_cache(maxsize=1 << 16)
def _normalise(label: str, layout: str, program: int | None, plugin: str, known: frozenset[str]) -> InstrumentMatch:
    # Slakh's classes are families with quirks, less telling than the program.
    if program is None and (named := _class(label, layout)):
        return _match(named, "class")
    if plugin and (patch := _patch(plugin)):
        return _match(patch, "plugin")
    if program is not None:
        return _match(_PROGRAMS[program], "program")
    key = label_key(label)
    if (name := _NAMES.get(key) or _PROGRAM_NAMES.get(key)) and not is_cut_out(label):
        return _match(name, "name", key in _NAMES or " " in key or not _is_everyday(label))
    for text, rule in ((label, "name"), (plugin, "plugin")):
        if read := _read(text, known):
            return _match(read[0], rule, read[1])
    return _match("other", "unmatched", False)


def _is_everyday(label: str) -> bool:
    """Tell whether the General MIDI name of one word may mean another thing in a file name: `Whistle`."""
    free = free_names.best_name(label)
    return not (free and free.certain)


def _class(label: str, layout: str) -> str | None:
    """Look up a dataset's class; of `stem/track type` the track type counts, then the stem; a list is looked up by its items."""
    tails = [label_key(label), label_key(label.partition("/")[2]), label_key(label.partition("/")[0])]
    for tail in tails:
        if known := _CLASSES.get((layout, tail)):
            return known
    items = [_CLASSES.get((layout, label_key(item))) for item in _JOINED.split(label)]
    return _merge([item for item in items if item]) if len(items) > 1 and all(items) else None


def _patch(plugin: str) -> str | None:
    name = plugin.lower().removesuffix(".nkm").removesuffix(".component")
    return next((instrument for pattern, instrument in _PATCHES if fnmatchcase(name, pattern)), None)


def without_model(name: str) -> str:
    """Cut off the model that a separation program writes behind a label in brackets."""
    match = _SEPARATED.fullmatch(name)
    return match["name"] if match and free_names.whole_name(match["label"]) else name


def lacks(label: str) -> str | None:
    """Name the family that a mixture lacks by its label, such as vocals for `no_vocals`; None for other labels."""
    text = plain(label)
    match = _LACKS.search(text)
    if not match or (match["before"] and not free_names.whole_name(match["before"])):
        return None
    named = free_names.best_name(match["after"] or match["joined"] or match["before"])
    family = INSTRUMENTS[named.instrument].family if named and named.instrument != NO_STEM else "other"
    own = free_names.best_name(text[: match.start()])
    of_itself = own and own.instrument != NO_STEM and INSTRUMENTS[own.instrument].family == family
    return None if family == "other" or of_itself else family


def _read(label: str, known: frozenset[str]) -> tuple[str, bool] | None:
    """Read a free file name."""
    label = without_model(label)
    if lacks(label):
        return "other", True
    if _WITH.match(label):
        return "other", False
    text = _EXAMPLES.sub("", plain(label))
    whole, bare = _read_joined(text, known), _read_joined(_REMARK.sub(" ", text), known)
    # A remark may make the instrument finer; where it names another one, nobody knows: `Demo Mix (strings start later)`.
    if whole and bare and bare[0] != "other" and _family(whole[0]) != _family(bare[0]):
        return bare[0], False
    return (whole[0], False) if whole and (is_cut_out(label) or is_accented(label)) else whole


def _family(name: str) -> str:
    return name if name == NO_STEM else INSTRUMENTS[name].family


def _read_joined(text: str, known: frozenset[str]) -> tuple[str, bool] | None:
    """Read a name of one instrument or several; of several, find what they have in common."""
    parts = _JOINED.split(text)
    found = [(part, free_names.best_name(part, known)) for part in parts]
    read = [match for _, match in found if match]
    firm = [match for match in read if match.certain] or read
    several = [names for part in parts if len(names := free_names.all_names(part)) > 1]
    names = {match.instrument for match in firm}.union(*several)
    if len(names) > 1:
        return _merge(sorted(names)), False
    # What is joined to an instrument and is not known may be another one: `alto and piano`.
    unknown = any(not (match and match.certain) and read_words(part) for part, match in found)
    return (firm[0].instrument, firm[0].certain and not unknown) if firm else None


def _merge(names: list[str]) -> str:
    """Name several instruments in one file: the family if they share it, else "other"."""
    families = {INSTRUMENTS[name].family for name in names if name != NO_STEM}
    if len(set(names)) == 1:
        return names[0]
    if families == {"drums", "percussion"}:
        return "drums"
    if len(families) == 1 and len(finer := set(names) - {*GENERAL_NAMES.values()}) == 1:
        return finer.pop()
    return GENERAL_NAMES[families.pop()] if len(families) == 1 else "other"


def load_aliases(path: Path) -> dict[str, str]:
    """Read a user's table of names: a CSV file with the columns `label` and `instrument`; `-` means no stem.

    Raises:
        DataError: unreadable, a column is missing, or an instrument is not in the vocabulary.
    """
    try:
        return dict(_alias_rows(path))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"can't read the aliases {path}: give a CSV file in UTF-8 ({error})") from None


def _alias_rows(path: Path) -> Iterator[tuple[str, str]]:
    columns, rows = csv_files.read(path)
    if missing := sorted({"label", "instrument"} - set(columns)):
        raise DataError(f"{path}: no column {' and '.join(missing)}: its first line must be label,instrument")
    for line, row in rows:
        label, wanted = row["label"], row["instrument"]
        name = NO_STEM if wanted == NO_STEM else _NAMES.get(label_key(wanted))
        if name is None:
            near = get_close_matches(wanted.lower(), list(INSTRUMENTS), 3, 0.4) or ["other"]
            raise DataError(f"{path} line {line}: no instrument {wanted!r}: nearest are {', '.join(near)}")
        yield label, name
        yield alias_key(label), name
