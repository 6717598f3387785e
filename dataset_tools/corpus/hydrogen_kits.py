"""Make a soundfont of the drum kits of the drum machine Hydrogen that Debian packages."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from instructme.dataset_tools.corpus import recordings
from instructme.dataset_tools.corpus.recordings import DRUM_BANK, RATE_HZ, RecordedPreset
from instructme.dataset_tools.corpus.soundfonts import SampledPreset, Soundfont, make
from instructme.manifests.rows import DataError

FOLDER, PACKAGE = Path("/usr/share/hydrogen/data/drumkits"), "hydrogen-drumkits"
LICENCES = {
    "Audiophob": "CC0-1.0", "BJA_Pacific": "CC-BY-SA-3.0-US", "ElectricEmpireKit": "GPL-2.0-or-later",
    "ColomboAcousticDrumkit": "GPL-2.0-or-later with composition exception", "ForzeeStereo": "GPL-2.0-only",
    "HardElectro1": "GPL-2.0-or-later", "Millo-Drums_v.1": "GPL-2.0-only", "Millo_MultiLayered2": "GPL-2.0-only",
    "Millo_MultiLayered3": "GPL-2.0-only", "The Black Pearl 1.0": "GPL-2.0-only", "VariBreaks": "GPL-2.0-or-later",
    "rumpf_kit_z01_h2": "CC-BY-3.0", "Gimme A Hand 1.0": "GPL-2.0-only",
}  # fmt: skip
"""Kits, and their licences as /usr/share/doc/hydrogen-drumkits/copyright states them."""
_OTHER = re.compile(r"roll|flam|swish|choke|semi|half|loose|free|rim ?shot|side (?:o?hh)|muted?\b")
"""Ways to play a drum that General MIDI has no note for."""
# The first word that fits names the drum: "Ride/Crash" is a ride.
_DRUM = re.compile(
    r"(?P<perc_cowbell>cow ?bell)|(?P<perc_tambourine>tambourine)|(?P<perc_clap>clap)|(?P<perc_conga>conga)|(?P<perc_bongo>bongo)"
    r"|(?P<perc_maracas>maraca)|(?P<perc_claves>clave)|(?P<perc_woodblock>wood ?block)|(?P<perc_agogo>agogo)"
    r"|(?P<cymbal_ridebell>\bride.?(?:bell|cup)|\bbell)|(?P<kick>kick|bass ?drum)|(?P<snare_sidestick>stick|rim ?click)"
    r"|(?P<snare>snare)|(?P<tom_floor>floor tom|tom floor|low tom|tom lo)|(?P<tom_high>high tom|tom hi|tom 1\b)"
    r"|(?P<tom_mid>tom)|(?P<hat>hh\b|hi-? ?hat|\bhat)|(?P<cymbal_china>china)|(?P<cymbal_splash>splash)"
    r"|(?P<cymbal_ride>ride)|(?P<cymbal_crash>crash)"
)
_HAT = re.compile(r"(?P<hihat_foot>pedal|foot|\bpd\b)|(?P<hihat_open>open|\bop\b)|(?P<hihat_closed>closed|\bcl\b)")


class _Hits(NamedTuple):
    """Files of a drum, from a kit, and the level at which the kit plays them."""

    paths: list[str]
    gain: float


def build(folder: Path) -> tuple[Soundfont, list[RecordedPreset]] | None:
    """Make a soundfont of the kits in a folder, and say what its presets can play; None if there is none.

    Kits lend each other drums that they lack. A kit without kick or snare only lends. The licence of a preset names those of all
    its recordings.

    Raises:
        DataError: a kit can't be read.
    """
    kits = {kit: _read(folder, kit) for kit in LICENCES if (folder / kit).is_dir()}
    pools = {(kit, drum): hits.paths for kit, drums in kits.items() for drum, hits in drums.items()}
    sampled: list[SampledPreset] = []
    about: list[RecordedPreset] = []
    for program, kit in enumerate(kit for kit, drums in kits.items() if {"kick", "snare"} <= set(drums)):
        hits = recordings.complete_kit(pools, kit)
        gains = {drum: _gain(kits, paths) for drum, paths in hits.items()}
        licences = {LICENCES[Path(path).parts[0]] for paths in hits.values() for path in paths}
        licence = " AND ".join([LICENCES[kit], *sorted(licences - {LICENCES[kit]})])
        sampled.append(SampledPreset(kit, DRUM_BANK, program, recordings.drum_zones(folder, hits, gains)))
        about.append(RecordedPreset(kit, DRUM_BANK, program, ("drums",), (), (0, 127), np.inf, licence))
    return (make("hydrogen", RATE_HZ, sampled), about) if sampled else None


def _gain(kits: Mapping[str, Mapping[str, _Hits]], paths: list[str]) -> float:
    return next(hits.gain for hits in kits[Path(paths[0]).parts[0]].values() if hits.paths == paths)


def _read(folder: Path, kit: str) -> dict[str, _Hits]:
    """Read the drums of a kit: of each the first instrument, all of whose layers are one drum struck softly or hard."""
    path = folder / kit / "drumkit.xml"
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f"can't read {path} ({error}): install {PACKAGE} again, or leave hydrogen out of --timbres") from None
    for each in root.iter():
        each.tag = each.tag.rpartition("}")[2]
    drums: dict[str, _Hits] = {}
    for instrument in root.iter("instrument"):
        drum = drum_of(instrument.findtext("name") or "")
        # Kits of the package list files that it does not hold.
        layers = [each for each in _layers(instrument) if (folder / kit / each[1]).is_file()]
        if drum and layers and drum not in drums:
            volume = float(instrument.findtext("volume") or 1)
            drums[drum] = _Hits([f"{kit}/{name}" for _, name, _ in layers], volume * max(layers)[2])
    return drums


def _layers(instrument: ElementTree.Element) -> Iterator[tuple[float, str, float]]:
    """Yield the highest velocity, from 0 to 1, the file and the gain of layers; kits of early versions have one file instead."""
    for each in [*instrument.iter("layer")] or [instrument]:
        name = (each.findtext("filename") or "").strip()
        if name and not float(each.findtext("pitch") or 0):
            yield float(each.findtext("max") or 1), name, 1.0 if each is instrument else float(each.findtext("gain") or 1)


def drum_of(name: str) -> str | None:
    """Name the kind of hit, as in `recordings`, of an instrument's name such as `Closed HH`; None if it isn't clear."""
    words = name.lower().partition("(")[0]
    found = None if _OTHER.search(words) else _DRUM.search(words)
    if found and found.lastgroup == "hat":
        found = _HAT.search(words)
    return found.lastgroup if found else None
