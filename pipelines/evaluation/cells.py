"""Find which cells of a spectrogram an edit should keep and which it should change, from source S and target T alone.

STFT 2048/512 at 24 kHz. A gain g is chosen such that most cells of gS are alone in T, of those where |T| is loud. A larger g
makes more cells of S loud, so other cells do not count. A cell is loud where |T| or |gS| is above the peak of |T| less 50 dB. A
loud cell is kept where |T - gS| < 0.25 max(|T|, |gS|), with complex T and S. It is changed where the levels of T
and gS differ by more than 6 dB.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples
from instructme.pipelines.evaluation.spectra import Levels, decibels, stft

WINDOW_SAMPLES, HOP_SAMPLES = 2048, 512
FLOOR_DB = 50.0
ALONE = 0.25
CHANGE_DB = 6.0
FEWEST = 0.01
"""Share of the loud cells below which a kind of cell is too rare to judge by."""
GAINS_DB = np.arange(-12, 12.01, 0.25)
Mask = npt.NDArray[np.bool_]


class Cells(NamedTuple):
    """Cells of a target (frames, bins), and the gain by which the source is in it."""

    target_db: Levels
    kept: Mask
    changed: Mask
    loud: int
    gain_db: float
    floor_db: float

    def lack(self, *kinds: str) -> str | None:
        """Name the first of the kinds `kept` and `changed` that is too rare; None if none is."""
        if not self.loud:
            return "silent_target"
        rare = (kind for kind in kinds if np.count_nonzero(getattr(self, kind)) < FEWEST * self.loud)
        return next((f"few_{kind}_cells" for kind in rare), None)


def levels(samples: Samples) -> Levels:
    """Measure the level of every cell of (T,): (frames, bins) in dB."""
    return decibels(np.abs(stft(samples, WINDOW_SAMPLES, HOP_SAMPLES)))


def find(target: Samples, source: Samples, gain_db: float | None = None) -> Cells:
    """Find the cells of a triplet.

    Args:
        target: (T,) at 24 kHz.
        source: as long as the target.
        gain_db: the gain of the source in the target, where it is known; else it is searched from -12 to 12 dB.
    """
    of_target, of_source = (stft(each, WINDOW_SAMPLES, HOP_SAMPLES) for each in (target, source))
    target_size, source_size = np.abs(of_target), np.abs(of_source)
    floor = target_size.max(initial=0) * 10 ** (-FLOOR_DB / 20)
    common = of_target.real * of_source.real + of_target.imag * of_source.imag
    gain = _most_alone(target_size, source_size, common, floor) if gain_db is None else gain_db
    scaled = source_size * np.float32(10 ** (gain / 20))
    larger = np.maximum(target_size, scaled)
    loud = larger > floor
    distance = np.square(target_size) + np.square(scaled) - 2 * np.float32(10 ** (gain / 20)) * common
    kept = loud & (distance < ALONE**2 * np.square(larger))
    target_db = decibels(target_size)
    changed = loud & (np.abs(target_db - decibels(scaled)) > CHANGE_DB)
    return Cells(
        target_db, kept, changed, int(np.count_nonzero(loud)), float(gain), float(decibels(np.full(1, floor, np.float32))[0])
    )


def _most_alone(target: Levels, source: Levels, common: Levels, floor: float) -> float:
    """Find the gain in dB that leaves most cells alone.

    With u = g |S| / |T| and the cosine c between both, a cell is alone where u^2 - 2 u c + 1 < 0.25^2 max(u, 1)^2. This holds
    between 1 / r and r, where 1 / r = c - sqrt(c^2 - 1 + 0.25^2). So every cell is alone in an interval of gains. Of several best
    gains it is the middle one.
    """
    use = (target > floor) & (source > 0)
    target, source, common = target[use], source[use], common[use]
    if not len(target):
        return 0.0
    cosine = common / (target * source)
    room = np.square(cosine) - np.float32(1 - ALONE**2)
    near = (room > 0) & (cosine > 0)
    middle = decibels(target[near]) - decibels(source[near])
    width = -decibels(cosine[near] - np.sqrt(room[near]))
    first, last = np.searchsorted(GAINS_DB, middle - width), np.searchsorted(GAINS_DB, middle + width)
    places = len(GAINS_DB) + 1
    alone = np.cumsum(np.bincount(first, minlength=places) - np.bincount(last, minlength=places))[:-1]
    best = np.flatnonzero(alone == alone.max())
    return float(GAINS_DB[best[len(best) // 2]]) if alone.max() else 0.0


def error_db(edit_db: Levels, cells: Cells, kind: str) -> float:
    """Measure the mean absolute difference in dB to the target over the `kept` or `changed` cells.

    The edit is levelled by the median difference over the kept cells. Both are floored at the peak of the target less 50 dB.
    """
    level_db = np.median(edit_db[cells.kept] - cells.target_db[cells.kept])
    where = getattr(cells, kind)
    edit, target = (np.maximum(each, cells.floor_db) for each in (edit_db[where] - level_db, cells.target_db[where]))
    return float(np.mean(np.abs(edit - target), dtype=np.float64))
