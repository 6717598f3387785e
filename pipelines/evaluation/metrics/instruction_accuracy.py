"""Instruction accuracy (IA, eq. 8): the share of tags that edit and target have in common, |Te & Tt| / max(|Te|, |Tt|).

Tags are those of the tagger with a probability above 0.5, of families that it recognises on other songs. Both without tags: 1.

Undefined: the tagger has no reliable tag.
"""

import numpy as np
import numpy.typing as npt

from instructme.model.tagger import TagHead
from instructme.pipelines.evaluation.metrics import Score

GROUP = "instruction"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (0.0, 1.0), 1.0, True
ABOVE_SOURCE = True


def score(edit_embedding: npt.NDArray[np.float32], target_embedding: npt.NDArray[np.float32], tagger: TagHead) -> Score:
    """Compare embeddings (patches, 200)."""
    if not tagger.names:
        return "no_reliable_tag"
    edit, target = (
        {name for name, logit in tagger.logits(each).items() if logit > 0} for each in (edit_embedding, target_embedding)
    )
    return len(edit & target) / max(len(edit), len(target)) if edit or target else 1.0
