"""Decode one sound of a song: a file, or two files that hold its channels, left and right or mid and side."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.stems import (
    byte_order,
    chained,
    channel_check,
    clipping,
    dc_offset,
    dropouts,
    gaps,
    measures,
    mid_side,
    stereo_pairs,
)
from instructme.dataset_tools.stored import Stored
from instructme.manifests.paths import inside
from instructme.manifests.rows import Stem

_LOW_BITS = "its samples never use their highest {} bits, so it may be {} dB too soft: export it again, if it should be louder"
CANCELLED = 0.03
"""Share of two signals' power that is left of their sum (-15 dB) where one is the opposite of the other."""

NEARLY_OPPOSITE = -0.6
"""Correlation of two channels below which their mean is 7 dB softer than they are. Those of stereo stems are above 0."""


class StemFault(NamedTuple):
    """Something to tell of a stem; a fatal one leaves it out."""

    reason: str
    detail: str
    fatal: bool
    other: str = ""
    """Path of the stem that it overlaps with."""


def group(stems: Sequence[Stem]) -> Iterator[tuple[Stem, ...]]:
    """Yield each stem, and the two of a pair at once, left before right and mid before side, where the first of them stands."""
    by_id = {stem.stem_id: stem for stem in stems}
    for stem in stems:
        other = by_id.get(stem.pair or "")
        if other is None:
            yield (stem,)
        elif stems.index(stem) < stems.index(other):
            yield mid_side.mid_first(stem, other) or stereo_pairs.left_first(stem, other)


def read(
    source: Sequence[Stem], root: Path, scratch: Path, rate_hz: int, channels: int, lags_s: Mapping[str, float]
) -> tuple[Stored, list[StemFault]]:
    """Read a stem, of one file or of a file for each channel, without what would count as sound, behind its lag of silence.

    It is mono, the mean, or stereo. Of channels that cancel each other out, the first is the music.
    """
    lost = [dropouts.Dropouts(stem.sample_rate_hz) for stem in source]
    reports = [audio.DecodingReport(hear=each.hear) for each in lost]
    samples, notes = _joined(source, root, scratch, rate_hz, channels, reports)
    if told := next(filter(None, (each.detail() for each in lost)), None):
        notes.append(StemFault("dropouts", told, False))
    if offset := dc_offset.remove(samples, rate_hz):
        notes.append(StemFault("dc_offset", f"{offset} was removed", False))
    if late := round(lags_s.get(source[0].path, 0.0) * rate_hz):
        on_time, samples = samples, Stored(scratch, channels)
        samples.extend([audio.silence(late, channels)]).extend(block for _, block in on_time.blocks())
        on_time.close()
    return samples, notes


def faults(source: Sequence[Stem], root: Path, samples: Stored, rate_hz: int) -> Iterator[StemFault]:
    """Tell of faults of the files of a stem: missing pieces, unread ends, low bits, cut waves, bytes in the wrong order."""
    paths = [inside(root, stem.path) for stem in source]
    soft = measures.peak(samples) < 1.1 * audio.SOFT_BITS  # resampling may raise a peak
    unused = max(map(audio.unused_bits, paths)) if soft else 0
    if any(map(gaps.lacks_pieces, paths)):
        yield StemFault("unreadable", gaps.DETAIL, True)
    if any(map(chained.is_chained, paths)):
        yield StemFault("chained", chained.DETAIL, False)
    if unused:
        yield StemFault("low_bits", _LOW_BITS.format(unused, 6 * unused), False)
    if clipped := next(filter(None, (clipping.detail(path, samples, rate_hz) for path in paths)), None):
        yield StemFault("clipped", clipped, False)
    if any(byte_order.is_swapped(path, samples) for path in paths):
        yield StemFault("byte_order", byte_order.DETAIL, True)


def _joined(
    source: Sequence[Stem], root: Path, scratch: Path, rate_hz: int, channels: int, reports: Sequence[audio.DecodingReport]
) -> tuple[Stored, list[StemFault]]:
    paths = [inside(root, stem.path) for stem in source]
    if len(source) == 2:
        streams = (audio.stream(path, rate_hz, report=report) for path, report in zip(paths, reports, strict=True))
        pair = [Stored(scratch).extend(stream) for stream in streams]
        return _mid_side(source, pair, scratch, channels) if mid_side.mid_first(*source) else _left_right(pair, scratch, channels)
    path, report = paths[0], reports[0]
    try:
        samples = Stored(scratch, channels).extend(audio.stream(path, rate_hz, channels=channels, report=report))
        return samples, [*_channels(path, source[0].channels, report.likeness, channels)]
    except audio.OppositeChannelsError:
        return Stored(scratch, channels).extend(audio.stream(path, rate_hz, channel=0, channels=channels)), [_cancels()]


def _channels(path: Path, own: int, likeness: float, channels: int) -> Iterator[StemFault]:
    """Tell of several channels that may be stems, or of two that are nearly opposite or seem to be two instruments."""
    if own > 2:
        detail = f"the part holds the mean of its {own} channels: if they are stems, export each as a file"
        yield StemFault("surround", detail, False)
    elif own == 2 and channels == 1 and likeness < NEARLY_OPPOSITE:
        softer_db = -audio.power_db((1 + likeness) / 2)
        detail = f"its channels are nearly opposite, so that their mean is {softer_db:.0f} dB softer: invert one of them"
        yield StemFault("cancels", detail, False)
    elif own == 2 and channel_check.differ(path, likeness):
        yield StemFault("channels_differ", channel_check.DETAIL, False)


def _left_right(pair: Sequence[Stored], scratch: Path, channels: int) -> tuple[Stored, list[StemFault]]:
    left, right = pair
    joined, mean_power, power = Stored(scratch, channels), 0.0, 0.0
    for start, one in left.blocks(stop=len(right)):
        other = right[start : start + len(one)]
        mean = (one + other) / np.float32(2)
        mean_power += float(np.vdot(mean, mean))
        power += (float(np.vdot(one, one)) + float(np.vdot(other, other))) / 2
        joined.put(start, mean if channels == 1 else np.stack([one, other], axis=1))
    if mean_power < CANCELLED * power:
        return Stored(scratch, channels).extend(audio.in_channels(block, channels) for _, block in left.blocks()), [_cancels()]
    return joined, []


def _mid_side(source: Sequence[Stem], pair: Sequence[Stored], scratch: Path, channels: int) -> tuple[Stored, list[StemFault]]:
    """Decode mid and side; two sounds of which the second is the louder one are summed, as they may be two takes."""
    mid, side = pair
    is_side = measures.rms_db(side) <= measures.rms_db(mid)
    joined = Stored(scratch, channels)
    for start, one in mid.blocks(stop=len(side)):
        other = side[start : start + len(one)]
        if is_side:
            joined.put(start, one if channels == 1 else np.stack([one + other, one - other], axis=1))
        else:
            joined.put(start, audio.in_channels(one + other, channels))
    return joined, [StemFault("mid_side" if is_side else "unpaired", mid_side.detail(source[1], is_side, channels), False)]


def _cancels() -> StemFault:
    detail = "its channels are opposite, so their mean is silent: only the first channel is used"
    return StemFault("cancels", detail, False)
