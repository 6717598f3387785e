"""Remove: add with the sides swapped; the source is 2 to 5 parts, the target all but the named one."""

from functools import partial

import numpy as np

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.pairing import edits
from instructme.dataset_tools.pairing.combinations import Ints
from instructme.dataset_tools.pairing.recipes import Sides
from instructme.dataset_tools.sharding.laws import ROUNDING, ReadPart, off, total
from instructme.manifests.rows import Triplet

ORDER = 1
SHARE = 2
TEMPLATES = ("remove {instrument}", "Remove {instrument}")
PHRASES = (
    *(f"{verb} {{instrument}}" for verb in ("remove", "delete", "drop", "mute", "erase", "cut", "strip", "eliminate")),
    *(f"{verb} {{instrument}}" for verb in ("kill", "silence", "lose", "ditch", "omit", "exclude", "subtract", "get rid of")),
    *(f"{verb} {{instrument}}" for verb in ("nix", "scrap", "sans", "it minus")),
    *(f"{verb} out {{instrument}}" for verb in ("take", "cut", "strip", "leave", "filter", "edit")),
    *(f"{verb} {{instrument}} out" for verb in ("take", "cut", "strip", "leave", "filter", "edit", "get")),
    *(f"{verb} away {{instrument}}" for verb in ("take", "strip", "cut")),
    *(f"{verb} {{instrument}} away" for verb in ("take", "strip", "cut")),
    *(f"{verb} off {{instrument}}" for verb in ("turn", "switch")),
    *(f"{verb} {{instrument}} off" for verb in ("turn", "switch")),
    *(
        f"{start} {{instrument}}"
        for start in ("no", "without", "minus", "with no", "no more", "it without", "play it without", "it with no")
    ),
    *(f"{start} {{instrument}}" for start in ("do without", "i don't want", "i don't want to hear", "there should be no")),
    *(
        f"{verb} {{instrument}}{joined} {keep} the rest"
        for verb in ("remove", "mute")
        for joined in (" and", ",", " but")
        for keep in ("keep", "leave")
    ),
    *(f"{start}everything {but} {{instrument}}" for start in ("", "keep ") for but in ("but", "except", "minus", "without")),
    "{instrument} off",
    "{instrument} out",
    "{instrument} gone",
    "{instrument} removed",
    "{instrument} muted",
    "{instrument} deleted",
)
IDIOMS = {"karaoke": "vocals", "instrumental": "vocals"}
FIELDS = {"instrument": "named"}
KEEPS = "rest"
BRINGS = False
CHAINS = True
SPLIT_NEEDS_PARTS = False


def sides(edited: Ints, other: Ints, bed: Ints) -> Sides:
    """Take the edited part from the bed."""
    return Sides(source=bed | edited, target=bed, named=edited, added=np.zeros_like(bed))


draw = partial(edits.draw, sides, 1)


def law(recipe: Triplet, source: Samples, target: Samples, gain: float, part: ReadPart, **_: object) -> str | None:
    """Check that target and bed agree, and that source - target is the removed part, each within rounding."""
    bed = off("target", target - total(recipe.target_instruments, part, gain), ROUNDING)
    return bed or off("source - target", source - target - total(recipe.named, part, gain), 2 * ROUNDING)


def split(source: Samples, target: Samples, **_: object) -> tuple[Samples, Samples]:
    """Take out what the source has beyond the target."""
    return source - target, np.zeros_like(source)


def compose(source: Samples, removed: Samples, added: Samples) -> Samples:
    """Leave the source without what is removed."""
    return source - removed


def from_part(mix: Samples, part: Samples, gain_db: float | None) -> Samples:
    """Edit a mix whose named part is known."""
    return mix - part
