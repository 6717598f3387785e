"""Rebalance: the target is the source with one of its 2 to 5 parts louder or quieter by some decibels."""

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.pairing import edits
from instructme.dataset_tools.pairing.combinations import Ints
from instructme.dataset_tools.pairing.edits import PairOptions
from instructme.dataset_tools.pairing.pool import Pool
from instructme.dataset_tools.pairing.recipes import Drawn, Sides
from instructme.dataset_tools.sharding.laws import ROUNDING, ReadPart, louder_by, off, total
from instructme.manifests.rows import Triplet

_VERBS = (
    *("turn up", "turn down", "raise", "boost", "bring up", "bring down", "lower", "increase", "amplify", "reduce", "decrease"),
    *("crank up", "crank", "pump up", "bump", "bump up", "bump down", "tone down", "attenuate", "dial down", "dial back"),
    "pull back",
)
_WAYS = ("louder", "quieter", "softer", "less loud")
ORDER = 5
SHARE = 0
TEMPLATES = (
    "make the {instrument} louder",
    "make the {instrument} quieter",
    "turn {instrument} up by {gain} dB",
    "turn {instrument} down by {gain} dB",
)
PHRASES = (
    *(f"{verb} {{instrument}}" for verb in _VERBS),
    *(f"{verb} {{instrument}} by {{gain}} dB" for verb in (*_VERBS, "drop", "cut")),
    *(f"{verb} the {level} of {{instrument}}" for verb in _VERBS for level in ("volume", "level")),
    *(f"{verb} {{instrument}} {level}" for verb in _VERBS for level in ("volume", "level", "levels")),
    *(f"bring {{instrument}} {way}" for way in ("forward", "to the front")),
    *(f"{{instrument}} too {way}" for way in ("loud", "quiet", "soft")),
    *(f"{{instrument}} {be} loud enough" for be in ("is not", "isn't", "are not", "aren't")),
    *(f"i can {barely} hear {{instrument}}" for barely in ("barely", "hardly")),
    *(f"{verb} {{instrument}} {way}" for verb in ("turn", "bring", "push", "pull", "bump", "crank") for way in ("up", "down")),
    *(f"{verb} {{instrument}} {way}" for verb, way in (("pump", "up"), ("tone", "down"), ("dial", "down"))),
    *(f"{verb} {{instrument}} back" for verb in ("dial", "pull")),
    *(f"{verb} {{instrument}} {way} by {{gain}} dB" for verb in ("nudge", "bump") for way in ("up", "down")),
    *(f"nudge {way} {{instrument}} by {{gain}} dB" for way in ("up", "down")),
    *(f"{verb} {{gain}} dB {to} {{instrument}}" for verb, to in (("add", "to"), ("take", "off"), ("knock", "off"))),
    *(f"give {{instrument}} a {{gain}} dB {way}" for way in ("boost", "cut")),
    "give {instrument} a boost",
    *(f"give {{instrument}} {{gain}} dB {way}" for way in ("more", "less")),
    *(f"{{gain}} dB {way} on {{instrument}}" for way in ("up", "down", "more", "less")),
    *(f"turn the volume of {{instrument}} {way}" for way in ("up", "down")),
    *(f"make {{instrument}} {way}" for way in _WAYS),
    *(f"i want {{instrument}} to be {way}" for way in _WAYS),
    *(f"make {{instrument}} {{gain}} dB {way}" for way in _WAYS),
    *(f"{{instrument}} {way}" for way in (*_WAYS, "up", "down")),
    *(f"{{instrument}} {{gain}} dB {way}" for way in _WAYS),
    *(f"{way} {{instrument}}" for way in ("louder", "quieter", "softer", "less", "more")),
    *(f"{{instrument}} {be} {way}" for be in ("should be", "must be", "needs to be", "need to be") for way in _WAYS),
    *(f"{{instrument}} {be} too {way}" for be in ("is", "are") for way in ("loud", "quiet", "soft")),
    *(f"{verb} the {level} of {{instrument}}" for verb in ("double", "halve") for level in ("volume", "level")),
)
FIELDS = {"instrument": "named", "gain": "gain_db"}
KEEPS = "rest"
BRINGS = True
CHAINS = False
SPLIT_NEEDS_PARTS = False
USUAL_DB = 6
"""By how much, where an instruction doesn't say."""
GAINS_DB = np.array([-12, -9, -6, -3, 3, 6, 9, 12])
_DOWN = re.compile(
    r"\b(?:down|quieter|softer|lower|reduce|decrease|drop|cut|halve|less|too loud|attenuate|(?:dial|pull).* back|off)\b",
    re.IGNORECASE,
)


def sides(edited: Ints, other: Ints, bed: Ints) -> Sides:
    """Let the same parts sound before and after."""
    return Sides(source=bed | edited, target=bed | edited, named=edited, added=np.zeros_like(bed))


def draw(pool: Pool, count: int, rng: np.random.Generator, options: PairOptions) -> Drawn:
    """Draw different recipes, each with one of the gains."""
    drawn = edits.draw(sides, 1, pool, count, rng, options)
    drawn.recipes["gain_db"] = rng.choice(GAINS_DB, len(drawn.recipes))
    return drawn


def says(text: str, gain_db: Ints) -> npt.NDArray[np.bool_]:
    """Tell for which gains a text is right: its direction, and the usual amount where it gives none."""
    sign = -1 if _DOWN.search(text) else 1
    usual = np.abs(gain_db) == USUAL_DB
    return np.asarray((np.sign(gain_db) == sign) & (usual | ("{gain}" in text)))


def meant(text: str, amount_db: float | None) -> float:
    """Give the gain in dB that an instruction asks for."""
    amount_db = USUAL_DB if amount_db is None else amount_db
    return -amount_db if _DOWN.search(text) else amount_db


def law(recipe: Triplet, source: Samples, target: Samples, gain: float, part: ReadPart, **_: object) -> str | None:
    """Check that the source is the mix of its parts, and that target - source is (g - 1) times the named part."""
    mixed = off("source", source - total(recipe.source_instruments, part, gain), ROUNDING)
    turned = louder_by(recipe.gain_db) * total(recipe.named, part, gain)
    return mixed or off("target - source", target - source - turned, 2 * ROUNDING)


def split(source: Samples, target: Samples, *, recipe: Callable[[], Triplet], **_: object) -> tuple[Samples, Samples]:
    """Take away a share of the part, or bring as much more of it."""
    silence = np.zeros_like(source)
    return (source - target, silence) if (recipe().gain_db or 0) < 0 else (silence, target - source)


def compose(source: Samples, removed: Samples, added: Samples) -> Samples:
    """Put the changes into the source."""
    return source - removed + added


def from_part(mix: Samples, part: Samples, gain_db: float | None) -> Samples:
    """Edit a mix whose named part is known."""
    return mix + np.float32(louder_by(USUAL_DB if gain_db is None else gain_db)) * part
