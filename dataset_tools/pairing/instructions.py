"""Turn recipes into text commands with the templates of each task (paper, Table 5), on whole columns."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from instructme.dataset_tools.pairing.combinations import Ints
from instructme.manifests.rows import DataError

Templates = Mapping[str, Sequence[str]]


def fields(template: str) -> tuple[str, ...]:
    """Name the fields of a template, sorted.

    Raises:
        ValueError: unmatched braces.
    """
    return tuple(sorted(name for _, name, _, _ in Formatter().parse(template) if name is not None))


def read(path: Path, defaults: Templates) -> dict[str, list[str]]:
    """Read the user's templates: a YAML file that maps tasks to lists of texts; tasks it leaves out keep the defaults.

    A text must have the same fields as one of the task's default templates, such as `please add the {instrument}`.

    Raises:
        DataError: not such a file, an unknown task, no texts, or other fields.
    """
    import yaml

    try:
        stated = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"can't read templates: {path}: {' '.join(str(error).split())}") from None
    if not isinstance(stated, dict) or not stated:
        raise DataError(f"no templates in {path}: write lines such as 'add: [\"bring in the {{instrument}}\"]'")
    templates = {task: list(texts) for task, texts in defaults.items()}
    for task, texts in stated.items():
        if task not in defaults:
            raise DataError(f"unknown task {task!r} in {path}: choose from {', '.join(defaults)}")
        templates[task] = _checked(path, task, texts, {fields(text) for text in defaults[task]})
    return templates


def _checked(path: Path, task: str, texts: Any, allowed: set[tuple[str, ...]]) -> list[str]:
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise DataError(f"{path}: {task}: give a list of texts, at least one")
    wanted = " or ".join(" ".join(f"{{{name}}}" for name in names) for names in sorted(allowed))
    for text in texts:
        try:
            found = fields(text)
        except ValueError as error:
            raise DataError(f"{path}: {task}: {text!r}: {error}") from None
        if found not in allowed or any(form or conversion for _, _, form, conversion in Formatter().parse(text)):
            raise DataError(f"{path}: {task}: {text!r} must have the fields {wanted}, each once")
    if missing := allowed - {fields(text) for text in texts}:
        raise DataError(f"{path}: {task}: also give a text with {' '.join(f'{{{name}}}' for name in sorted(missing)[0])}")
    return texts


def write(templates: Sequence[str], columns: Mapping[str, pa.Array], rng: np.random.Generator) -> pa.Array:
    """Write one text per row, with a template drawn evenly among those whose fields the row has.

    Args:
        templates: of one task.
        columns: field -> (N,) strings, null where a row doesn't have the field.
        rng: source of randomness.

    Returns:
        (N,) strings; null where no template fits.
    """
    rows = len(next(iter(columns.values())))
    texts: list[pa.Array] = []
    places: list[Ints] = []
    for names, group in groupby(sorted(templates, key=fields), key=fields):
        fits = np.ones(rows, dtype=bool)
        for name in names:
            fits &= columns[name].is_valid().to_numpy(zero_copy_only=False)
        choices = list(group)
        choice = np.where(fits, rng.integers(len(choices), size=rows), -1)
        for number, template in enumerate(choices):
            places.append(np.flatnonzero(choice == number))
            texts.append(_fill(template, columns, places[-1]))
    where = np.full(rows, -1)
    where[np.concatenate(places)] = np.arange(sum(map(len, places)))
    return pa.concat_arrays(texts).take(pa.array(where, mask=where < 0))


def _fill(template: str, columns: Mapping[str, pa.Array], rows: Ints) -> pa.Array:
    pieces: list[pa.Array | pa.Scalar] = []
    for literal, name, _, _ in Formatter().parse(template):
        pieces.append(pa.repeat(pa.scalar(literal), len(rows)))
        if name is not None:
            pieces.append(columns[name].take(pa.array(rows)))
    return pc.binary_join_element_wise(*pieces, "")


def spoken_list(names: pa.ListArray, rng: np.random.Generator) -> pa.Array:
    """Join each list of names as `bass, piano, strings`, in random order; null for an empty list."""
    lengths = names.value_lengths().to_numpy(zero_copy_only=False)
    row = np.repeat(np.arange(len(names)), lengths)
    shuffled = names.flatten().take(pa.array(np.lexsort((rng.random(len(row)), row))))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, shuffled), ", ")
    return pc.if_else(pa.array(lengths > 0), joined, pa.scalar(None, pa.string()))
