"""Add: the target is the source, 1 to 4 parts, and one part more."""

from functools import partial

import numpy as np

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.pairing import edits
from instructme.dataset_tools.pairing.combinations import Ints
from instructme.dataset_tools.pairing.recipes import Sides
from instructme.dataset_tools.sharding.laws import ROUNDING, ReadPart, off, total
from instructme.manifests.rows import Triplet

ORDER = 0
SHARE = 3
TEMPLATES = ("add {instrument}", "Add {instrument}")
PHRASES = (
    *(f"{verb} {{instrument}}" for verb in ("add", "insert", "include", "layer", "put", "bring", "introduce", "overlay")),
    *(f"{verb} {{instrument}}" for verb in ("generate", "create", "compose", "write")),
    *(f"{verb} in {{instrument}}" for verb in ("put", "bring", "add", "throw", "mix", "layer", "drop", "sprinkle")),
    "sprinkle {instrument}",
    *(f"{verb} {{instrument}} in" for verb in ("put", "bring", "mix", "throw", "sprinkle")),
    *(
        f"{verb} {{instrument}} {place}"
        for verb in ("put", "bring", "mix", "throw")
        for place in ("on top", "over it", "in there")
    ),
    *(f"{verb} {{instrument}}" for verb in ("accompany it with", "give it", "it needs")),
    "with {instrument} added",
    *(f"{verb} {{instrument}} in it" for verb in ("i want", "i need")),
)
FIELDS = {"instrument": "added"}
KEEPS = "all"
BRINGS = True
CHAINS = True
SPLIT_NEEDS_PARTS = False


def sides(edited: Ints, other: Ints, bed: Ints) -> Sides:
    """Bring the edited part to the bed."""
    return Sides(source=bed, target=bed | edited, named=np.zeros_like(bed), added=edited)


draw = partial(edits.draw, sides, 1)


def law(recipe: Triplet, source: Samples, target: Samples, gain: float, part: ReadPart, **_: object) -> str | None:
    """Check that source and bed agree, and that target - source is the added part, each within rounding."""
    bed = off("source", source - total(recipe.source_instruments, part, gain), ROUNDING)
    return bed or off("target - source", target - source - total(recipe.added, part, gain), 2 * ROUNDING)


def split(source: Samples, target: Samples, **_: object) -> tuple[Samples, Samples]:
    """Bring in what the target has beyond the source."""
    return np.zeros_like(source), target - source


def compose(source: Samples, removed: Samples, added: Samples) -> Samples:
    """Lay what is brought over the source."""
    return source + added
