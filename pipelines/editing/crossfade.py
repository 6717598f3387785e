"""Cut audio of any length into chunks that overlap, and cross-fade their edits."""

import math

import numpy as np

from instructme.dataset_tools.audio import Samples

OVERLAP = 0.2
"""Share of a chunk that its neighbour hears, too."""
FADE_S = 2
"""Most seconds for which two edits of the same moment are heard together."""


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


def cross_fade(old: Samples, new: Samples, longest: int) -> Samples:
    """Join (m, channels) and (n, channels), of which the first m samples are the same moments: (n, channels).

    The old sound is heard until the last LONGEST of these samples, and fades there. Two edits of one moment are two takes, which
    nobody wants to hear together for long. The fade is linear because both hold the same kept sound.
    """
    length = min(len(old), longest)
    start = len(old) - length
    fade = np.arange(1, length + 1, dtype=np.float32)[:, None] / np.float32(length + 1)
    faded = old[start:] + fade * (new[start : len(old)] - old[start:])
    return np.concatenate([old[:start], faded, new[len(old) :]])
