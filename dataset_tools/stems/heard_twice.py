"""Find the stems of a song that are heard twice: sums of other stems, and what overlaps with them."""

from collections.abc import Callable, Collection, Mapping, Sequence

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems import bus_effects, bus_sides, mixtures
from instructme.dataset_tools.stored import Stored
from instructme.manifests import free_names
from instructme.manifests.rows import Stem


def find(
    stems: Sequence[Stem], sketches: Mapping[str, Samples], read: Callable[[str], Stored], rate_hz: int, channels: int
) -> list[mixtures.Overlap]:
    """Find them by their sketches; what their names say decides how much is asked.

    Args:
        stems: those of one song.
        sketches: the sketch of each stem, by its path.
        read: decodes a stem by its path; it is called for groups that are nearly the sum of others, and for stereo sums.
        rate_hz: the rate at which stems are decoded.
        channels: how many channels they are decoded to.
    """
    unnamed = {stem.path for stem in stems if stem.rule == "unmatched"}
    groups = {stem.path for stem in stems if (free_names.whole_name(stem.label) or ("", 0))[1] == free_names.GROUP}
    found = mixtures.overlaps(sketches, unnamed, groups)
    return [
        _heard(each, read, rate_hz) if (channels == 2 if each.is_sum else _may_be_bus(each, groups)) else each for each in found
    ]


def _may_be_bus(overlap: mixtures.Overlap, groups: Collection[str]) -> bool:
    return overlap.name in groups and len(overlap.holds) > 1 and overlap.share >= mixtures.OVERLAP


def _heard(overlap: mixtures.Overlap, read: Callable[[str], Stored], rate_hz: int) -> mixtures.Overlap:
    """Listen to a stem and what it holds: whether it is their bus with effects, and how much of both channels they explain."""
    bus, *members = sounds = [read(path) for path in (overlap.name, *overlap.holds)]
    is_sum = overlap.is_sum or bus_effects.explained(bus, members, rate_hz) >= mixtures.SUM
    share = bus_sides.explained(overlap.share, bus, members, rate_hz) if is_sum else overlap.share
    for sound in sounds:
        sound.close()
    return overlap._replace(is_sum=is_sum, share=share)
