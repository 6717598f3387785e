"""Make cases whose instructions name an instrument that isn't there: such an edit should change nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from zlib import crc32

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.tasks import task_module, task_modules
from instructme.pipelines.evaluation.cases import Case, TripletSides
from instructme.pipelines.evaluation.spectra import RATE_HZ

TASK = "absent"


@dataclass(frozen=True)
class Unchanged:
    """A triplet whose target is its source."""

    triplet: TripletSides

    def read(self, rate_hz: int = RATE_HZ) -> tuple[Samples, Samples]:
        """Read the source twice."""
        source, _ = self.triplet.read(rate_hz)
        return source, source


def absent_cases(cases: Sequence[Case]) -> list[Case]:
    """Make a case "remove X" for each case of a task that only removes, where X is an instrument of other songs.

    A case is left out if its source holds all instruments, or is not known to hold any.
    """
    removals = {name for name, task in task_modules().items() if task.KEEPS == "rest" and not task.BRINGS}
    every = sorted({name for case in cases if case.task in removals for name in case.named})
    made = []
    for case in cases:
        others = [name for name in every if name not in case.sounding]
        if case.task in removals and case.sounding and others:
            name = others[crc32(case.key.encode()) % len(others)]
            made.append(
                replace(
                    case,
                    key=f"{case.key}-absent",
                    task=TASK,
                    instruction=task_module(case.task).TEMPLATES[0].format(instrument=name),
                    triplet=Unchanged(case.triplet),
                    edits={},
                    named=(name,),
                    added=(),
                    gain_db=0.0,
                    absent=True,
                    stranger=None,
                )
            )
    return made
