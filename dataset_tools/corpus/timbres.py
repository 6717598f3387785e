"""Choose who plays each part of a song: one of many soundfonts, or recorded notes and drum kits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import mido
import numpy as np

from instructme.dataset_tools.corpus import hydrogen_kits, midi_score, recordings, soundfonts
from instructme.dataset_tools.corpus.recordings import DRIVEN, RecordedPreset
from instructme.dataset_tools.corpus.soundfonts import Soundfont
from instructme.manifests.instruments import normalise
from instructme.manifests.rows import DataError

RECORDINGS = "recordings"
"""The source that is made of a folder of recordings."""
HYDROGEN = "hydrogen"
"""The source that is made of the drum kits of Hydrogen."""
RECORDINGS_FONT, KITS_FONT = ".recordings.sf2", ".hydrogen.sf2"
VARIED, HELD_OUT = "varied", "held-out"
_SHARE_OF_RECORDINGS = 0.4
_OTHER_PROGRAM = 0.5
_KITS = (0, 0, 0, 8, 16, 24, 25, 32, 40)
"""General MIDI's drum kits; FluidSynth takes the standard kit where a soundfont lacks one."""
# Programs of one instrument that can play each other's parts: sustained strings don't play those of plucked ones.
_ALIKE = (
    (0, 1), (4, 5), (16, 17, 18), (21, 23), (26, 27), (29, 30), (33, 34, 35), (36, 37), (38, 39), (40, 110), (44, 48), (48, 49),
    (50, 51), (52, 53, 54), (56, 59), (62, 63), (73, 74, 75, 77, 79), (80, 81, 84, 87), (82, 83, 85),
    (88, 89, 90, 91, 92, 93, 94, 95),
)  # fmt: skip


class PackagedSoundfont(NamedTuple):
    """A soundfont that Debian packages: its file, package and licence, and whether it is held out, or a kit alone."""

    path: Path
    package: str
    licence: str
    held_out: bool = False
    is_kit: bool = False


_SF2, _SF3 = Path("/usr/share/sounds/sf2"), Path("/usr/share/sounds/sf3")
# Licences as /usr/share/doc/<package>/copyright states them.
SOURCES = {
    "fluidr3": PackagedSoundfont(_SF2 / "FluidR3_GM.sf2", "fluid-soundfont-gm", "MIT"),
    "musescore": PackagedSoundfont(_SF3 / "MuseScore_General_Lite.sf3", "musescore-general-soundfont-small", "MIT"),
    "a320u": PackagedSoundfont(_SF2 / "A320U.sf2", "denemo-data", "GPL-2.0-only"),
    "timgm6mb": PackagedSoundfont(_SF2 / "TimGM6mb.sf2", "timgm6mb-soundfont", "GPL-2.0-only"),
    "gmbank": PackagedSoundfont(_SF2 / "sf_GMbank.sf2", "csound-soundfont", "public domain"),
    "blackpearl": PackagedSoundfont(_SF2 / "Black_Pearl_4_LV2.sf2", "avldrums.lv2-soundfont", "CC-BY-SA-3.0", is_kit=True),
    "fluidr3mono": PackagedSoundfont(_SF3 / "FluidR3Mono_GM.sf3", "fluidr3mono-gm-soundfont", "MIT"),
    "generaluser": PackagedSoundfont(
        Path("/usr/share/minuet/soundfonts/GeneralUser-v1.47.sf2"), "minuet-data", "GeneralUser GS 2.0", held_out=True
    ),
    "redzeppelin": PackagedSoundfont(
        _SF2 / "Red_Zeppelin_4_LV2.sf2", "avldrums.lv2-soundfont", "CC-BY-SA-3.0", held_out=True, is_kit=True
    ),
}


@dataclass(frozen=True)
class Orchestra:
    """All that can play.

    soundfonts: by name.
    recordings: a soundfont of the folder's recordings; `presets` say what it can play.
    kits: a soundfont of Hydrogen's drum kits; so do `kit_presets`.
    """

    soundfonts: Mapping[str, Path]
    recordings: Path | None = None
    presets: Sequence[RecordedPreset] = ()
    kits: Path | None = None
    kit_presets: Sequence[RecordedPreset] = ()

    @property
    def made(self) -> list[Path]:
        """List the soundfonts that were made for this corpus."""
        return [path for path in (self.recordings, self.kits) if path is not None]


@dataclass(frozen=True)
class Timbre:
    """Who plays a part: the soundfont and its program, the source's name and licence, and whether an amplifier is driven."""

    soundfont: Path
    program: int
    source: str
    licence: str
    driven: bool = False


def names(chosen: str) -> list[str]:
    """List the sources of `--timbres`: varied, held-out, or names between commas.

    Raises:
        DataError: there is no such source.
    """
    if chosen in (VARIED, HELD_OUT):
        kits = [HYDROGEN] if chosen == VARIED else []
        return [name for name, source in SOURCES.items() if source.held_out == (chosen == HELD_OUT)] + kits + [RECORDINGS]
    listed = [name.strip() for name in chosen.split(",") if name.strip()]
    known = [*SOURCES, HYDROGEN, RECORDINGS]
    if unknown := [name for name in listed if name not in known]:
        raise DataError(f"no source of timbres {unknown[0]!r}: choose from varied, held-out, {', '.join(known)}")
    return listed


def installed(listed: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    """Find the soundfonts that are installed; for each of the others say which package brings it.

    Raises:
        DataError: no soundfont of all instruments is installed.
    """
    paths = {name: SOURCES[name].path for name in listed if name in SOURCES and SOURCES[name].path.exists()}
    missing = [f"{name} (apt-get install {SOURCES[name].package})" for name in listed if name in SOURCES and name not in paths]
    if HYDROGEN in listed and not hydrogen_kits.FOLDER.is_dir():
        missing.append(f"{HYDROGEN} (apt-get install {hydrogen_kits.PACKAGE})")
    if all(SOURCES[name].is_kit for name in paths):
        raise DataError(
            f"no soundfont with all instruments is installed: install {' or '.join(missing) or 'one, and name it with --timbres'}"
        )
    return paths, missing


def draw(
    program: int, events: Sequence[midi_score.Event], times_s: Sequence[float], orchestra: Orchestra, rng: np.random.Generator
) -> Timbre:
    """Draw who plays a part.

    Recordings play 40 % of the parts that they can play; the soundfonts share the others. Half of the parts that a soundfont
    plays get another program of the same instrument.

    Args:
        program: General MIDI program of the part, or midi_score.DRUMS.
        events: its events.
        times_s: when they happen.
        orchestra: what can play.
        rng: chance.
    """
    instrument = normalise("", program=program).instrument
    general = [name for name in orchestra.soundfonts if not SOURCES[name].is_kit]
    name = general[int(rng.integers(len(general)))]
    other_program = rng.random() < _OTHER_PROGRAM
    recorded = [preset for preset in orchestra.presets if preset.suits(instrument, program, *_range(events, times_s))]
    recordings_of = _recorded(orchestra.recordings, RECORDINGS, recorded, instrument == DRIVEN)
    if program == midi_score.DRUMS:
        fonts = {name: path for name, path in orchestra.soundfonts.items() if SOURCES[name].is_kit}
        recordings_of += [Timbre(path, 0, name, SOURCES[name].licence) for name, path in fonts.items()]
        recordings_of += _recorded(orchestra.kits, HYDROGEN, orchestra.kit_presets)
    if recordings_of and rng.random() < _SHARE_OF_RECORDINGS:
        return recordings_of[int(rng.integers(len(recordings_of)))]
    if program == midi_score.DRUMS:
        played = _KITS[int(rng.integers(len(_KITS)))]
    else:
        alike = [other for group in _ALIKE if program in group for other in group]
        played = alike[int(rng.integers(len(alike)))] if alike and other_program else program
    return Timbre(orchestra.soundfonts[name], played, name, SOURCES[name].licence)


def _recorded(font: Path | None, source: str, presets: Sequence[RecordedPreset], driven: bool = False) -> list[Timbre]:
    return [Timbre(font, each.program, f"{source} {each.name}", each.licence, driven) for each in presets if font is not None]


def _range(events: Sequence[midi_score.Event], times_s: Sequence[float]) -> tuple[tuple[float, float], float]:
    """Measure what a part asks of an instrument: the keys between which nine tenths of its notes lie, and its long notes."""
    keys: list[int] = []
    lengths_s: list[float] = []
    sounding: dict[tuple[int, int], float] = {}
    for time_s, (_, message) in zip(times_s, events, strict=True):
        if message.type not in ("note_on", "note_off"):
            continue
        start_s = sounding.pop((message.channel, message.note), None)
        if start_s is not None:
            keys.append(message.note)
            lengths_s.append(time_s - start_s)
        if message.type == "note_on" and message.velocity:
            sounding[message.channel, message.note] = time_s
    if not keys:
        return (0.0, 127.0), math.inf
    low, high = np.percentile(keys, (5, 95))
    return (float(low), float(high)), float(np.percentile(lengths_s, 80))


def played_by(events: Sequence[midi_score.Event], program: int) -> list[midi_score.Event]:
    """Let one program play a part, in place of the programs or kits that it asks for."""
    kept = [event for event in events if event[1].type != "program_change"]
    channels = sorted({message.channel for _, message in kept})
    return [*((0, mido.Message("program_change", channel=channel, program=program)) for channel in channels), *kept]


def orchestra(listed: Sequence[str], sounds: Path | None, folder: Path) -> tuple[Orchestra, list[str]]:
    """Gather what can play, and say what isn't installed. Soundfonts of the recordings and of Hydrogen's kits go into a folder.

    Raises:
        DataError: nothing is installed, or recordings can't be read.
    """
    paths, missing = installed(listed)
    found = Orchestra(paths)
    if HYDROGEN in listed and (made := hydrogen_kits.build(hydrogen_kits.FOLDER)):
        found = replace(found, kits=_written(folder / KITS_FONT, made[0]), kit_presets=made[1])
    if sounds is None or RECORDINGS not in listed:
        return found, missing
    made = recordings.build(sounds, any(SOURCES[name].held_out for name in paths))
    if made is None:
        return found, [*missing, f"{RECORDINGS} ({sounds} holds none to play)"]
    return replace(found, recordings=_written(folder / RECORDINGS_FONT, made[0]), presets=made[1]), missing


def _written(path: Path, font: Soundfont) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfonts.write(path, font)
    return path
