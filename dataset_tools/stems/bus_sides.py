"""Measure how much of a stereo bus its members explain, where left and right differ, too.

Sums of stems are found by the mean of the channels. A bus may have a sound of its own that this mean lacks, such as a wide
reverberation. Whatever its members hold left or right counts as explained, at any level: a bus may pan its members.
"""

from collections.abc import Sequence

import numpy as np

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems.mixtures import sketch
from instructme.dataset_tools.stored import Stored

_LEFT, _RIGHT = (1.0, 0.0), (0.0, 1.0)
_MIDDLE, _SIDE = (0.5, 0.5), (0.5, -0.5)


def explained(share: float, bus: Stored, members: Sequence[Stored], rate_hz: int) -> float:
    """Correct the share of a bus that its members explain, 0 to 1, by what both channels say. `share` is that of their mean."""
    if bus.channels != 2:
        return share
    middle, side = (sketch(bus, rate_hz, weights) for weights in (_MIDDLE, _SIDE))
    channels = [sketch(each, rate_hz, weights) for each in members for weights in (_LEFT, _RIGHT)]
    rest = (1 - share) * _power(middle) + _power(_unexplained(side, channels))
    return 1 - rest / max(_power(middle) + _power(side), 1e-30)


def _power(sound: Samples) -> float:
    return float(np.square(sound, dtype=np.float64).sum())


def _unexplained(sound: Samples, others: Sequence[Samples]) -> Samples:
    """Take from a sound what is a sum of others (least squares)."""
    longest = max(map(len, (sound, *others)))
    own, *rows = (np.pad(each, (0, longest - len(each))).astype(np.float64) for each in (sound, *others))
    columns = np.stack(rows, axis=1)
    levels, *_ = np.linalg.lstsq(columns, own, rcond=1e-6)
    return np.asarray(own - columns @ levels, dtype=np.float32)
