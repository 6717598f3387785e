"""Draw chains: edits of one window that follow each other, each with its target (paper, Figure 5)."""

from collections.abc import Mapping
from types import ModuleType

import numpy as np

from instructme.dataset_tools.pairing.combinations import Floats, Ints, pick, popcount
from instructme.dataset_tools.pairing.edits import BED_SIZES, PairOptions, rarity
from instructme.dataset_tools.pairing.pool import Pool
from instructme.dataset_tools.pairing.recipes import RECIPE, RecipeArray, of_sides

MOST = int(BED_SIZES.max()) + 1
"""Most parts that sound at any time: the longest source of a single edit."""
_TRIES = 8


def draw(
    pool: Pool, modules: Mapping[str, ModuleType], count: int, rounds: int, rng: np.random.Generator, options: PairOptions
) -> RecipeArray:
    """Draw different chains of `rounds` edits; the target of each round is the source of the next.

    Windows are taken in turn, so that one serves twice only when all have served. Where fewer than `count` different
    chains are found, those are returned. Rows of a chain stand together, in the order of its rounds.
    """
    able = np.flatnonzero((popcount(pool.windows["usable"]) >= 2) & (popcount(pool.windows["bed"]) >= 3))
    if not count or not len(able):
        return np.zeros(0, RECIPE)
    window = np.concatenate([rng.permutation(able) for _ in range(-(-_TRIES * count // len(able)))])[: _TRIES * count]
    rare = rarity(pool, options.balance)[pool.windows["track"][window]]
    state = _start(pool.windows["bed"][window], rare, rng)
    untouched = pool.windows["usable"][window]
    steps = []
    for number in range(rounds):
        block = _round(pool, modules, window, state, untouched, rare, rng)
        block["round"] = number + 1
        state, untouched = block["target"], untouched & ~(block["named"] | block["added"])
        steps.append(block)
    chains = np.stack(steps, axis=1)
    whole = chains[(chains["target"] != 0).all(axis=1)]
    told = np.column_stack([whole["track"][:, 0], whole["start"][:, 0], whole["source"][:, 0], whole["target"]])
    _, first = np.unique(told, axis=0, return_index=True)
    chosen = whole[np.sort(first)[:count]]
    chosen["chain"] = np.arange(len(chosen))[:, None]
    return np.asarray(chosen.reshape(-1))


def _start(beds: Ints, rare: Floats, rng: np.random.Generator) -> Ints:
    """Choose two parts to three that sound first."""
    state = np.zeros_like(beds)
    for _ in range(2):
        state |= pick(beds & ~state, np.ones_like(rare), rng)
    third = pick(beds & ~state, np.ones_like(rare), rng)
    return np.where(rng.random(len(beds)) < 0.5, state | third, state)


def _round(
    pool: Pool,
    modules: Mapping[str, ModuleType],
    window: Ints,
    state: Ints,
    untouched: Ints,
    rare: Floats,
    rng: np.random.Generator,
) -> RecipeArray:
    """Edit parts of each state that no earlier round edited, so that no round undoes another.

    The task is drawn evenly among those that the state allows; where there is none, the recipe has no target.
    """
    inside, outside = untouched & state, untouched & ~state
    steps = sorted((name for name, module in modules.items() if module.CHAINS), key=lambda name: int(modules[name].ORDER))
    addable, removable = (outside != 0) & (popcount(state) < MOST), (inside != 0) & (popcount(state) >= 2)
    possible = {(False, True): addable, (True, False): removable, (True, True): removable & (outside != 0)}
    columns = [set(modules[name].FIELDS.values()) for name in steps]
    allowed = np.stack([possible["named" in each, "added" in each] for each in columns])
    choice = np.where(allowed, rng.random(allowed.shape), -1.0).argmax(axis=0)
    gone, come = pick(inside, rare, rng), pick(outside, rare, rng)
    block = np.zeros(len(window), RECIPE)
    names = list(modules)
    for number, name in enumerate(steps):
        rows = np.flatnonzero((choice == number) & allowed[number])
        edited = gone[rows] if "named" in columns[number] else come[rows]
        sides = modules[name].sides(edited, come[rows], state[rows] & ~edited)
        block[rows] = of_sides(pool.windows[window[rows]], sides)
        block["task"][rows] = names.index(name)
    return block
