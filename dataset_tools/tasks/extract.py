"""Extract: the source is 2 to 5 parts, the target the named one of them alone."""

from functools import partial

import numpy as np

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.pairing import edits
from instructme.dataset_tools.pairing.combinations import Ints
from instructme.dataset_tools.pairing.recipes import Sides
from instructme.dataset_tools.sharding.laws import ROUNDING, ReadPart, off, total
from instructme.manifests.rows import Triplet

_ALONE = ("on its own", "on their own", "by itself", "by themselves", "in isolation")
_REMOVE = ("remove", "mute", "delete", "drop", "cut", "silence", "take out", "get rid of", "turn off", "switch off")
ORDER = 2
SHARE = 2
TEMPLATES = ("extract {instrument}", "Extract {instrument}")
PHRASES = (
    *(f"{verb} {{instrument}}" for verb in ("extract", "isolate", "solo", "separate", "keep only", "only keep", "keep just")),
    *(f"{verb} {only} {{instrument}}" for verb in ("extract", "isolate") for only in ("only", "just")),
    *(f"{verb} {{instrument}} from the rest" for verb in ("extract", "isolate", "separate")),
    "get {instrument} only",
    *(f"{verb} {{instrument}}" for verb in ("leave only", "leave just", "get only", "get just", "only", "just", "nothing but")),
    *(
        f"{verb} {all_but} {{instrument}}"
        for verb in (*_REMOVE, "lose", "ditch", "scrap", "nix")
        for all_but in ("everything but", "everything except", "all but", "all except")
    ),
    *(
        f"{keep} {{instrument}}{joined} {verb} the rest"
        for keep in ("keep", "keep only", "only")
        for joined in (" and", ",", ", and", " but")
        for verb in ("remove", "mute", "drop", "cut", "lose", "delete", "silence", "get rid of")
    ),
    *(f"{verb}everything off {but} {{instrument}}" for verb in ("", "turn ", "switch ") for but in ("but", "except")),
    *(f"{only} {{instrument}}{joined} nothing else" for only in ("only", "just", "keep only") for joined in (",", " and")),
    *(f"{verb} the rest and keep {{instrument}}" for verb in ("remove", "mute")),
    *(
        f"{verb}{{instrument}} {alone}"
        for verb in ("", "keep ")
        for alone in (*_ALONE, "only", "alone", "and nothing else", "with nothing else")
    ),
    *(f"{{instrument}} alone{joined} without {rest}" for joined in ("", ",") for rest in ("it", "the rest", "anything else")),
    *(f"{verb} {{instrument}} {alone}" for verb in ("extract", "isolate", "solo", "i want") for alone in (*_ALONE, "only")),
)
IDIOMS = {"acapella": "vocals"}
FIELDS = {"instrument": "named"}
KEEPS = "named"
BRINGS = False
CHAINS = False
SPLIT_NEEDS_PARTS = False


def sides(edited: Ints, other: Ints, bed: Ints) -> Sides:
    """Leave nothing but the edited part."""
    return Sides(source=bed | edited, target=edited, named=edited, added=np.zeros_like(bed))


draw = partial(edits.draw, sides, 1)


def law(recipe: Triplet, source: Samples, target: Samples, gain: float, part: ReadPart, **_: object) -> str | None:
    """Check that the target is the named part, and that source - target is the rest of the source, each within rounding."""
    alone = off("target", target - total(recipe.named, part, gain), ROUNDING)
    rest = [name for name in recipe.source_instruments if name not in recipe.named]
    return alone or off("source - target", source - target - total(rest, part, gain), 2 * ROUNDING)


def split(source: Samples, target: Samples, **_: object) -> tuple[Samples, Samples]:
    """Take out the rest of the source, and give the target as what is added."""
    return source - target, target


def compose(source: Samples, removed: Samples, added: Samples) -> Samples:
    """Take what is added: it is a part of the source."""
    return added


def from_part(mix: Samples, part: Samples, gain_db: float | None) -> Samples:
    """Edit a mix whose named part is known."""
    return part
