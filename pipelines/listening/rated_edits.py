"""Check that edits can be compared by raters: every system has edited every triplet, and all have an instruction."""

from collections.abc import Sequence

from instructme.manifests.rows import DataError
from instructme.pipelines.evaluation.cases import Case

SOURCE, REFERENCE, ANCHOR = "source", "reference", "anchor"
RESERVED = (SOURCE, REFERENCE, ANCHOR)
"""Names of clips that no system may have."""


def check_edits(cases: Sequence[Case]) -> None:
    """Check the edits of a study.

    Raises:
        DataError: there are none, a system has a reserved name or lacks an edit, or an instruction is missing.
    """
    if not cases:
        raise DataError("there are no edits: the table or the split has no triplets")
    systems = {system for case in cases for system in case.edits}
    if taken := systems & set(RESERVED):
        raise DataError(f"no system can have the name {min(taken)}, because the test uses it; choose another name")
    if any("\t" in system for system in systems):
        raise DataError("the name of a system holds a tab; choose another name")
    for case in cases:
        if not case.instruction.strip():
            raise DataError(f"{case.key} has no instruction; fill in the column 'instruction', because raters read it")
        if lacking := sorted(name for name in systems if not _exists(case, name)):
            raise DataError(f"{lacking[0]} has no edit of {case.key}; add it, or leave {case.key} out for every system")


def _exists(case: Case, system: str) -> bool:
    return system in case.edits and case.edits[system].is_file()
