"""Answer what sounds in any window of any track, from the level and activity curves of its parts."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from instructme.dataset_tools.audio import FLOOR_DB
from instructme.dataset_tools.pairing.combinations import Floats, Ints
from instructme.manifests.rows import ACTIVITY_RATE_HZ

_POWERS = np.append(0.0, 10.0 ** (np.arange(FLOOR_DB + 1, 41) / 10))
"""Power of each whole level from the floor, which is silence, to 40 dBFS."""


class PartsInWindow(NamedTuple):
    """Masks of parts, `(N,)` each: making any sound in the window, active for long enough, and fit to be edited."""

    sounds: Ints
    active: Ints
    usable: Ints


@dataclass(frozen=True)
class Curves:
    """Running sums over the frames of all parts, one part after the other, each led by a zero.

    A window's activity and power are then two look-ups per part, however long it is.
    """

    active: npt.NDArray[np.int32]
    power: Floats
    audible: npt.NDArray[np.int32]
    begins: Ints
    """(parts,) where the sums of a part begin."""
    frames: Ints
    """(parts,) frames of a part."""
    first: Ints
    """(tracks + 1,) first part of each track."""
    editable: npt.NDArray[np.bool_]
    rate_hz: int
    min_active: float
    max_under_mix_db: float
    least_power: Floats
    """(parts,) mean power of the active frames from which a part is loud enough to be named."""

    def hear(self, tracks: Ints, starts: Ints, lengths: Ints) -> PartsInWindow:
        """Listen to windows of tracks, given in samples and rounded to frames of 0.1 s.

        A part is fit to be edited by the rule of `prepare`: editable, active for `min_active` of the window, loud enough
        where it plays, and not more than `max_under_mix_db` under the mix, whose power is taken as the sum of its parts'.
        """
        hop = self.rate_hz / ACTIVITY_RATE_HZ
        begin, end = np.rint(starts / hop).astype(np.int64), np.rint((starts + lengths) / hop).astype(np.int64)
        first, parts = self.first[tracks], self.first[tracks + 1] - self.first[tracks]
        width = int(parts.max(initial=0))
        active, power = np.zeros((2, width, len(tracks)))
        least = np.zeros_like(power)
        masks = np.zeros((2, len(tracks)), dtype=np.int64)
        for bit in range(width):
            part = np.minimum(first + bit, len(self.frames) - 1)
            low = self.begins[part] + np.minimum(begin, self.frames[part])
            high = self.begins[part] + np.minimum(end, self.frames[part])
            exists = parts > bit
            active[bit] = exists * (self.active[high] - self.active[low]) / np.maximum(end - begin, 1)
            least[bit] = self.least_power[part] * (self.active[high] - self.active[low])
            power[bit] = exists * np.maximum(self.power[high] - self.power[low], 0.0)
            masks[0] |= (exists & (self.audible[high] > self.audible[low])).astype(np.int64) << bit
            masks[1] |= (exists & self.editable[part]).astype(np.int64) << bit
        long_enough = active >= self.min_active
        loud_enough = (power >= power.sum(axis=0) * 10 ** (-self.max_under_mix_db / 10)) & (power >= least)
        sounds, editable = masks
        return PartsInWindow(sounds, _mask(long_enough), _mask(long_enough & loud_enough) & editable & sounds)


def _mask(flags: npt.NDArray[np.bool_]) -> Ints:
    mask = np.zeros(flags.shape[1], dtype=np.int64)
    for bit, row in enumerate(flags):
        mask |= row.astype(np.int64) << bit
    return mask


def of_parts(parts: pa.Table, first: Ints, min_active: float, max_under_mix_db: float, min_lufs: float) -> Curves:
    """Sum up the curves of a parts table sorted by track and instrument; `first` is the first row of each track."""
    level, activity = (parts[name].combine_chunks() for name in ("level_db", "activity"))
    frames = level.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    steps = np.clip(level.flatten().to_numpy() - int(FLOOR_DB), 0, len(_POWERS) - 1).astype(np.uint8)
    active = _sums(activity.flatten().to_numpy(zero_copy_only=False), frames, np.int32)
    power = _sums(_POWERS[steps], frames, np.float64)
    ends = np.cumsum(frames + 1) - 1
    lufs = parts["lufs"].to_numpy().astype(np.float64)
    mean = power[ends] / np.maximum(active[ends], 1)
    weight = np.where(np.isfinite(lufs) & (mean > 0), 10 ** (np.nan_to_num(lufs) / 10) / np.maximum(mean, 1e-24), 1.0)
    return Curves(
        active=active,
        power=power,
        audible=_sums(steps > 0, frames, np.int32),
        begins=np.cumsum(frames + 1) - (frames + 1),
        frames=frames,
        first=first,
        editable=parts["editable"].to_numpy(),
        rate_hz=int(parts["sample_rate_hz"][0].as_py()) if len(parts) else 0,
        min_active=min_active,
        max_under_mix_db=max_under_mix_db,
        least_power=10 ** (min_lufs / 10) / weight,
    )


def _sums(values: npt.NDArray[Any], frames: Ints, dtype: type) -> npt.NDArray[Any]:
    """Cumulate the frame values of each part; its sums are led by a zero."""
    sums: npt.NDArray[Any] = np.zeros(len(values) + len(frames), dtype=dtype)
    begin = 0
    for part, length in enumerate(frames.tolist()):
        np.cumsum(values[begin : begin + length], dtype=dtype, out=sums[begin + part + 1 : begin + part + 1 + length])
        begin += length
    return sums
