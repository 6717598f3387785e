"""Draw recipes: everything random about a triplet is decided here, in one vectorised pass, and written as a row."""

from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import NamedTuple
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from instructme.dataset_tools.pairing import chains, instructions, recipes
from instructme.dataset_tools.pairing.combinations import Ints
from instructme.dataset_tools.pairing.edits import PairOptions
from instructme.dataset_tools.pairing.instructions import Templates
from instructme.dataset_tools.pairing.pool import Pool
from instructme.dataset_tools.pairing.recipes import RecipeArray
from instructme.dataset_tools.tasks import task_module, task_modules
from instructme.manifests.rows import SPLITS, DataError, Triplet
from instructme.manifests.tables import schema

_CHUNK = 1 << 18
"""Rows that are turned into strings at a time."""


class Order(NamedTuple):
    """Recipes wanted of one split: how many per task, the window length in samples (0 for clips), or rounds of chains."""

    split: str
    counts: Mapping[str, int]
    length: int = 0
    rounds: int = 1


class Filled(NamedTuple):
    """What an order got: how many recipes of each task were drawn, how many exist, and the tasks where more may exist."""

    order: Order
    drawn: dict[str, int]
    existing: dict[str, int]
    inexact: frozenset[str]
    unused: dict[tuple[str, str], Ints]
    """(task, reason) -> tracks of windows that the task can't use, one per window."""


def default_templates() -> Templates:
    """Collect the templates of all tasks."""
    return {name: list(module.TEMPLATES) for name, module in task_modules().items()}


def phrases() -> Templates:
    """Collect the texts that people write for each task beside its templates."""
    return {name: list(module.PHRASES) for name, module in task_modules().items()}


def draw(
    pool: Pool, orders: Sequence[Order], *, options: PairOptions, templates: Templates, seed: int, paraphrase: float = 0.0
) -> tuple[pa.Table, list[Filled]]:
    """Draw recipes, different within each order, and write their instructions.

    Rows of a split stand together, in the order of `orders`, each order spread so that neighbouring rows come from as
    many windows as there are. The same arguments give the same table. A share `paraphrase` of the training recipes is said in a
    task's `PHRASES`; the other instructions, and all other columns, do not depend on it.

    Returns:
        the rows of `Triplet`, and what each order got.
    """
    chunks, filled = [], []
    for split in SPLITS:
        split_pool = pool.of(split)
        blocks = []
        for order in (order for order in orders if order.split == split):
            windows = split_pool.with_windows(order.length) if order.length else split_pool
            block, got = _fill(windows, order, options, seed)
            filled.append(got)
            blocks.append(block)
        if blocks:
            share = paraphrase if split == "train" else 0.0
            chunks += _rows(np.concatenate(blocks), split_pool, split, templates, share, seed)
    return pa.concat_tables([schema(Triplet).empty_table(), *chunks]), filled


def _random(seed: int, *words: object) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(" ".join(map(str, words)).encode())])


def _fill(pool: Pool, order: Order, options: PairOptions, seed: int) -> tuple[RecipeArray, Filled]:
    modules = task_modules()
    words = (order.split, order.length, order.rounds)
    if order.rounds > 1:
        count, random = sum(order.counts.values()), _random(seed, *words)
        block = chains.draw(pool, modules, count, order.rounds, random, options)
        return block, Filled(order, {"chains": len(block) // order.rounds}, {}, frozenset(), {})
    drawn = {}
    for code, (task, module) in enumerate(modules.items()):
        if count := order.counts.get(task, 0):
            drawn[task] = module.draw(pool, count, _random(seed, *words, task), options)
            drawn[task].recipes["task"] = code
    block = np.concatenate([np.zeros(0, recipes.RECIPE), *(one.recipes for one in drawn.values())])
    filled = Filled(
        order,
        {task: len(one.recipes) for task, one in drawn.items()},
        {task: one.existing for task, one in drawn.items()},
        frozenset(task for task, one in drawn.items() if not one.exact),
        {(task, reason): tracks for task, one in drawn.items() for reason, tracks in one.unused.items() if len(tracks)},
    )
    return block[_spread(block, _random(seed, *words, "order"))], filled


def _spread(block: RecipeArray, rng: np.random.Generator) -> Ints:
    """Order rows so that each source window's rows lie evenly over the whole block, at a random phase."""
    if not len(block):
        return np.zeros(0, dtype=np.int64)
    _, window = np.unique(block["track"].astype(np.int64) << 40 | block["start"], return_inverse=True)
    shuffled = rng.permutation(len(block))
    grouped = shuffled[np.argsort(window[shuffled], kind="stable")]
    counts = np.bincount(window)
    nth = np.arange(len(block)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = (nth + np.repeat(rng.random(len(counts)), counts)) / np.repeat(counts, counts)
    return np.asarray(grouped[np.argsort(place, kind="stable")])


def _rows(block: RecipeArray, pool: Pool, split: str, templates: Templates, share: float, seed: int) -> list[pa.Table]:
    """Write rows in the words of templates, and a share of them in those of phrases."""
    names = list(task_modules())
    ids = _ids(block["task"], split, names)
    rng, phrase_rng = _random(seed, split, "instructions"), _random(seed, split, "paraphrases")
    chunks = []
    for begin in range(0, len(block), _CHUNK):
        part = block[begin : begin + _CHUNK]
        texts = _texts(part, pool, names, templates, rng)
        if share:
            rare = pa.array(phrase_rng.random(len(part)) < share)
            texts = pc.if_else(rare, _texts(part, pool, names, phrases(), phrase_rng), texts)
        chunks.append(recipes.to_table(part, pool, ids.slice(begin, _CHUNK), split, names, texts))
    return chunks


def _ids(task: Ints, split: str, names: Sequence[str]) -> pa.Array:
    """Count the rows of each task: `<split>-<task>-0000000`."""
    number = np.zeros(len(task), dtype=np.int64)
    for code in range(len(names)):
        number[task == code] = np.arange(np.count_nonzero(task == code))
    prefixes = pa.array([f"{split}-{name}-" for name in names], pa.string()).take(pa.array(task))
    return pc.binary_join_element_wise(prefixes, pc.utf8_lpad(pa.array(number).cast(pa.string()), 7, "0"), "")


def _texts(block: RecipeArray, pool: Pool, names: Sequence[str], templates: Templates, rng: np.random.Generator) -> pa.Array:
    named = instructions.spoken_list(pool.names(block["track"], block["named"]), rng)
    added = instructions.spoken_list(pool.names(block["target_track"], block["added"]), rng)
    genre = pa.array(pool.genres, pa.string()).take(pa.array(block["genre"], mask=block["genre"] < 0))
    gain = pa.array(np.abs(block["gain_db"]).astype(np.int64), mask=block["gain_db"] == 0).cast(pa.string())
    columns = {"named": named, "added": added, "genre": genre, "gain_db": gain}
    texts, places = [], []
    for code, name in enumerate(names):
        task = task_module(name)
        for rows, fitting in _by_meaning(task, templates.get(name, ()), block, np.flatnonzero(block["task"] == code)):
            places.append(rows)
            filled = {field: columns[column].take(rows) for field, column in task.FIELDS.items()}
            texts.append(instructions.write(fitting, filled, rng))
    back = np.argsort(np.concatenate(places))
    return pa.concat_arrays(texts).take(pa.array(back))


def _by_meaning(
    task: ModuleType, templates: Sequence[str], block: RecipeArray, rows: Ints
) -> Iterator[tuple[Ints, Sequence[str]]]:
    """Group recipes by the templates that may stand for them: all, where words say no more than their fields.

    Raises:
        DataError: no template fits a recipe.
    """
    if not hasattr(task, "says"):
        if len(rows):
            yield rows, templates
        return
    fits = np.array([task.says(text, block["gain_db"][rows]) for text in templates], dtype=bool).reshape(
        len(templates), len(rows)
    )
    for which in np.unique(fits, axis=1).T:
        fitting = [text for text, right in zip(templates, which, strict=True) if right]
        if not fitting:
            raise DataError(f"templates don't cover every gain: give texts for louder and for quieter, like {task.TEMPLATES}")
        yield rows[(which == fits.T).all(axis=1)], fitting
