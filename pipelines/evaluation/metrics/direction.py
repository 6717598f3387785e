"""Cosine of the move from source to edit and the move from source to target, in MusiCNN's embedding.

Both are differences of means over patches of 3 s, at -14 LUFS. An edit that equals the source has 0.

Undefined: a target that equals the source.
"""

import numpy as np
import numpy.typing as npt

from instructme.pipelines.evaluation.metrics import Score

GROUP = "instruction"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (-1.0, 1.0), 1.0, True
ABOVE_SOURCE = True
_LEAST = 1e-4
"""A shorter move is rounding."""


def score(
    edit_embedding: npt.NDArray[np.float32],
    target_embedding: npt.NDArray[np.float32],
    source_embedding: npt.NDArray[np.float32],
) -> Score:
    """Compare embeddings (patches, 200)."""
    edit, target, source = (each.mean(axis=0, dtype=np.float64) for each in (edit_embedding, target_embedding, source_embedding))
    moved, wanted = edit - source, target - source
    lengths = float(np.linalg.norm(moved)), float(np.linalg.norm(wanted))
    if lengths[1] < _LEAST:
        return "target_is_source"
    return float(np.clip(moved @ wanted / (lengths[0] * lengths[1]), -1, 1)) if lengths[0] >= _LEAST else 0.0
