"""Improvement of the scale-invariant signal-to-distortion ratio: that of the edit less that of the source, against the target.

Above 0, the edit is nearer to the target than the source is. See `si_sdr_db` for its limits.

Undefined: a silent target, edit or source.
"""

from instructme.dataset_tools.audio import Samples
from instructme.pipelines.evaluation.metrics import Score, si_sdr_db

GROUP = "signal"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "dB", "up", (-200.0, 200.0), None, True
ABOVE_SOURCE = True


def score(edit_waveform: Samples, target_waveform: Samples, source_waveform: Samples) -> Score:
    """Compare (T,) with (T,) in dB."""
    after, before = (si_sdr_db.score(each, target_waveform) for each in (edit_waveform, source_waveform))
    if isinstance(after, str):
        return after
    return "silent_source" if isinstance(before, str) else after - before
