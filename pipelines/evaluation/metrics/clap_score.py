"""CLAP score: the cosine between CLAP's embeddings of the edit and of a text, as Instruct-MusicGen measures it.

The text names the instruments that should sound after the edit, and "music": `drums piano music`. The metric is computed only
with the weights of a CLAP model: `--set clap=FOLDER`.

Undefined: the instruments after the edit are not known.
"""

import numpy as np
import numpy.typing as npt

from instructme.pipelines.evaluation.metrics import Score

GROUP = "instruction"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (-1.0, 1.0), None, False
ABOVE_SOURCE = True


def score(edit_clap: npt.NDArray[np.float32], described: npt.NDArray[np.float32] | None) -> Score:
    """Compare unit vectors (W,)."""
    if described is None:
        return "unknown_instruments"
    return float(np.clip(edit_clap @ described, -1.0, 1.0))
