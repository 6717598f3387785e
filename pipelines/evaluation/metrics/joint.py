"""Whether an edit is done and keeps the rest: `edit_done` >= 0.5 and `kept_error_db` <= 3. The mean is a share of edits.

The values 1 and 0. Undefined: where one of both is.
"""

from instructme.pipelines.evaluation.metrics import Score

GROUP = "signal"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (0.0, 1.0), 1.0, True
ABOVE_SOURCE = True


def score(edit_done: Score, kept_error_db: Score, *, least_done: float = 0.5, most_kept_error_db: float = 3.0) -> Score:
    """Judge by two other metrics."""
    if isinstance(edit_done, str):
        return edit_done
    if isinstance(kept_error_db, str):
        return kept_error_db
    return float(edit_done >= least_done and kept_error_db <= most_kept_error_db)
