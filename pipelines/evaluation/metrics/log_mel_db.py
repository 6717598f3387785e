"""Mean absolute difference of log-mel spectrograms in dB.

STFT 1024/256 at 24 kHz, Hann window, centred; 80 Slaney mels from 0 to 12 kHz on magnitudes. The edit is scaled to the RMS of the
target. Both are floored at 60 dB under the largest cell of the target.

Undefined: a silent target. A silent edit counts as the floor.
"""

import numpy as np

from instructme.dataset_tools.audio import Samples
from instructme.pipelines.evaluation.metrics import Score
from instructme.pipelines.evaluation.spectra import decibels, mel_filters, stft

GROUP = "signal"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "dB", "down", (0.0, None), 0.0, True
ABOVE_SOURCE = True
WINDOW_SAMPLES, HOP_SAMPLES, BANDS = 1024, 256, 80
FLOOR_DB = 60.0


def score(edit: Samples, target: Samples) -> Score:
    """Compare (T,) with (T,)."""
    power, wanted = (float(np.mean(np.square(each), dtype=np.float64)) for each in (edit, target))
    if not wanted:
        return "silent_target"
    scaled = edit * np.float32(np.sqrt(wanted / power)) if power else edit
    filters = mel_filters(WINDOW_SAMPLES, BANDS)
    levels = [decibels(np.abs(stft(each, WINDOW_SAMPLES, HOP_SAMPLES)) @ filters) for each in (scaled, target)]
    floor_db = levels[1].max() - FLOOR_DB
    one, other = (np.maximum(each, floor_db) for each in levels)
    return float(np.mean(np.abs(one - other), dtype=np.float64))
