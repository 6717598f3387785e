"""Count which instruments play together, and how often each task names each instrument in each split."""

import numpy as np
import pandas as pd

from instructme.dataset_tools.audit import shapes
from instructme.dataset_tools.audit.inputs import AuditTables, RecipeTable
from instructme.dataset_tools.audit.report import Finding, Item, Level, Matrix, Section
from instructme.dataset_tools.tasks import task_module, task_names
from instructme.manifests.rows import SPLITS

_MOST_TOGETHER = 40
"""Instruments of the co-occurrence matrix, the most frequent ones."""


def section(found: AuditTables) -> Section | None:
    """Show coverage; None before `prepare`."""
    if not found.prepared:
        return None
    items: list[Item] = [_together(found)]
    if found.recipes is not None:
        expected = _expected(found)
        items += [*_findings(found.recipes, expected), *_matrices(found.recipes, expected), *_genres(found.recipes)]
    blurb = (
        "An instrument counts for a task if an instruction names it. "
        "If a cell is empty, the editor never learns that edit, or is never tested on it."
    )
    return Section("coverage", "Coverage", blurb, tuple(items))


def _together(found: AuditTables) -> Matrix:
    """Count the clips in which two instruments can both be edited."""
    from scipy.sparse import csr_array

    usable = found.sounding[found.sounding["usable"].astype(bool)]
    counts = usable["instrument"].value_counts()
    names = [str(name) for name in counts.index[counts > 0][:_MOST_TOGETHER]]
    kept = usable[usable["instrument"].isin(names)]
    column = kept["instrument"].cat.set_categories(names).cat.codes
    incidence = csr_array((np.ones(len(kept), np.int64), (kept["clip"], column)), (len(found.clips), len(names)))
    together = (incidence.T @ incidence).toarray()
    note = f"Number of clips in which both can be edited, for the {len(names)} most frequent instruments."
    return Matrix("Instruments that play together", tuple(names), tuple(names), tuple(map(tuple, together.tolist())), note)


def _expected(found: AuditTables) -> pd.DataFrame:
    """Count by split, task and instrument the songs with an editable part, and the clips in which it can be edited.

    Remix leaves lead parts out.
    """
    usable = found.sounding[found.sounding["usable"].astype(bool)]
    tracks = found.clips[["track_id", "split"]].iloc[usable["clip"]].assign(instrument=usable["instrument"].astype(str).array)
    clips = tracks.groupby(["track_id", "split", "instrument"]).size().rename("clips").reset_index()
    parts = found.parts[found.parts["editable"].astype(bool)][["track_id", "split", "instrument", "lead"]]
    parts = parts.merge(clips, how="left").fillna({"clips": 0})
    counted = []
    for task in task_names():
        named = parts[~parts["lead"].astype(bool)] if task_module(task).KEEPS == "none" else parts
        sums = named.groupby(["split", "instrument"], as_index=False).agg(songs=("track_id", "size"), clips=("clips", "sum"))
        counted.append(sums.assign(task=task))
    return pd.concat(counted).astype({"clips": int})


def _matrices(recipes: RecipeTable, expected: pd.DataFrame) -> list[Item]:
    """Count recipes by instrument and task, a matrix for each split, over all instruments that may be edited anywhere."""
    names = expected.groupby("instrument")["clips"].sum().sort_values(ascending=False).index.astype(str).tolist()
    items: list[Item] = []
    for split in SPLITS:
        asked = recipes.asked[recipes.asked["split"] == split]
        title, cells = f"Instruments by task: {split}", (asked["instrument"], asked["task"])
        items.append(
            shapes.matrix(title, *cells, weights=asked["recipes"], row_names=names, column_names=recipes.tasks, name_empty=True)
        )
    return items


def empty_cells(recipes: RecipeTable, expected: pd.DataFrame) -> pd.DataFrame:
    """List (split, task, instrument) that no recipe asks for, with the songs and clips of that split that have it."""
    drawn = [split for split in SPLITS if (recipes.rows["split"] == split).any()]
    tasks = [task for task in recipes.tasks if (recipes.rows["task"] == task).any()]
    names = sorted(expected["instrument"].unique())
    cells = pd.MultiIndex.from_product([drawn, tasks, names], names=["split", "task", "instrument"]).to_frame(index=False)
    cells = cells.merge(recipes.asked, how="left").merge(expected, how="left")
    empty = cells[cells["recipes"].isna()].drop(columns="recipes").fillna({"songs": 0, "clips": 0})
    return empty.astype({"songs": int, "clips": int})


def _findings(recipes: RecipeTable, expected: pd.DataFrame) -> list[Finding]:
    """Name what is tested and never taught, and the cells that are empty."""
    findings = [*_untaught("instrument", recipes.asked), *_untaught("genre", _asked_genres(recipes))]
    empty = empty_cells(recipes, expected)
    could, cannot = empty[empty["clips"] > 0], empty[empty["clips"] == 0]
    if len(could):
        level: Level = "warning" if (could["split"] == "train").any() else "note"
        detail = (
            "Clips for these edits exist, but no recipe uses them. Draw more recipes, or draw them evenly with --balance. "
            "If pair has already drawn all possible recipes, add other songs."
        )
        findings.append(_empty(level, "that could be filled", detail, could))
    if len(cannot):
        detail = (
            "No clip of that split can be edited so: the instrument is missing there, too soft, seldom plays, or leads a remix."
        )
        findings.append(_empty("note", "for want of clips", detail, cannot))
    return findings or [Finding("fine", "Every instrument is asked for in every task and split", "No cell is empty.")]


def _empty(level: Level, what: str, detail: str, cells: pd.DataFrame) -> Finding:
    """List empty cells, those of one split and instrument together."""
    grouped = cells.groupby(["split", "instrument"], sort=False)
    frame = grouped.agg(tasks=("task", ", ".join), songs=("songs", "max"), clips=("clips", "max")).reset_index()
    frame["place"] = frame["split"].map(SPLITS.index)
    frame = frame.sort_values(["place", "clips"], ascending=[True, False], kind="stable").drop(columns="place")
    title = f"{shapes.counted(len(cells), 'empty cell')} {what}"
    return shapes.finding(level, title, detail, ("split", "instrument", "no", "songs", "clips"), frame.itertuples(index=False))


def _untaught(what: str, asked: pd.DataFrame) -> list[Finding]:
    """Find what validation or test asks for and train never does."""
    counts = asked.pivot_table(index=asked.columns[-2], columns="split", values="recipes", aggfunc="sum", fill_value=0)
    counts = counts.reindex(columns=list(SPLITS), fill_value=0)
    held_out = counts["validation"] + counts["test"]
    untaught = held_out[(counts["train"] == 0) & (held_out > 0)].sort_values(ascending=False)
    if not len(untaught):
        return []
    detail = "The editor is tested on them, but never trained on them. Scan more songs that have them, or choose other splits."
    title = f"In validation or test, but never in train: {shapes.counted(len(untaught), what)}"
    return [shapes.finding("warning", title, detail, (what, "triplets"), untaught.items())]


def _asked_genres(recipes: RecipeTable) -> pd.DataFrame:
    rows = recipes.rows[recipes.rows["genre"].notna()]
    counted = rows.groupby(["split", "genre"], observed=True).size().rename("recipes").reset_index()
    return counted.astype({"split": str, "genre": str})


def _genres(recipes: RecipeTable) -> list[Item]:
    asked = _asked_genres(recipes)
    if not len(asked):
        return []
    cells = (asked["genre"], asked["split"])
    return [shapes.matrix("Remix to a genre", *cells, weights=asked["recipes"], column_names=SPLITS, name_empty=True)]
