"""Write and draw how the scores change over the rounds of chains (Figure 5): each round against its own target."""

from collections.abc import Iterator, Sequence

from instructme.dataset_tools.audit.report import Lines
from instructme.pipelines.evaluation.controls import CONTROLS
from instructme.pipelines.evaluation.markdown_tables import label, markdown_table, metric_column
from instructme.pipelines.evaluation.metrics import metric_modules
from instructme.pipelines.evaluation.score_tables import Key, Scores, cell
from instructme.pipelines.evaluation.shard_cases import ROUND


def markdown_of_rounds(scores: Scores) -> Iterator[str]:
    """Write a table for each dataset that has chains: a row for each metric and system, a column for each round."""
    for dataset, rounds in _rounds(scores).items():
        yield from (f"## {dataset}: over the rounds (Figure 5)", "")
        yield "Each round edits the result of the round before, and is scored against its own target. `identity` is the"
        yield "right source of a round, not the edit of the round before."
        rows = []
        for name, module in metric_modules().items():
            for system in (*scores.systems, *CONTROLS):
                found = [scores.interval(Key(dataset, task, system, name)) for task in rounds]
                if any(found):
                    rows.append((metric_column(name), label(system), *(cell(each, module.UNIT) for each in found)))
        columns = ("metric", "system", *(f"round {task.removeprefix(ROUND)}" for task in rounds))
        yield from ("", *markdown_table(columns, rows, 2), "")


def lines_of_rounds(scores: Scores, names: Sequence[str]) -> Iterator[tuple[str, list[Lines]]]:
    """Draw the means of metrics over the rounds, a line for each system and for `identity`, for each dataset that has chains."""
    for dataset, rounds in _rounds(scores).items():
        charts = []
        for name in names:
            series = {}
            for system in (*scores.systems, "identity"):
                found = {task: scores.interval(Key(dataset, task, system, name)) for task in rounds}
                if points := tuple((float(task.removeprefix(ROUND)), each.mean) for task, each in found.items() if each):
                    series[system] = points
            if series:
                charts.append(Lines(name, metric_modules()[name].UNIT or "score", "round", series))
        yield dataset, charts


def _rounds(scores: Scores) -> dict[str, list[str]]:
    """List the rounds of each dataset that has chains, as tasks."""
    datasets = sorted({dataset for dataset, task in scores.groups if task.startswith(ROUND)})
    return {each: [task for name, task in scores.groups if name == each and task.startswith(ROUND)] for each in datasets}
