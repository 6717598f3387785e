"""Replace: the same bed of 1 to 4 parts, one instrument on the source side, another one on the target side."""

from collections.abc import Callable
from functools import partial

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.pairing import edits
from instructme.dataset_tools.pairing.combinations import Ints
from instructme.dataset_tools.pairing.recipes import Sides
from instructme.dataset_tools.sharding.laws import ROUNDING, ReadPart, off, total
from instructme.manifests.rows import Triplet

ORDER = 3
SHARE = 3
TEMPLATES = (
    "replace {instrument_a} with {instrument_b}",
    "Replace {instrument_a} with {instrument_b}",
)
PHRASES = (
    *(f"{verb} {{instrument_a}} with {{instrument_b}}" for verb in ("replace", "swap", "swap out", "exchange", "substitute")),
    *(f"{verb} {{instrument_a}} for {{instrument_b}}" for verb in ("swap", "swap out", "exchange", "switch", "trade")),
    *(f"{verb} {{instrument_a}} by {{instrument_b}}" for verb in ("replace", "substitute")),
    *(
        f"{verb} {{instrument_a}} {into} {{instrument_b}}"
        for verb in ("change", "switch", "convert", "transform", "turn", "make")
        for into in ("into", "to")
    ),
    *(f"make {{instrument_a}} {article} {{instrument_b}}" for article in ("a", "an")),
    *(
        f"{verb} from {{instrument_a}} to {{instrument_b}}"
        for verb in ("change", "switch", "change the instrument", "switch the instrument", "change the timbre")
    ),
    "change the timbre of {instrument_a} to {instrument_b}",
    *(f"make {{instrument_a}} {sound} like {{instrument_b}}" for sound in ("sound", "sound more")),
    "let {instrument_b} play instead of {instrument_a}",
    *(f"{let} {{instrument_b}} play {{instrument_a}}" for let in ("let", "have")),
    "play {instrument_a} on {instrument_b}",
    "substitute {instrument_b} for {instrument_a}",
    *(
        f"{verb}{{instrument_b}} {instead} {{instrument_a}}"
        for verb in ("", "use ", "put ", "add ")
        for instead in ("instead of", "in place of")
    ),
    *(
        f"instead of {{instrument_a}}{comma} {verb} {{instrument_b}}"
        for comma in ("", ",")
        for verb in ("use", "put in", "play", "add", "i want")
    ),
)
HALVES = ("remove", "add")
FIELDS = {"instrument_a": "named", "instrument_b": "added"}
KEEPS = "rest"
BRINGS = True
CHAINS = True
SPLIT_NEEDS_PARTS = True


def sides(edited: Ints, other: Ints, bed: Ints) -> Sides:
    """Put the other part in the place of the edited one."""
    return Sides(source=bed | edited, target=bed | other, named=edited, added=other)


draw = partial(edits.draw, sides, 2)


def law(recipe: Triplet, source: Samples, target: Samples, gain: float, part: ReadPart, **_: object) -> str | None:
    """Check that source and its parts agree, and that target - source is one part less the other, each within rounding."""
    mixed = off("source", source - total(recipe.source_instruments, part, gain), ROUNDING)
    brought = total(recipe.added, part, gain) - total(recipe.named, part, gain)
    return mixed or off("target - source", target - source - brought, 2 * ROUNDING)


def split(
    source: Samples, target: Samples, *, exchanged: Callable[[], tuple[Samples, Samples]], **_: object
) -> tuple[Samples, Samples]:
    """Render the part of each side again: the difference of both sides holds one less the other."""
    return exchanged()


def compose(source: Samples, removed: Samples, added: Samples) -> Samples:
    """Put one part in the place of the other."""
    return source - removed + added
