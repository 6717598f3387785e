"""Find the stems of a song that are heard twice: sums of other stems, and what overlaps with them."""

from collections.abc import Callable, Mapping, Sequence

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems import bus_effects, bus_sides, mixtures
from instructme.dataset_tools.stored import Stored
from instructme.manifests import free_names
from instructme.manifests.rows import Stem


def find(
    stems: Sequence[Stem], sketches: Mapping[str, Samples], read: Callable[[str], Stored], rate_hz: int
) -> list[mixtures.Overlap]:
    """Find them by their sketches; what their names say decides how much is asked.

    Args:
        stems: those of one song.
        sketches: the sketch of each stem, by its path.
        read: decodes a stem by its path; it is called for sums of others, and for groups that are nearly one.
        rate_hz: the rate at which stems are decoded.
    """
    unnamed = {stem.path for stem in stems if stem.rule == "unmatched"}
    groups = {stem.path for stem in stems if (free_names.whole_name(stem.label) or ("", 0))[1] == free_names.GROUP}
    found = mixtures.overlaps(sketches, unnamed, groups)
    return [_heard(each, each.name in groups, read, rate_hz) if len(each.holds) > 1 else each for each in found]


def _heard(overlap: mixtures.Overlap, is_group: bool, read: Callable[[str], Stored], rate_hz: int) -> mixtures.Overlap:
    """Listen to a stem and what it holds: whether it is their bus with effects, and how much of both channels they explain."""
    may_be = is_group and not overlap.is_sum and overlap.share >= mixtures.OVERLAP
    if not overlap.is_sum and not may_be:
        return overlap
    bus, *members = sounds = [read(path) for path in (overlap.name, *overlap.holds)]
    is_sum = overlap.is_sum or bus_effects.explained(bus, members, rate_hz) >= mixtures.SUM
    share = bus_sides.explained(overlap.share, bus, members, rate_hz) if is_sum else overlap.share
    for sound in sounds:
        sound.close()
    return overlap._replace(is_sum=is_sum, share=share)
