"""Write how the scores change over the rounds of chains (Figure 5): each round against its own target."""

from collections.abc import Iterator

from instructme.pipelines.evaluation.controls import CONTROLS
from instructme.pipelines.evaluation.metrics import metric_modules
from instructme.pipelines.evaluation.score_tables import ARROWS, Key, Scores, cell
from instructme.pipelines.evaluation.shard_cases import ROUND


def markdown_of_rounds(scores: Scores) -> Iterator[str]:
    """Write a table for each dataset that has chains: a row for each metric and system, a column for each round."""
    for dataset in sorted({dataset for dataset, task in scores.groups if task.startswith(ROUND)}):
        rounds = [task for name, task in scores.groups if name == dataset and task.startswith(ROUND)]
        yield f"## {dataset}: over the rounds (Figure 5)"
        yield ""
        yield "Each round edits the result of the round before, and is scored against its own target. `identity` is the"
        yield "right source of a round, not the edit of the round before."
        yield ""
        yield f"| metric | system | {' | '.join(f'round {task.removeprefix(ROUND)}' for task in rounds)} |"
        yield "|---|---|" + "---:|" * len(rounds)
        for name, module in metric_modules().items():
            for system in (*scores.systems, *CONTROLS):
                found = [scores.interval(Key(dataset, task, system, name)) for task in rounds]
                if any(found):
                    label = system if system in CONTROLS else f"**{system}**"
                    cells = " | ".join(cell(each, module.UNIT) for each in found)
                    yield f"| `{name}` {ARROWS[module.BETTER]} | {label} | {cells} |"
        yield ""
