"""Turn the results of a study into tables, once for Markdown and the page."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from instructme.pipelines.evaluation.markdown_tables import markdown_table
from instructme.pipelines.listening.agreement import alpha
from instructme.pipelines.listening.comparisons import Difference, Strength, differences, strengths
from instructme.pipelines.listening.opinion_scores import ALL, Opinion
from instructme.pipelines.listening.ratings import REASONS, Ratings
from instructme.pipelines.listening.study import Study

_CLEAR = 0.05
"""Largest p at which a table names the better system."""


@dataclass(frozen=True)
class ResultTable:
    """A table with its heading and a note above it."""

    heading: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Write the table as Markdown."""
        lines = [f"## {self.heading}", "", *([self.note, ""] if self.note else [])]
        return "\n".join([*lines, *markdown_table(self.columns, self.rows), ""])


def result_tables(study: Study, ratings: Ratings, scores: Sequence[Opinion]) -> Iterator[ResultTable]:
    """Make all tables that the answers allow."""
    if ratings.left_out:
        counted = tuple((REASONS[reason], str(count)) for reason, count in sorted(Counter(ratings.left_out.values()).items()))
        yield ResultTable("Raters left out", "", ("reason", "raters"), counted)
    kept = ratings.kept
    if scores:
        note = "Mean of scores from 1 to 5, with its 95 % interval, drawn by rater and triplet."
        yield _opinions(scores, study.scales, ALL, "Mean opinion scores", note)
        for task in sorted({each.task for each in scores} - {ALL}):
            yield _opinions(scores, study.scales, task, f"Mean opinion scores: {task}", "")
        scored = kept[kept["page"] == "rate"]
        yield _differences(differences(scored, study.seed))
        alphas = tuple((str(scale), _number(alpha(of_scale))) for scale, of_scale in scored.groupby("scale", sort=False))
        note = "Krippendorff's alpha for ordinal scores: 1 is full agreement, 0 is chance."
        yield ResultTable("Agreement of raters", note, ("scale", "alpha"), alphas)
    if len(pairs := kept[kept["page"] == "pair"]):
        yield _strengths(strengths(pairs, study.seed))


def _opinions(scores: Sequence[Opinion], scales: Sequence[str], task: str, heading: str, note: str) -> ResultTable:
    """Write scores in the shape of Table 3: a line for each system and length, a column for each scale."""
    cells = {(each.system, each.length_s, each.scale): each for each in scores if each.task == task}
    lengths = sorted({length for _, length, _ in cells} - {ALL}, key=float)
    rows = []
    for system in dict.fromkeys(system for system, _, _ in cells):
        for length in lengths if len(lengths) == 1 else [ALL, *lengths]:
            own = [cells.get((system, length, scale)) for scale in scales]
            if there := [each for each in own if each]:
                name = length if length == ALL else f"{length} s"
                means = ["–" if each is None else _cell(each.mean, each.low, each.high) for each in own]
                counts = str(max(each.raters for each in there)), str(sum(each.ratings for each in there))
                rows.append((system, name, *means, *counts))
    return ResultTable(heading, note, ("system", "length", *scales, "raters", "ratings"), tuple(rows))


def _differences(found: Sequence[Difference]) -> ResultTable:
    rows = []
    for each in found:
        names, mean = f"{each.scale}: {each.one} − {each.other}", _cell(each.mean, each.low, each.high)
        p = "< 0.001" if each.p < 0.001 else f"{each.p:.3f}"
        better = "not clear" if each.p >= _CLEAR else each.one if each.mean > 0 else each.other
        rows.append((names, mean, p, str(each.items), better))
    note = "Differences on the same triplets. p is that of Wilcoxon's test over triplets, after Holm's correction for all rows."
    return ResultTable("Differences between systems", note, ("systems", "difference", "p", "triplets", "better"), tuple(rows))


def _strengths(found: Sequence[Strength]) -> ResultTable:
    rows = tuple(
        (f"{each.scale}: {each.system}", _cell(each.strength, each.low, each.high), f"{each.won} of {each.pairs}")
        for each in found
    )
    note = "Bradley and Terry's strengths: a difference of 1 means that the stronger system wins 73 % of the pairs."
    return ResultTable("Strengths from pairs", note, ("system", "strength", "won"), rows)


def _cell(mean: float, low: float, high: float) -> str:
    return f"{mean:.2f}" if np.isnan(low) else f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"
