"""Write the scores as tables in Markdown: systems and controls, by dataset, task and group of metrics."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from instructme.manifests.rows import EditScore
from instructme.pipelines.evaluation.controls import CONTROLS
from instructme.pipelines.evaluation.intervals import Interval, interval, paired
from instructme.pipelines.evaluation.markdown_tables import label, markdown_table, metric_column
from instructme.pipelines.evaluation.metrics import metric_modules

GROUPS = {"signal": "Signal", "music": "Harmony and rhythm", "instruction": "Instruction"}
BELOW = "▼"
NO_DIFFERENCE = "="


class Key(NamedTuple):
    """What a column of numbers belongs to."""

    dataset: str
    task: str
    system: str
    metric: str


class Scores:
    """All scores by dataset, task, system and metric: values by key, and the songs of keys."""

    def __init__(self, rows: Sequence[EditScore]) -> None:
        self.values: dict[Key, dict[str, float]] = {}
        self.songs: dict[str, dict[str, str]] = {}
        self.reasons: Counter[tuple[str, str, str]] = Counter()
        self.systems = list(dict.fromkeys(row.system for row in rows if row.system not in CONTROLS))
        self.groups = sorted({(row.dataset, row.task) for row in rows})
        for row in rows:
            self.songs.setdefault(row.dataset, {})[row.key] = row.song
            if row.value is None:
                self.reasons[row.system, row.metric, str(row.reason)] += 1
            else:
                self.values.setdefault(Key(row.dataset, row.task, row.system, row.metric), {})[row.key] = row.value

    def interval(self, key: Key) -> Interval | None:
        """Compute mean and interval of a system's metric; None if no edit has a value."""
        held = self.values.get(key, {})
        songs = self.songs.get(key.dataset, {})
        return interval(list(held.values()), [songs[each] for each in held]) if held else None

    def difference(self, key: Key, other: str) -> Interval | None:
        """Compare a system with another one on the edits that both have."""
        one, two = (self.values.get(each, {}) for each in (key, key._replace(system=other)))
        return paired(one, two, self.songs.get(key.dataset, {}))

    def below_identity(self, key: Key) -> bool:
        """Say whether a system is worse than doing nothing, by an interval that does not hold 0."""
        if key.system in CONTROLS or not metric_modules()[key.metric].ABOVE_SOURCE:
            return False
        difference = self.difference(key, "identity")
        return difference is not None and difference.sign == (-1 if metric_modules()[key.metric].BETTER == "up" else 1)


def markdown(scores: Scores, lacking: Mapping[str, str], notes: Mapping[str, int], extra: Sequence[str] = ()) -> str:
    """Write all tables.

    Args:
        scores: all of them.
        lacking: metrics that could not be computed, and what to do about it.
        notes: what was adapted, and how often.
        extra: further lines after the tables of systems.
    """
    lines = ["# Scores", "", *_legend()]
    for dataset, task in scores.groups:
        lines += [f"## {dataset}: {task}", ""]
        for group, heading in GROUPS.items():
            lines += _table(scores, dataset, task, group, heading)
    lines += [*extra, *_differences(scores), *_left_out(scores, lacking, notes)]
    return "\n".join(lines).rstrip() + "\n"


def _legend() -> Iterator[str]:
    yield "Each cell is a mean with its 95 % interval, drawn by song. Arrows show the better direction."
    yield "The number of edits stands beside a mean where it is not that of the row."
    yield f"{BELOW} marks a system that is worse than `identity`: its interval of the difference does not hold 0."
    yield from ("", *markdown_table(("control", "meaning"), CONTROLS.items(), 2), "")


def _table(scores: Scores, dataset: str, task: str, group: str, heading: str) -> Iterator[str]:
    names = [name for name, module in metric_modules().items() if group == module.GROUP]
    systems = [*scores.systems, *CONTROLS]
    found = {(system, name): scores.interval(Key(dataset, task, system, name)) for system in systems for name in names}
    names = [name for name in names if any(found[system, name] for system in systems)]
    rows = []
    for system in systems:
        if edits := [mean.edits for name in names if (mean := found[system, name])]:
            keys = [Key(dataset, task, system, name) for name in names]
            means = [
                cell(found[system, key.metric], metric_modules()[key.metric].UNIT, scores.below_identity(key), max(edits))
                for key in keys
            ]
            rows.append((label(system), max(edits), *means))
    if rows:
        columns = ("system", "edits", *map(metric_column, names))
        yield from (f"### {heading}", "", *markdown_table(columns, rows), "")


def cell(found: Interval | None, unit: str = "", below: bool = False, edits: int | None = None) -> str:
    """Write a mean with its interval, and the number of edits where it is not `edits`."""
    if found is None:
        return "–"
    digits = 2 if unit == "dB" else 3
    ends = f" [{found.low:.{digits}f}, {found.high:.{digits}f}]" if found.songs > 1 else ""
    count = "" if found.edits == edits else f" n={found.edits}"
    return f"{found.mean:.{digits}f}{ends}{count}{f' {BELOW}' if below else ''}"


def _differences(scores: Scores) -> Iterator[str]:
    """Compare each two systems; a difference whose interval holds 0 isn't called one."""
    for one, other in combinations(scores.systems, 2):
        rows = []
        for dataset, task in scores.groups:
            for name, module in metric_modules().items():
                if (found := scores.difference(Key(dataset, task, one, name), other)) is not None:
                    better = (found.sign > 0) == (module.BETTER == "up")
                    verdict = NO_DIFFERENCE if not found.sign else f"{one if better else other} is better"
                    rows.append((f"{dataset}: {task}", f"`{name}`", cell(found, module.UNIT), verdict))
        yield from (f"## {one} less {other}", "")
        yield f"Paired differences on the same edits. {NO_DIFFERENCE} marks an interval that holds 0: no difference was found."
        yield from ("", *markdown_table(("dataset: task", "metric", "difference", ""), rows, 2), "")


def _left_out(scores: Scores, lacking: Mapping[str, str], notes: Mapping[str, int]) -> Iterator[str]:
    """Count what has no score, by its reason."""
    systems: Counter[tuple[str, str]] = Counter()
    for (system, metric, reason), count in scores.reasons.items():
        if system in scores.systems:
            systems[metric, reason.partition(":")[0]] += count
    yield "## Not scored"
    yield ""
    if lacking:
        yield from (f"- `{name}` was not computed: {advice}" for name, advice in lacking.items())
        yield ""
    if notes:
        yield from (f"- {text}: {count:,}" for text, count in notes.items())
        yield ""
    if not systems:
        yield "Every edit has a value of every metric that was computed."
        return
    rows = [(f"`{metric}`", reason, count) for (metric, reason), count in sorted(systems.items())]
    yield from markdown_table(("metric", "reason", "edits"), rows, 2)
