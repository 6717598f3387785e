"""Find the stems of a song that are heard twice: sums of other stems, also at another time, and what overlaps with them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems import bus_effects, bus_sides, late_sums, mixtures
from instructme.dataset_tools.stems.mixtures import Overlap
from instructme.dataset_tools.stems.song_spectra import Spectra
from instructme.dataset_tools.stored import Stored
from instructme.manifests import free_names
from instructme.manifests.rows import Stem


@dataclass(frozen=True)
class DecodedStems:
    """The stems of a song as `prepare` decodes them."""

    stems: Sequence[Stem]
    sketches: Mapping[str, Samples]
    """The sketch of each stem, by its path."""
    spectra: Mapping[str, Spectra]
    """The spectra of each stem for `late_sums`, by its path."""
    read: Callable[[str], Stored]
    """Decodes a stem by its path; it is called for what is nearly a sum of others, and for stereo sums."""
    rate_hz: int
    channels: int
    scratch: Path

    @property
    def unnamed(self) -> set[str]:
        """List the stems whose names are no instrument's."""
        return {stem.path for stem in self.stems if stem.rule == "unmatched"}

    @property
    def groups(self) -> set[str]:
        """List the stems whose names are those of groups."""
        return {stem.path for stem in self.stems if (free_names.whole_name(stem.label) or ("", 0))[1] == free_names.GROUP}


def find(song: DecodedStems) -> list[Overlap]:
    """Find them by their sketches; what their names say decides how much is asked."""
    found = [_asked(each, song) for each in mixtures.overlaps(song.sketches, song.unnamed, song.groups)]
    sums = {each.name for each in found if each.is_sum}
    late = _late(song, sums)
    sums = {each.name for each in late if each.is_sum}
    found = [each for each in found if each.is_sum or not sums & {each.name, *each.holds}]
    return found + [each for each in late if each.is_sum or each.name not in {other.name for other in found}]


def _late(song: DecodedStems, sums: set[str]) -> list[Overlap]:
    """Find what is a sum of others, or overlaps with several, at another time: the clearest sum first. Sums explain nothing."""
    left = {name: each for name, each in song.spectra.items() if name not in sums}
    found: list[Overlap] = []
    while True:
        seen = [each for name, lag_s in late_sums.lags(left).items() if (each := _moved(song, {*left}, name, lag_s))]
        late = [each for each in seen if each.is_sum]
        if not late:
            return found + seen
        found.append(max(late, key=lambda each: each.share))
        del left[found[-1].name]


def _moved(song: DecodedStems, names: set[str], name: str, lag_s: float) -> Overlap | None:
    """Compare a stem with others as if it were earlier by a lag; None if it holds little of them, or of one alone."""
    sound = song.read(name)
    moved = late_sums.earlier(sound, lag_s, song.rate_hz, song.scratch)
    # Its file may have lost what it would hold at one of its ends.
    first, stop = max(-lag_s, 0) * song.rate_hz / mixtures.PIECE, (len(sound) - max(lag_s, 0) * song.rate_hz) / mixtures.PIECE
    sketches = {other: song.sketches[other] for other in names} | {name: mixtures.sketch(moved, song.rate_hz)}
    common = {other: sketch[math.ceil(first) : math.floor(stop)] for other, sketch in sketches.items()}
    seen = mixtures.overlaps(common, song.unnamed, song.groups)
    for each in (sound, moved):
        each.close()
    return next((_asked(each._replace(late_s=lag_s), song) for each in seen if each.name == name and len(each.holds) > 1), None)


def _asked(overlap: Overlap, song: DecodedStems) -> Overlap:
    """Listen to a stem where sketches don't tell enough: to sums in stereo, and to groups that may have effects."""
    may_be_bus = overlap.name in song.groups and len(overlap.holds) > 1 and overlap.share >= mixtures.OVERLAP
    return _heard(overlap, song) if (song.channels == 2 if overlap.is_sum else may_be_bus) else overlap


def _heard(overlap: Overlap, song: DecodedStems) -> Overlap:
    """Listen to a stem and what it holds: whether it is their bus with effects, and how much of both channels they explain."""
    bus, *members = sounds = [song.read(path) for path in (overlap.name, *overlap.holds)]
    if overlap.late_s:
        bus = late_sums.earlier(bus, overlap.late_s, song.rate_hz, song.scratch)
    is_sum = overlap.is_sum or bus_effects.explained(bus, members, song.rate_hz) >= mixtures.SUM
    share = bus_sides.explained(overlap.share, bus, members, song.rate_hz) if is_sum else overlap.share
    for sound in (bus, *sounds):
        sound.close()
    return overlap._replace(is_sum=is_sum, share=share)
