"""Kullback-Leibler divergence of the classes that PANNs hears in the target and in the edit, as Instruct-MusicGen measures it.

The classes are a softmax over the logits of CNN14 at 16 kHz. The divergence is sum(p ln(p / q)) in nats, p of the target and q of
the edit. The metric is computed only with the published weights: `--set panns=FILE`.

Undefined: never; silence has classes, too.
"""

import numpy as np
import numpy.typing as npt

from instructme.pipelines.evaluation.metrics import Score

GROUP = "instruction"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "down", (0.0, None), 0.0, False
ABOVE_SOURCE = True


def score(edit_panns: npt.NDArray[np.float32], target_panns: npt.NDArray[np.float32]) -> Score:
    """Compare logits (classes,)."""
    from scipy.special import log_softmax

    edit, target = (log_softmax(each.astype(np.float64)) for each in (edit_panns, target_panns))
    return float(max((np.exp(target) * (target - edit)).sum(), 0.0))
