"""Instruction accuracy (IA, eq. 8): the share of tags that edit and target have in common, |Te & Tt| / max(|Te|, |Tt|).

Tags are those of the tagger with a probability above 0.5: instrument families, and genres where the instruction names a genre.
Only tags count that the tagger recognises on other songs. Both without tags: 1.

Undefined: the tagger has no reliable tag.
"""

import numpy as np
import numpy.typing as npt

from instructme.manifests.genres import GENRES
from instructme.model.tagger import TagHead
from instructme.pipelines.evaluation.metrics import Score

GROUP = "instruction"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (0.0, 1.0), 1.0, True
ABOVE_SOURCE = True
Embedding = npt.NDArray[np.float32]


def score(edit_embedding: Embedding, target_embedding: Embedding, tagger: TagHead, commanded: tuple[str, ...] = ()) -> Score:
    """Compare embeddings (patches, 200); `commanded` are the tags of what the instruction names."""
    unasked = () if any(name in GENRES for name in commanded) else GENRES
    if not set(tagger.names).difference(unasked):
        return "no_reliable_tag"
    edit, target = (
        {name for name, logit in tagger.logits(each).items() if logit > 0}.difference(unasked)
        for each in (edit_embedding, target_embedding)
    )
    return len(edit & target) / max(len(edit), len(target)) if edit or target else 1.0
