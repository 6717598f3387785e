"""Choose edits that raters can compare: every system has edited every triplet, and all have an instruction."""

from collections.abc import Sequence

from instructme.dataset_tools.tasks import task_module, task_names
from instructme.manifests.rows import DataError
from instructme.pipelines.evaluation.cases import Case, drawn
from instructme.pipelines.evaluation.made_edits import REFUSED

SOURCE, REFERENCE, ANCHOR = "source", "reference", "anchor"
"""Names of clips that no system may have."""


def names_instruments(case: Case) -> bool:
    """Say whether an instruction is about instruments, not about a genre or mood: all but remixes by genre, and unknown tasks."""
    return bool(case.named or case.added or (case.task in task_names() and not keeps_nothing(case.task)))


def keeps_nothing(task: str) -> bool:
    """Say whether a task replaces the whole source, as remix does."""
    return task in task_names() and bool(task_module(task).KEEPS == "none")


def without_refused(cases: Sequence[Case]) -> list[Case]:
    """Leave out triplets that a run refused to edit, such as a task that it can't do."""
    return [case for case in cases if not any(edit.with_suffix(REFUSED).exists() for edit in case.edits.values())]


def drawn_by_task(cases: Sequence[Case], count: int) -> list[Case]:
    """Choose at most `count` triplets of each task, by the hashes of their keys as `evaluate` does."""
    tasks = sorted({case.task for case in cases})
    return [case for task in tasks for case in drawn((each for each in cases if each.task == task), count, lambda case: case.key)]


def check_edits(cases: Sequence[Case]) -> None:
    """Check the edits of a study.

    Raises:
        DataError: there are none, a system has a reserved name or lacks an edit, or an instruction is missing.
    """
    if not cases:
        raise DataError("there are no edits: the table or the split has no triplets")
    systems = {system for case in cases for system in case.edits}
    if taken := systems & {SOURCE, REFERENCE, ANCHOR}:
        raise DataError(f"no system can have the name {min(taken)}, because the test uses it; choose another name")
    if any("\t" in system for system in systems):
        raise DataError("the name of a system holds a tab; choose another name")
    for case in cases:
        if not case.instruction.strip():
            raise DataError(f"{case.key} has no instruction; fill in the column 'instruction', because raters read it")
        if lacking := sorted(name for name in systems if name not in case.edits or not case.edits[name].is_file()):
            raise DataError(f"{lacking[0]} has no edit of {case.key}; add it, or leave {case.key} out for every system")
