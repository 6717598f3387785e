"""Find the stems of a song that are heard twice: sums of other stems, and what overlaps with them."""

from collections.abc import Callable, Mapping, Sequence

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems import bus_effects, mixtures
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
        read: decodes a stem by its path; it is called for groups that are not quite the sum of others.
        rate_hz: the rate at which stems are decoded.
    """
    unnamed = {stem.path for stem in stems if stem.rule == "unmatched"}
    groups = {stem.path for stem in stems if (free_names.whole_name(stem.label) or ("", 0))[1] == free_names.GROUP}
    return [
        each._replace(is_sum=each.is_sum or (each.name in groups and _adds_effects(each, read, rate_hz)))
        for each in mixtures.overlaps(sketches, unnamed, groups)
    ]


def _adds_effects(overlap: mixtures.Overlap, read: Callable[[str], Stored], rate_hz: int) -> bool:
    """Tell whether a stem is the sum of several others with effects, such as a bus of drums with a reverberation."""
    if len(overlap.holds) < 2 or overlap.share < mixtures.OVERLAP:
        return False
    sounds = [read(path) for path in (overlap.name, *overlap.holds)]
    share = bus_effects.explained(sounds[0], sounds[1:], rate_hz)
    for sound in sounds:
        sound.close()
    return share >= mixtures.SUM
