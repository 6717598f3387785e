"""Tell takes and versions of one stem, which are not played together: `Guitar take 2`, `Kick alt`, `Vox DRY` and `Vox WET`.

Names say which stems may be versions: those of one instrument whose names differ only in such words. Sound decides. Takes that
play at the same time are alternatives; those that follow each other are not. `Shaker alt` is one if its onsets are those of
`Shaker`; else it is another part. `dry` and `wet` are one performance if the same
frequencies sound at the same time, or, where a pitch was corrected, if their levels rise and fall together; otherwise `wet`
may be an effect alone, which belongs to the sum. A guide such as `Scratch Vox` is left out where stems of its family play in most
of its time. Doubles such as `Gtr 1` and `Gtr 2`, `Gtr L` and `Gtr R` are no versions.

Measured on 9 real voices and 4 instruments, by `coherence` and `common_motion`: a compressor, an equaliser, a reverberation or
a delay leave 0.69 or more of the first, a corrected pitch 0.99 of the second. Two takes have 0.43 and 0.83 at most. Of 141
reverberations alone, 24 reach one of the bounds, with 0.81 and 0.92 at most. So below 0.85 and 0.95, the `dry` is used.

`common_rhythm` was measured on 54 drum parts of MIDI songs, played by recorded drums. Other takes by another drum, with 20 ms of
jitter and 10 % of the notes left out, have 0.72 or more in 19 of 20 cases; other drums of the same song 0.7 or more in 6 of 52.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from instructme.dataset_tools import activity
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.midi import grid_check
from instructme.dataset_tools.stems import measures
from instructme.dataset_tools.stored import Stored, mono
from instructme.manifests.rows import DataError, Stem

TOGETHER, APART = 0.5, 0.1
"""Takes are alternatives if they share so much of the time in which the shorter one plays, and no versions below `APART`."""
_WHOLE = 0.8
"""A take that plays less than this share of the longest was broken off."""
COHERENCE, COMMON_MOTION = 0.66, 0.9
"""From either of these on, two signals are one performance."""
SURE_COHERENCE, SURE_COMMON_MOTION = 0.85, 0.95
"""Below both, the later one may still be an effect alone: the earlier one is used, which lacks nothing."""
COMMON_RHYTHM = 0.7
"""From this on, two signals have the same onsets."""
_TAKES = frozenset(["take", "tk", "toma", "prise", "version", "ver", "v"])
_OTHERS = frozenset(["alt", "alternate", "alternative", "outtake"])
_STRUCK = ("drums", "percussion")
"""Families in which `alt` is another sound of the same hits. Elsewhere it may be the alto or a second part."""
_VOICED = ("choir", "backing vocals", "strings", "string section")
"""Instruments in which `v` may number voices or violins, as in `Choir V1`."""
_EARLIER = frozenset(
    [
        *("dry", "raw", "untuned", "unprocessed", "unproc", "unedited", "old", "orig", "original"),
        *("copy", "backup", "unused", "scratch", "guide", "demo"),
    ]
)
_LATER = frozenset(
    ["wet", "tuned", "autotuned", "autotune", "melodyne", "processed", "proc", "edited", "edit", "denoised", "new", "final"]
)
_GUIDES = frozenset(
    ["scratch", "guide", "pilot", "placeholder", "reference", "ref", "temp", "temporary", "tmp", "demo", "unused"]
)
"""Words of takes by which others were played, and which no final mix holds."""
_PERHAPS_GUIDES = frozenset(["old", "rough"])
"""The same beside a stem of the same name; an old piano and a rough guitar may be instruments of their own."""
_GUIDED = ("vocals", "guitar", "bass", "drums")
"""Families of which one instrument may guide another. Elsewhere it guides the same instrument."""
_MAIN = frozenset(["lead", "ld", "main", "final", "new", "comp"])
"""Words of the take that is used."""
_COMPS = frozenset(["comp", "comped", "composite"])
_DIRECT, _AMPLIFIED = frozenset(["di", "direct"]), frozenset(["amp", "cab", "mic"])
_SAID = _TAKES | _OTHERS | _EARLIER | _LATER | _DIRECT | _AMPLIFIED
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")
_NUMBER = re.compile(r"^\d+[\s_.-]+(?=\D)|(?<=\d)[_-]\d\d$")
"""Numbers of tracks in front, and of regions behind a take: `08_Vox take 1_03`."""
_STAMP = re.compile(r"#\d+$|(?<=\D)-(?:\d{6}|\d{8})_\d{4}(?:\d\d)?(?:-\d+)?$")
"""By what programs tell takes of one track apart: `Drums#02`, and the time of recording in `01-Vox-230501_1201`."""
_SHORTEST_S, _LONGEST_S = 5, 600
"""Less is too little to compare, and more is not needed."""
_WINDOW = 4096
_FRAME_S = 0.05
_JITTER_FRAMES = 3
"""Onsets of takes differ by about 30 ms."""
_FAINT_FLUX = 0.1
"""An instrument rests where for a second no onset is stronger than this share of the strongest."""
_FLOOR_DB = 40.0

Source = tuple[Stem, ...]
"""A stem, or the two of split stereo."""
_Variant = tuple[str, ...]


class Version(NamedTuple):
    """A source that is another one's version, for certain or perhaps."""

    source: Source
    of: str
    certain: bool

    @property
    def detail(self) -> str:
        """Say what it is, and what was done."""
        if self.certain:
            return f"by its name and sound it is a version of {self.of}, which is used: to sum both, name them `1` and `2`"
        return f"by its name it may be a version of {self.of}, but not for certain: both are summed"


def find(sources: Sequence[Source], read: Callable[[Source], Stored], rate_hz: int) -> list[Version]:
    """Find the sources of one instrument that are versions of others of them.

    Args:
        sources: stems of one instrument.
        read: decodes a source at the working rate; it is called for those alone whose names may mean versions.
        rate_hz: the working rate.
    """
    groups: defaultdict[str, list[tuple[_Variant, Source]]] = defaultdict(list)
    for source in sources:
        name, words = _name(source[0].path)
        groups[name].append((words, source))
    found: list[Version] = []
    for group in groups.values():
        said = {word for words, _ in group for word in words if word in _SAID}
        if len(group) > 1 and said and said <= _DIRECT | _AMPLIFIED:
            found += _direct(group)
        elif len(group) > 1 and said:
            found += _versions(group, read, rate_hz)
    told = {version.source for version in found}
    return [*found, *(each for each in _comps(sources) if each.source not in told)]


def _comps(sources: Sequence[Source]) -> Iterator[Version]:
    """Tell of what may be cut together from takes beside it, `Vox Comp` beside `Vox 1`, or may be a compressed copy."""
    words = {source: _words(source[0]) for source in sources}
    for source, own in words.items():
        rest = own - _COMPS
        if rest and rest != own:
            of = next((other for other, theirs in words.items() if theirs - _TAKES == rest - _TAKES), None)
            if of:
                yield Version(source, of[0].path, False)


def guides(sources: Sequence[Source], read: Callable[[Source], Stored], rate_hz: int) -> list[Version]:
    """Find the takes of a song by which others were played: `Scratch Vox` beside `Lead Vox`.

    Args:
        sources: all stems of one song.
        read: decodes a source at the working rate; it is called for guides and for what they may be guides of.
        rate_hz: the working rate.
    """
    found: list[Version] = []
    frames = cache(lambda source: _plays(source, read, rate_hz))
    for source in (each for each in sources if _words(each[0]) & (_GUIDES | _PERHAPS_GUIDES)):
        try:
            others = [other for other in sources if _guides(source[0], other[0]) and frames(other).any()]
            shared = _covered(frames(source), [frames(other) for other in others]) if others else 0.0
        except DataError:
            continue  # it is rejected where it would be summed
        if shared > APART:
            found.append(Version(source, others[0][0].path, shared >= TOGETHER))
    return found


def _plays(source: Source, read: Callable[[Source], Stored], rate_hz: int) -> activity.Frames:
    """Tell when a source plays."""
    sound = read(source)
    plays = activity.detect(measures.levels_db(sound, rate_hz))
    sound.close()
    return plays


def _guides(one: Stem, other: Stem) -> bool:
    """Tell whether the names of two stems say that the first may be the guide of the second."""
    alike = one.family == other.family and one.family in _GUIDED and other.instrument not in _VOICED
    if not alike and one.instrument != other.instrument:
        return False
    words, others = _words(one), _words(other)
    if others & (_GUIDES | _PERHAPS_GUIDES) or not one.editable:
        return False
    return bool(words & _GUIDES) or (bool(words & _PERHAPS_GUIDES) and words - _PERHAPS_GUIDES - _MAIN == others - _MAIN)


def _words(stem: Stem) -> set[str]:
    return {word.lower() for word in _WORD.findall(PurePosixPath(stem.path).stem) if not word.isdigit()}


def _covered(plays: activity.Frames, others: Sequence[activity.Frames]) -> float:
    """Find the share of the time in which one plays that any of others plays, too."""
    union = np.zeros_like(plays)
    for other in others:
        frames = min(len(union), len(other))
        union[:frames] |= other[:frames]
    return float((plays & union).sum()) / max(1, int(plays.sum()))


def coherence(one: Samples, other: Samples) -> float:
    """Measure how much of two signals `(T,)` is one signal through a filter, weighted by power: 0 to 1."""
    from scipy.signal import csd, welch

    _, cross = csd(one, other, nperseg=_WINDOW)
    power = np.sqrt(welch(one, nperseg=_WINDOW)[1] * welch(other, nperseg=_WINDOW)[1])
    return float((np.abs(cross) ** 2 / np.maximum(power, 1e-30)).sum() / max(power.sum(), 1e-30))


def common_motion(one: Samples, other: Samples, rate_hz: int) -> float:
    """Correlate the changes of two signals' levels from frame to frame: -1 to 1."""
    changes = [np.diff(_levels_db(each, rate_hz)) for each in (one, other)]
    scale = np.linalg.norm(changes[0]) * np.linalg.norm(changes[1])
    return float(changes[0] @ changes[1] / scale) if scale else 0.0


def common_rhythm(one: Samples, other: Samples, rate_hz: int) -> float:
    """Correlate how strongly notes begin in two signals `(T,)`, in the seconds in which both play: -1 to 1."""
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d

    flux = [gaussian_filter1d(grid_check.onset_envelope(each, rate_hz), _JITTER_FRAMES) for each in (one, other)]
    plays = [maximum_filter1d(each, 2 * grid_check.ENVELOPE_HZ) > _FAINT_FLUX * each.max(initial=0.0) for each in flux]
    one_flux, other_flux = (each[plays[0] & plays[1]] for each in flux)
    if not len(one_flux) or not one_flux.std() * other_flux.std():
        return 0.0
    return float(np.corrcoef(one_flux, other_flux)[0, 1])


def _levels_db(samples: Samples, rate_hz: int) -> activity.Levels:
    frame = round(_FRAME_S * rate_hz)
    power = np.square(samples[: len(samples) // frame * frame], dtype=np.float64).reshape(-1, frame).mean(axis=1)
    levels = 10 * np.log10(np.maximum(power, 1e-12))
    return np.asarray(np.maximum(levels, levels.max(initial=-120.0) - _FLOOR_DB))


def _name(path: str) -> tuple[str, _Variant]:
    """Split a name into what stays without the words of its version, and those words with their numbers."""
    file = PurePosixPath(path)
    stem = _STAMP.sub("", file.stem)
    # The number in front is that of the track: two tracks of one name are doubles.
    words = [word.lower() for word in _WORD.findall(stem if stem != file.stem else _NUMBER.sub("", stem))]
    number = re.compile(r"\d+|[a-z]")
    own, variant = list[str](), ["take", file.stem[len(stem) :]] if stem != file.stem else list[str]()
    for place, word in enumerate(words):
        after = words[place + 1] if place + 1 < len(words) else ""
        # `V1 Violin` is no version; nor is a `v` without a number.
        says = word in _SAID and (word != "v" or (place > 0 and bool(number.fullmatch(after))))
        counts = bool(place and variant) and words[place - 1] == variant[-1] in _TAKES | _OTHERS and bool(number.fullmatch(word))
        (variant if says or counts else own).append(word)
    return f"{file.parent}/{' '.join(own)}", tuple(variant)


def _takes(stem: Stem) -> frozenset[str]:
    """List the words that mean another take of a stem, where it plays at the same time."""
    alike = _TAKES | _OTHERS if stem.family in _STRUCK else _TAKES
    return alike - {"v"} if stem.instrument in _VOICED else alike


def _rank(words: _Variant) -> int:
    """Order versions by how finished they are."""
    return any(word in _LATER for word in words) - any(word in _EARLIER | _OTHERS for word in words)


def _direct(group: Sequence[tuple[_Variant, Source]]) -> Iterator[Version]:
    """Tell of a guitar's signal before the amplifier: a bass is often mixed of both, a guitar is rarely."""
    direct = [source for words, source in group if {*words} & _DIRECT]
    others = [source for words, source in group if not {*words} & _DIRECT]
    for source in direct if others else ():
        if source[0].family == "guitar" and "acoustic" not in source[0].instrument:
            yield Version(source, others[0][0].path, False)


def _versions(group: Sequence[tuple[_Variant, Source]], read: Callable[[Source], Stored], rate_hz: int) -> Iterator[Version]:
    """Compare the sources of one name, the most finished first, broken-off ones last; doubles are not compared.

    Takes stay in their order, so that the stems of a band are of one take.
    """
    plays: dict[int, activity.Frames] = {}
    for number, (_, source) in enumerate(group):
        with suppress(DataError):  # it is rejected where it would be summed
            plays[number] = _plays(source, read, rate_hz)
    doubles = {number for number in plays if not group[number][0]}
    kept: list[int] = []
    most = max((int(each.sum()) for each in plays.values()), default=0)
    for number in sorted(plays, key=lambda number: (-_rank(group[number][0]), plays[number].sum() < _WHOLE * most)):
        words, source = group[number]
        compared = kept if number not in doubles or len(doubles) == 1 else []
        told: dict[bool, str] = {}
        unsure: list[int] = []
        for other in compared:
            shared = _shared(plays[number], plays[other])
            if shared > APART and words != group[other][0]:
                says, beside = {*words, *group[other][0]} & _SAID, group[other][1]
                if says <= _takes(source[0]):
                    alike = shared >= TOGETHER and (not says & _OTHERS or _is_alternative(source, beside, read, rate_hz))
                else:
                    alike, sure = _are_one(source, beside, read, rate_hz)
                    if alike and not sure and _rank(words) < _rank(group[other][0]):
                        unsure.append(other)
                        continue
                told.setdefault(alike, beside[0].path)
        if True not in told:
            yield from (Version(group[other][1], source[0].path, True) for other in unsure)
            kept = [each for each in kept if each not in unsure]
        if told:
            yield Version(source, told.get(True) or told[False], True in told)
        kept += [] if True in told else [number]


def _shared(one: activity.Frames, other: activity.Frames) -> float:
    """Find the share of the time in which the shorter one plays that the other one plays, too."""
    frames = min(len(one), len(other))
    return float((one[:frames] & other[:frames]).sum()) / max(1, min(int(one.sum()), int(other.sum())))


def _are_one(one: Source, other: Source, read: Callable[[Source], Stored], rate_hz: int) -> tuple[bool, bool]:
    """Tell whether two sources are one performance, and whether that is sure."""
    first, second = _beginnings(one, other, read, rate_hz)
    if len(first) < _SHORTEST_S * rate_hz:
        return False, False
    alike, moving = coherence(first, second), common_motion(first, second, rate_hz)
    return alike >= COHERENCE or moving >= COMMON_MOTION, alike >= SURE_COHERENCE or moving >= SURE_COMMON_MOTION


def _is_alternative(one: Source, other: Source, read: Callable[[Source], Stored], rate_hz: int) -> bool:
    """Tell whether two sources of struck instruments have one rhythm; what is too short may have."""
    first, second = _beginnings(one, other, read, rate_hz)
    return len(first) < _SHORTEST_S * rate_hz or common_rhythm(first, second, rate_hz) >= COMMON_RHYTHM


def _beginnings(one: Source, other: Source, read: Callable[[Source], Stored], rate_hz: int) -> tuple[Samples, Samples]:
    """Read as much of two sources as both have, up to 10 minutes, in mono."""
    sounds = [read(one), read(other)]
    length = min(*map(len, sounds), _LONGEST_S * rate_hz)
    first, second = (mono(sound, 0, length) for sound in sounds)
    for sound in sounds:
        sound.close()
    return first, second
