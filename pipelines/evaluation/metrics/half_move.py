"""Whether the instrument or genre of the instruction comes or goes at least half as far as in the target.

The tagger's logit of its family, or of the genre, must move from source to edit at least half as far as from source to
target, in the same direction. With several instruments, as in `replace`, it is the share of them.

Undefined: nothing is named, the tagger does not know its tag, or the target does not move its logit.
"""

import numpy as np
import numpy.typing as npt

from instructme.model.tagger import TagHead
from instructme.pipelines.evaluation.metrics import Score

GROUP = "instruction"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (0.0, 1.0), 1.0, True
ABOVE_SOURCE = True
_LEAST = 0.01
"""A smaller move of a logit is rounding."""
Embedding = npt.NDArray[np.float32]


def score(
    edit_embedding: Embedding,
    target_embedding: Embedding,
    source_embedding: Embedding,
    tagger: TagHead,
    commanded: tuple[str, ...],
) -> Score:
    """Compare embeddings (patches, 200); `commanded` are the tags of what the instruction names."""
    if not commanded:
        return "no_instrument_named"
    edit, target, source = (tagger.logits(each) for each in (edit_embedding, target_embedding, source_embedding))
    known = [name for name in commanded if name in source]
    if not known:
        return "unknown_instrument"
    moves = [(edit[name] - source[name], target[name] - source[name]) for name in known]
    halves = [moved * np.sign(wanted) >= abs(wanted) / 2 for moved, wanted in moves if abs(wanted) >= _LEAST]
    return float(np.mean(halves)) if halves else "target_does_not_move"
