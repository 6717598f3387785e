"""Find steps of one sentence that undo each other: `extract the drums and extract the bass` would leave silence."""

from collections.abc import Sequence
from itertools import combinations

from instructme.dataset_tools.tasks import task_module
from instructme.manifests.instruments import GENERAL_NAMES, INSTRUMENTS
from instructme.pipelines.sentences.plan import EditStep, touches


def find(steps: Sequence[EditStep]) -> str | None:
    """Say why a later step can't do what it says after an earlier one; None where all can."""
    pairs = ((first, later) for first, later in combinations(steps, 2) if touches(first, *later.span))
    return next((reason for first, later in pairs if (reason := _reason(first, later))), None)


def _reason(first: EditStep, later: EditStep) -> str | None:
    before, after = task_module(first.task).KEEPS, task_module(later.task).KEEPS
    if before == after == "none":
        return f'"{later.text()}" undoes "{first.text()}"'
    if before == "named" and _takes_away(later) and set(first.named) <= set(later.named):
        return f'"{later.text()}" leaves nothing after "{first.text()}"'
    lost = [name for name in later.named if not _plays_after(first, name)]
    return f'no {lost[0]} is left after "{first.text()}"' if lost and not _takes_away(later) else None


def _plays_after(first: EditStep, name: str) -> bool:
    """Tell whether an instrument may still play after a step."""
    if task_module(first.task).KEEPS == "named":
        return INSTRUMENTS[name].family in {INSTRUMENTS[kept].family for kept in first.named}
    names = {name, GENERAL_NAMES[INSTRUMENTS[name].family]}
    taken = (_takes_away(first) or bool(first.with_instruments)) and names & set(first.named)
    return not taken or name in first.added


def _takes_away(step: EditStep) -> bool:
    """Tell whether a step does nothing but take its instruments away."""
    module = task_module(step.task)
    return module.KEEPS == "rest" and not module.BRINGS
