"""Cut audio of any length into chunks that overlap, and cross-fade their edits."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from instructme.dataset_tools.audio import Samples

OVERLAP = 0.2
"""Share of a chunk that its neighbour hears, too."""


def spans(seconds: float, chunk_seconds: float) -> list[tuple[int, float]]:
    """Cut into chunks (start, stop) in seconds that overlap by at least a fifth; the last one ends with the audio.

    All start on whole seconds, so that they hold whole samples at any rate. The last one is moved back rather than cut
    short, so that it has as much context as the others.
    """
    longest = max(chunk_seconds, 2.0)
    hop = math.floor(longest - max(1.0, OVERLAP * longest))
    count = 1 + max(0, math.ceil((seconds - longest) / hop))
    starts = [hop * number for number in range(count - 1)] + [max(0, math.ceil(seconds - longest))]
    return [(start, min(start + longest, seconds)) for start in starts]


def join(pieces: Iterable[tuple[int, Samples]]) -> Iterator[Samples]:
    """Cross-fade pieces, each (first sample, (n, channels)), linearly over all that they share; yield what is finished.

    Pieces come in order and none leaves a gap. The fade is linear because what both keep of the source is the same.
    """
    pending: Samples = np.zeros((0, 0), dtype=np.float32)
    start = 0
    for first, piece in pieces:
        if first > start:
            yield pending[: first - start]
        old = pending[first - start :]
        fade = np.arange(1, len(old) + 1, dtype=np.float32)[:, None] / np.float32(len(old) + 1)
        both = old + fade * (piece[: len(old)] - old) if len(old) else old
        pending, start = np.concatenate([both, piece[len(old) :]]) if len(old) else piece, first
    yield pending
