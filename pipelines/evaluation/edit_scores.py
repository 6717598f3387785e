"""Score one edit by the metrics that tell a good editor from a bad one during its training."""

from instructme.dataset_tools.audio import Samples, resample
from instructme.pipelines.evaluation import cells
from instructme.pipelines.evaluation.metrics import edit_done, kept_error_db, si_sdr_db, si_sdri_db
from instructme.pipelines.evaluation.spectra import RATE_HZ


def score(source: Samples, target: Samples, edit: Samples, rate_hz: int) -> dict[str, float]:
    """Compute `si_sdr_db`, `si_sdri_db`, `edit_done` and `kept_error_db` of (T,) each, without those that are undefined."""
    source, target, edit = (resample(each, rate_hz, RATE_HZ) for each in (source, target, edit))
    places, levels = cells.find(target, source), cells.levels(edit)
    values = {
        "si_sdr_db": si_sdr_db.score(edit, target),
        "si_sdri_db": si_sdri_db.score(edit, target, source),
        "edit_done": edit_done.score(levels, cells.levels(source), places),
        "kept_error_db": kept_error_db.score(levels, places),
    }
    return {name: value for name, value in values.items() if not isinstance(value, str)}
