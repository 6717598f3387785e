"""Mean absolute error in dB over the cells of the spectrogram that the edit should keep.

See `evaluation.cells` for these cells, and for how the edit is levelled.

Undefined: a silent target, or fewer than 1 % of the loud cells are kept.
"""

from instructme.pipelines.evaluation.cells import Cells, error_db
from instructme.pipelines.evaluation.metrics import Score
from instructme.pipelines.evaluation.spectra import Levels

GROUP = "signal"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "dB", "down", (0.0, None), 0.0, True
ABOVE_SOURCE = False


def score(edit_db: Levels, cells: Cells) -> Score:
    """Compare levels (frames, bins) with those of the target."""
    return cells.lack("kept") or error_db(edit_db, cells, "kept")
