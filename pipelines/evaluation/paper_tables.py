"""Write Tables 1, 2 and 4 in the shape of the paper, with the paper's own numbers beside them."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from instructme.manifests.rows import SetScore
from instructme.pipelines.evaluation.controls import CONTROLS
from instructme.pipelines.evaluation.markdown_tables import label, markdown_table
from instructme.pipelines.evaluation.score_tables import Key, Scores

COLUMNS = {
    "IA ↑": "instruction_accuracy",
    "CRA ↑": "chord_accuracy",
    "PCH ↑": "pitch_class_overlap",
    "IOI ↑": "onset_interval_overlap",
}
"""Column of the paper -> metric."""
FADS = ("fad_musicnn", "fad_vggish")
"""Distances that stand for the paper's, the better one last."""
ATOMIC = ("extract", "remove", "add", "replace")
PAPER = Path(__file__).with_name("paper.csv")


def published() -> list[dict[str, str]]:
    """Read the numbers that the paper prints: table, dataset, model, task, FAD, IA, CRA, PCH, IOI."""
    with PAPER.open(newline="") as file:
        return list(csv.DictReader(file))


def markdown_of_paper(scores: Scores, sets: Sequence[SetScore]) -> Iterator[str]:
    """Write the tables that the scores can fill: Table 1 of atomic edits, Table 2 of remixes, Table 4 of means over all edits."""
    used = next((name for name in reversed(FADS) if any(row.metric == name for row in sets)), FADS[0])
    fad = {(row.dataset, row.task, row.system): row.value for row in sets if row.metric == used}
    lines = [
        *_table(scores, fad, "Table 1: atomic edits", ATOMIC, each=True, mean=True),
        *_table(scores, fad, "Table 2: remix", ("remix",), each=True, mean=False),
        *_table(scores, fad, "Table 4: mean over all edits", (*ATOMIC, "remix"), each=False, mean=True),
    ]
    if lines:
        yield from ("## The paper's tables", "")
        yield "Rows in italics are the paper's own numbers. Its FAD is that of VGGish; recognisers and data are others. Compare"
        yield "systems with systems of the same table, never with a row in italics. FAD, IA, CRA, PCH and IOI are the columns"
        yield f"`{used}`, {', '.join(f'`{name}`' for name in COLUMNS.values())}."
        yield ""
        yield from lines


def _table(
    scores: Scores,
    fad: Mapping[tuple[str, str, str], float | None],
    title: str,
    tasks: Sequence[str],
    *,
    each: bool,
    mean: bool,
) -> Iterator[str]:
    """Write one table with a row for each task, for their mean, or for both."""
    held = {dataset: [task for task in tasks if (dataset, task) in scores.groups] for dataset, _ in scores.groups}
    if not any(held.values()):
        return
    rows: list[tuple[str, ...]] = []
    for dataset, present in held.items():
        for system in (*scores.systems, *CONTROLS) if present else ():
            values = {task: _values(scores, fad, dataset, task, system) for task in present}
            shown = values if each else {}
            if mean:
                shown = {**shown, f"mean of {', '.join(present)}": _mean(list(values.values()))}
            rows += [(dataset, label(system), task, *map(_cell, numbers)) for task, numbers in shown.items()]
    theirs = ("dataset", "model", "task", "FAD", "IA", "CRA", "PCH", "IOI")
    rows += [tuple(f"*{row[name]}*" for name in theirs) for row in published() if title.startswith(f"Table {row['table']}:")]
    yield from (f"### {title}", "", *markdown_table((*theirs[:3], "FAD ↓", *COLUMNS), rows, 3), "")


def _values(
    scores: Scores, fad: Mapping[tuple[str, str, str], float | None], dataset: str, task: str, system: str
) -> list[float | None]:
    means = [scores.interval(Key(dataset, task, system, metric)) for metric in COLUMNS.values()]
    return [fad.get((dataset, task, system)), *(None if mean is None else mean.mean for mean in means)]


def _mean(rows: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Average the tasks with equal weight, as the paper does; None where a task has no value."""
    columns = list(zip(*rows, strict=True))
    return [None if any(value is None for value in column) else sum(column) / len(column) for column in columns]


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
