"""Describe the data a run is trained on: what identifies it, and what an editor should know of it later."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from instructme.dataset_tools.audio import rms_db
from instructme.dataset_tools.tasks import task_module, task_names
from instructme.dataset_tools.triplets import default_templates
from instructme.manifests import tables
from instructme.manifests.rows import Sample, Triplet
from instructme.pipelines.data.recipe_reader import RecipeReader

LOOKED_AT = 20
"""Shards whose indexes are read; `pair` spreads tasks and instruments evenly over them."""

MOST_TEMPLATES = 100
LISTENED_TO = 32
"""Recipes that are rendered to find their level."""


def describe(data: Path, split: str = "train") -> dict[str, Any]:
    """Describe a split of shards, or of the recipes of a working folder.

    Returns:
        `hash` of the data set, `split`, the `tasks` it holds, the `instruments` and `genres` that instructions name, sorted, and
        the levels of its sources: `rms_db`, the median, and `rms_range_db`, between which nine of ten lie. Levels of recipes are
        those of the first few. Where instructions have other words than the paper's, also their `templates` by task.

    Raises:
        DataError: a table is missing or damaged.
    """
    if (data / "index.json").exists():
        listed = json.loads((data / "index.json").read_text())
        names = [each["name"] for each in listed["shards"]]
        chosen = [name for name in names if name.startswith(f"{split}-")][:LOOKED_AT]
        columns = ["recipe", "source_rms_db"]
        rows = pa.concat_tables([tables.read(data / f"{name}.parquet", Sample, columns) for name in chosen]).to_pydict()
        recipes = [json.loads(recipe) for recipe in rows["recipe"]]
        digest, levels_db = listed["hash"], rows["source_rms_db"]
    else:
        path = data / "triplets.parquet"
        table = tables.read(path, Triplet, ["split", "task", "instruction", "named", "added", "genre", "gain_db"])
        recipes = table.filter(pc.equal(table["split"], split)).to_pylist()
        digest = tables.sha256(path)
        opened = RecipeReader(data, split)
        rows_heard = range(min(LISTENED_TO, int(opened.sizes.sum())))
        levels_db = [rms_db(opened.audio(row).source) for row in rows_heard]
    low, median, high = np.round(np.percentile(levels_db, [5, 50, 95]), 2).tolist()
    return {
        "hash": digest,
        "split": split,
        "tasks": [task for task in task_names() if any(recipe["task"] == task for recipe in recipes)],
        "instruments": sorted({name for recipe in recipes for name in (*recipe["named"], *recipe["added"])}),
        "genres": sorted({recipe["genre"] for recipe in recipes} - {None}),
        "rms_db": median,
        "rms_range_db": [low, high],
        **_templates(recipes),
    }


def _templates(recipes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Find the templates that instructions were made from, by putting fields in the place of names."""
    found: dict[str, set[str]] = {}
    for recipe in recipes:
        found.setdefault(recipe["task"], set()).add(_template(recipe))
    lower = {task: {template.lower() for template in templates} for task, templates in default_templates().items()}
    told = {task: sorted(templates)[:MOST_TEMPLATES] for task, templates in found.items()}
    usual = all({template.lower() for template in templates} <= lower[task] for task, templates in told.items())
    return {} if usual else {"templates": told}


def _template(recipe: Mapping[str, Any]) -> str:
    """Put fields in the place of what an instruction names; a remix lists its instruments in any order."""
    values = {"named": recipe["named"], "added": recipe["added"], "genre": [recipe["genre"]] if recipe["genre"] else []}
    values["gain_db"] = [str(abs(recipe["gain_db"]))] if recipe.get("gain_db") else []
    fields = task_module(recipe["task"]).FIELDS
    names = {field: values[column] for field, column in fields.items() if values[column]}
    text = str(recipe["instruction"])
    for field, listed in names.items():
        name = "(?:" + "|".join(re.escape(each) for each in sorted(listed, key=len, reverse=True)) + ")"
        text = re.sub(rf"\b{name}(?:(?:, | and | & ){name})*(?!\w)", f"{{{field}}}", text, count=1, flags=re.IGNORECASE)
    return text
