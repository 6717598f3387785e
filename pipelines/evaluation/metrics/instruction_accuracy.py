"""Instruction accuracy (IA, eq. 8): the share of tags that edit and target have in common, |Te & Tt| / max(|Te|, |Tt|).

Tags are instrument families to which the tagger gives a probability above 0.5, and, where the instruction names a genre, the
likeliest genre. Only tags count that the tagger recognises on other songs. Both without tags: 1.

Undefined: the tagger has no reliable tag.
"""

from collections.abc import Collection, Mapping

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
    if not tagger.names:
        return "no_reliable_tag"
    genres = [name for name in tagger.names if name in GENRES]
    heard = genres if any(name in genres for name in commanded) else []
    edit, target = (_tags(tagger.logits(each), heard) for each in (edit_embedding, target_embedding))
    return len(edit & target) / max(len(edit), len(target)) if edit or target else 1.0


def _tags(logits: Mapping[str, float], genres: Collection[str]) -> set[str]:
    likeliest = [max(genres, key=logits.__getitem__)] if genres else []
    return {name for name, logit in logits.items() if logit > 0 and name not in GENRES}.union(likeliest)
