"""Write the page of an evaluation: sortable tables, distributions, and the best and worst edits to hear and see."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.audit.report import Histogram, Report, Section, Table
from instructme.manifests.rows import DataError, EditScore
from instructme.pipelines.evaluation.cases import Case
from instructme.pipelines.evaluation.controls import CONTROLS
from instructme.pipelines.evaluation.metrics import metric_modules
from instructme.pipelines.evaluation.round_tables import lines_of_rounds
from instructme.pipelines.evaluation.score_tables import GROUPS, Key, Scores
from instructme.pipelines.evaluation.spectra import RATE_HZ
from instructme.pipelines.pages import PageClip, Row
from instructme.pipelines.pages.audit import audit_page

SHOWN = (
    "edit_done",
    "kept_error_db",
    "log_mel_db",
    "chord_accuracy",
    "pitch_class_overlap",
    "onset_interval_overlap",
    "direction",
)
"""Metrics whose distributions, best and worst edits are shown."""
ROUNDS = "Means of each round. A round edits the result of the round before. 'identity' is the right source of a round."
MOST_ROWS = 2000
BINS = 24


def write(path: Path, cases: Sequence[Case], rows: Sequence[EditScore], scores: Scores, facts: Mapping[str, str]) -> None:
    """Write the page; nothing is loaded from elsewhere."""
    sections = [_section(scores, number, *group) for number, group in enumerate(scores.groups)]
    rounds = [
        Section(f"rounds-{number}", f"{dataset}: over the rounds (Figure 5)", ROUNDS, tuple(charts))
        for number, (dataset, charts) in enumerate(lines_of_rounds(scores, SHOWN), 1)
    ]
    of_key = {(case.dataset, case.key): case for case in cases}
    report = Report("Scores of edits", facts, (*rounds, *sections, _edits(of_key, rows)))
    audit_page(path, report, list(_examples(scores, of_key)))


def _section(scores: Scores, number: int, dataset: str, task: str) -> Section:
    tables = [table for group, heading in GROUPS.items() if (table := _means(scores, dataset, task, group, heading)).rows]
    charts = [chart for name in SHOWN if (chart := _distribution(scores, dataset, task, name))]
    blurb = "Means, with the ends of their 95 % intervals. Intervals are drawn by song."
    return Section(f"task-{number + 1}", f"{dataset}: {task}", blurb, (*tables, *charts))


def _means(scores: Scores, dataset: str, task: str, group: str, heading: str) -> Table:
    """List mean and interval of every system and metric of a group."""
    lines: list[tuple[str | int | float | None, ...]] = []
    for name, module in metric_modules().items():
        for system in (*scores.systems, *CONTROLS) if group == module.GROUP else ():
            key = Key(dataset, task, system, name)
            if found := scores.interval(key):
                ends = (None, None) if np.isnan(found.low) else (found.low, found.high)
                verdict = "worse than identity" if scores.below_identity(key) else ""
                lines.append((name, system, found.mean, *ends, found.edits, verdict))
    columns = ("metric", "system", "mean", "low", "high", "edits", "verdict")
    return Table(heading, columns, tuple(lines))


def _distribution(scores: Scores, dataset: str, task: str, name: str) -> Histogram | None:
    """Count the values of each system and of the sources in bins over the middle 98 % of all values."""
    systems = [*scores.systems, "identity"]
    values = {system: list(scores.values.get(Key(dataset, task, system, name), {}).values()) for system in systems}
    values = {system: held for system, held in values.items() if held}
    if not values:
        return None
    every = np.concatenate(list(values.values()))
    low, high = np.quantile(every, [0.01, 0.99])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    counts = {system: tuple(np.histogram(np.clip(held, *edges[[0, -1]]), edges)[0].tolist()) for system, held in values.items()}
    note = "The first and the last bin also hold what lies beyond them."
    return Histogram(name, metric_modules()[name].UNIT or "score", tuple(edges.tolist()), counts, note)


def _edits(of_key: Mapping[tuple[str, str], Case], rows: Sequence[EditScore]) -> Section:
    """List the edits of all systems with their values."""
    by_edit: dict[tuple[str, str, str], dict[str, float | None]] = {}
    for row in rows:
        if row.system not in CONTROLS and row.metric in SHOWN:
            by_edit.setdefault((row.dataset, row.key, row.system), {})[row.metric] = row.value
    names = [name for name in SHOWN if any(name in values for values in by_edit.values())]
    lines = [
        (system, of_key[dataset, key].task, of_key[dataset, key].instruction, *(values.get(name) for name in names), key)
        for (dataset, key, system), values in list(by_edit.items())[:MOST_ROWS]
    ]
    note = f"The first {MOST_ROWS:,} of {len(by_edit):,} edits; scores.parquet holds all." if len(by_edit) > MOST_ROWS else ""
    table = Table("All edits", ("system", "task", "instruction", *names, "key"), tuple(lines), note)
    return Section("edits", "Edits", "Select the name of a column to sort by it.", (table,))


def _examples(scores: Scores, of_key: Mapping[tuple[str, str], Case]) -> Iterator[Row]:
    """Choose the worst and the best edit of the first system for each metric, each triplet once."""
    seen = set()
    for name in SHOWN if scores.systems else ():
        held = {
            (key.dataset, edit): value
            for key, values in scores.values.items()
            if key.metric == name and key.system == scores.systems[0]
            for edit, value in values.items()
        }
        order = sorted(held, key=lambda each: (held[each], each), reverse=metric_modules()[name].BETTER == "down")
        for place, word in ((0, "Worst"), (-1, "Best")):
            if order and order[place] not in seen:
                seen.add(order[place])
                case = of_key[order[place]]
                caption = f"{word} {name} of {scores.systems[0]} ({held[order[place]]:.2f}): {case.instruction or case.task}"
                try:
                    yield Row(f"{caption} [{case.key}]", list(_clips(case)))
                except DataError:  # a file has gone since it was scored
                    continue


def _clips(case: Case) -> Iterator[PageClip]:
    source, target = case.triplet.read()
    yield PageClip("Source", source, RATE_HZ)
    yield PageClip("Target", target, RATE_HZ)
    for system, path in case.edits.items():
        yield PageClip(system, audio.read(path, RATE_HZ) if path.is_file() else source[:0], RATE_HZ)
