"""Share of the change that is done: 1 - error(E) / error(S) over the cells that the edit should change.

The errors are mean absolute dB against the target: see `evaluation.cells`. The source itself has 0, the target has 1. Below 0,
the edit is farther from the target than the source.

Undefined: a silent target, or fewer than 1 % of the loud cells are kept or changed.
"""

from instructme.pipelines.evaluation.cells import Cells, error_db
from instructme.pipelines.evaluation.metrics import Score
from instructme.pipelines.evaluation.spectra import Levels

GROUP = "signal"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (None, 1.0), 1.0, True
ABOVE_SOURCE = True


def score(edit_db: Levels, source_db: Levels, cells: Cells) -> Score:
    """Compare levels (frames, bins) of edit and source with those of the target."""
    if reason := cells.lack("kept", "changed"):
        return reason
    before = error_db(source_db, cells, "changed")
    return 1 - error_db(edit_db, cells, "changed") / before if before else "no_change"
