"""Remix: the source is the full mix of a clip, the target another track of the same rhythm, beat on beat.

The target is 2 to 5 named parts, of which nothing else sounds, or the full mix of a track of another genre. Lead and vocal
parts are left out of both sides: the source's can then be laid over a result, as the paper's authors do for listening.
"""

from typing import NamedTuple

import numpy as np

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.pairing import combinations, matching
from instructme.dataset_tools.pairing.combinations import Floats, Ints, bits, popcount, subsets
from instructme.dataset_tools.pairing.edits import PairOptions, rarity, track_weights
from instructme.dataset_tools.pairing.matching import Matches
from instructme.dataset_tools.pairing.pool import Pool
from instructme.dataset_tools.pairing.recipes import Drawn, RecipeArray, blank
from instructme.dataset_tools.sharding.laws import ROUNDING, ReadPart, off, off_the_beat, off_the_levels, total
from instructme.manifests.rows import Triplet

ORDER = 4
SHARE = 10
TEMPLATES = (
    "remix with {instruments}",
    "Remix with {instruments}",
    "remix to {genre} genre",
    "Remix to {genre} genre",
    "Remix with {genre}",
)
PHRASES = (
    *(f"{verb} {way} {{instruments}}" for verb in ("remix", "rearrange", "arrange it", "play it") for way in ("with", "for")),
    *(f"{verb} it {way} {{instruments}}" for verb in ("remix", "rearrange") for way in ("with", "for")),
    *(f"{verb} {way} {{genre}}" for verb in ("remix", "remix it") for way in ("to", "into", "as", "in", "with")),
    *(f"{verb} it {way} {{genre}}" for verb in ("turn", "change", "convert", "transform") for way in ("to", "into")),
    *(
        f"{verb} {{genre}}"
        for verb in (
            "make it",
            "make it sound like",
            "make it sound more like",
            "make it more",
            "play it as",
            "play it in",
            "cover it as",
        )
    ),
    *(
        f"{verb} {aspect} {way} {{genre}}"
        for verb in ("change", "switch", "set", "transform")
        for aspect in ("the genre", "the style", "genre", "style")
        for way in ("to", "into")
    ),
    "convert to {genre}",
    *(f"{start}in the style of {{genre}}" for start in ("", "i want it ")),
    "give it {genre}",
    "{genre} remix",
    "{genre} version",
    *(f"same song{comma} but {way}{{genre}}" for comma in ("", ",") for way in ("", "in ", "as ", "make it ")),
    *(f"{verb} with {{instruments}} in {way}{{genre}}" for way in ("the style of ", "") for verb in ("remix", "remix it")),
    *(f"{verb} to {{genre}} with {{instruments}}" for verb in ("remix", "remix it")),
    *(f"{verb} it into {{genre}} with {{instruments}}" for verb in ("turn", "change", "convert", "transform")),
    "make it {genre} with {instruments}",
    *(f"{{genre}} {version} with {{instruments}}" for version in ("version", "remix")),
)
FIELDS = {"instruments": "added", "genre": "genre"}
KEEPS = "none"
BRINGS = True
CHAINS = False
SPLIT_NEEDS_PARTS = False
NAMED_SIZES = np.arange(2, 6)
"""How many parts an instruction names."""
FEWEST_MATCHES = 64
"""Target windows that are kept for each clip, at least."""


def draw(pool: Pool, count: int, rng: np.random.Generator, options: PairOptions) -> Drawn:
    """Draw different recipes: find windows that match, then choose what the instruction asks of them."""
    most, searched = max(FEWEST_MATCHES, 4 * count // max(len(pool.windows), 1)), matching.SEARCHED
    while True:
        found = matching.find(pool, most, rng, options, searched)
        matches = found.matches
        lengths = np.ceil(pool.windows["length"][matches["window"]] * matches["stretch"]).astype(np.int64)
        sounds, _, usable = pool.curves.hear(matches["track"], matches["start"], lengths)
        leads = pool.leads[matches["track"]]
        units = _choices(pool, matches, sounds & ~leads, usable & ~leads, options)
        existing = int(subsets(units.mask, units.size).sum())
        if found.exhaustive or existing >= 2 * count:
            break
        most, searched = 4 * most, 4 * searched
    unit, named = combinations.draw(units.mask, units.size, units.weight, count, rng)
    match, by_genre = units.match[unit], units.size[unit] == 0
    recipes = _recipes(pool, matches[match], np.where(by_genre, (sounds & ~leads)[match], named))
    recipes["added"] = named
    recipes["genre"] = np.where(by_genre, pool.genre[recipes["target_track"]], -1)
    no_genre = pool.windows["track"][pool.genre[pool.windows["track"]] < 0]
    return Drawn(recipes, existing, found.exhaustive, {**found.unmatched, "no_genre": no_genre})


def _recipes(pool: Pool, matches: Matches, target: Ints) -> RecipeArray:
    windows = pool.windows[matches["window"]]
    leads = pool.leads[windows["track"]]
    recipes = blank(windows)
    recipes["source"], recipes["left_out"], recipes["target"] = windows["sounds"] & ~leads, windows["sounds"] & leads, target
    recipes["target_track"], recipes["target_start"] = matches["track"], matches["start"]
    recipes["stretch"], recipes["beat_error_ms"] = matches["stretch"], matches["error_ms"]
    recipes["chord_agreement"] = matches["agreement"]
    return recipes


class _Units(NamedTuple):
    """Choices of `size` parts of a mask, or of the genre where it is 0: the match they belong to, and their weight."""

    match: Ints
    mask: Ints
    size: Ints
    weight: Floats


def _choices(pool: Pool, matches: Matches, full: Ints, usable: Ints, options: PairOptions) -> _Units:
    """List what an instruction can ask of each match; each window has the same weight, half of it for genres."""
    track, parts = matches["track"], popcount(usable)
    genre, own = pool.genre[track], pool.genre[pool.windows["track"][matches["window"]]]
    by_genre = np.flatnonzero((genre >= 0) & (own >= 0) & (genre != own) & (popcount(full) >= NAMED_SIZES[0]))
    by_parts = np.flatnonzero(parts >= NAMED_SIZES[0])
    weight = 1.0 / np.bincount(matches["window"])[matches["window"]]
    weight = weight * track_weights(pool, options)[pool.windows["track"][matches["window"]]]
    genre_rarity = np.bincount(genre[by_genre])[genre[by_genre]] ** -options.balance
    rare = bits(usable[by_parts], pool.parts.shape[1]) * rarity(pool, options.balance)[track[by_parts]]
    part_rarity = rare.sum(axis=1) / parts[by_parts]
    match = np.repeat(by_parts, len(NAMED_SIZES))
    size = np.tile(NAMED_SIZES, len(by_parts))
    possible = np.minimum(parts[match], NAMED_SIZES[-1]) - 1
    parts_weight = np.repeat(_level(part_rarity) * weight[by_parts], len(NAMED_SIZES)) / possible
    named, none = (match, usable[match], size, parts_weight), np.zeros_like(by_genre)
    genres = (by_genre, none, none, _level(genre_rarity) * weight[by_genre])
    return _Units(*map(np.concatenate, zip(named, genres, strict=True)))


def _level(values: Floats) -> Floats:
    """Scale weights to a mean of 1."""
    return values / values.mean() if len(values) else values


def law(
    recipe: Triplet,
    source: Samples,
    target: Samples,
    gain: float,
    part: ReadPart,
    *,
    target_part: ReadPart,
    source_beats_samples: Ints,
    rate_hz: int,
    **_: object,
) -> str | None:
    """Check that the source is the full mix less its leads, that onsets of the target lie on the source's beats, and its parts.

    The beats count from the start of the source window. What `off_the_beat` can't hear is not found here. A target that was
    stretched in time is compared with the levels of its parts.
    """
    mixed = off("source", source - total(recipe.source_instruments, part, gain), ROUNDING)
    if broken := mixed or off_the_beat(target, source_beats_samples, rate_hz):
        return broken
    parts = total(recipe.target_instruments, target_part, gain)
    return off("target", target - parts, ROUNDING) if recipe.target_stretch == 1.0 else off_the_levels(target, parts)


def split(source: Samples, target: Samples, **_: object) -> tuple[Samples, Samples]:
    """Take out all of the source, and bring in all of the target."""
    return source, target


def compose(source: Samples, removed: Samples, added: Samples) -> Samples:
    """Take what is added: it is another piece of music."""
    return added
