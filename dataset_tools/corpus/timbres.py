"""Choose who plays each part of a song: one of many soundfonts, or recorded notes and drum kits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import mido
import numpy as np

from instructme.dataset_tools.corpus import midi_score, recordings
from instructme.dataset_tools.corpus.recordings import DRIVEN, RecordedPreset
from instructme.manifests.instruments import normalise
from instructme.manifests.rows import DataError

RECORDINGS = "recordings"
"""The source that is made of a folder of recordings."""
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
    "generaluser": PackagedSoundfont(
        Path("/usr/share/minuet/soundfonts/GeneralUser-v1.47.sf2"), "minuet-data", "GeneralUser GS 2.0", held_out=True
    ),
    "redzeppelin": PackagedSoundfont(
        _SF2 / "Red_Zeppelin_4_LV2.sf2", "avldrums.lv2-soundfont", "CC-BY-SA-3.0", held_out=True, is_kit=True
    ),
}


@dataclass(frozen=True)
class Orchestra:
    """All that can play: soundfonts by name, and the folder's recordings as a soundfont, with what each preset can play."""

    soundfonts: Mapping[str, Path]
    recordings: Path | None = None
    presets: Sequence[RecordedPreset] = ()


@dataclass(frozen=True)
class Timbre:
    """Who plays a part: the soundfont and its program, the source's name and licence, and whether an amplifier is driven."""

    soundfont: Path
    program: int
    source: str
    licence: str
    driven: bool = False

    def about(self) -> dict[str, Any]:
        """Say the same in words that metadata hold."""
        return asdict(self) | {"soundfont": self.soundfont.name}


def names(chosen: str) -> list[str]:
    """List the sources of `--timbres`: varied, held-out, or names between commas.

    Raises:
        DataError: there is no such source.
    """
    if chosen in (VARIED, HELD_OUT):
        return [name for name, source in SOURCES.items() if source.held_out == (chosen == HELD_OUT)] + [RECORDINGS]
    listed = [name.strip() for name in chosen.split(",") if name.strip()]
    if unknown := [name for name in listed if name not in (*SOURCES, RECORDINGS)]:
        raise DataError(f"no source of timbres {unknown[0]!r}: choose from varied, held-out, {', '.join([*SOURCES, RECORDINGS])}")
    return listed


def installed(listed: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    """Find the soundfonts that are installed; for each of the others say which package brings it.

    Raises:
        DataError: no soundfont of all instruments is installed.
    """
    paths = {name: SOURCES[name].path for name in listed if name in SOURCES and SOURCES[name].path.exists()}
    missing = [f"{name} (apt-get install {SOURCES[name].package})" for name in listed if name in SOURCES and name not in paths]
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
    kits = [name for name in orchestra.soundfonts if SOURCES[name].is_kit and program == midi_score.DRUMS]
    if (recorded or kits) and rng.random() < _SHARE_OF_RECORDINGS:
        which = int(rng.integers(len(recorded) + len(kits)))
        if which >= len(recorded):
            kit = kits[which - len(recorded)]
            return Timbre(orchestra.soundfonts[kit], 0, kit, SOURCES[kit].licence)
        preset = recorded[which]
        if orchestra.recordings is not None:
            source = f"{RECORDINGS} {preset.name}"
            return Timbre(orchestra.recordings, preset.program, source, preset.licence, driven=instrument == DRIVEN)
    if program == midi_score.DRUMS:
        played = _KITS[int(rng.integers(len(_KITS)))]
    else:
        alike = [other for group in _ALIKE if program in group for other in group]
        played = alike[int(rng.integers(len(alike)))] if alike and other_program else program
    return Timbre(orchestra.soundfonts[name], played, name, SOURCES[name].licence)


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


def orchestra(listed: Sequence[str], sounds: Path | None, target: Path) -> tuple[Orchestra, list[str]]:
    """Gather what can play, and write the folder's recordings as a soundfont to `target`; say what isn't installed.

    Raises:
        DataError: nothing is installed, or the folder of recordings can't be read.
    """
    paths, missing = installed(listed)
    if sounds is None or RECORDINGS not in listed:
        return Orchestra(paths), missing
    held_out = any(SOURCES[name].held_out for name in paths)
    made = recordings.build(sounds, held_out)
    if made is None:
        return Orchestra(paths), [*missing, f"{RECORDINGS} ({sounds} holds none to play)"]
    from instructme.dataset_tools.corpus import soundfonts

    target.parent.mkdir(parents=True, exist_ok=True)
    soundfonts.write(target, made[0])
    return Orchestra(paths, target, made[1]), missing
