"""Find windows of other tracks that a clip can be remixed into: same metre, tempo, bar position and mostly the same chords.

Both sides are compared beat by beat from a downbeat on, in blocks of clips of like tempo against all downbeats of like
tempo; what passes is aligned by all of its beats, and measured exactly.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.pairing.combinations import Floats, Ints, numbered
from instructme.dataset_tools.pairing.edits import PairOptions
from instructme.dataset_tools.pairing.grids import UNKNOWN, Grids
from instructme.dataset_tools.pairing.pool import Pool

FEWEST_BEATS = 4
MOST_ERROR_MS = 25.0
MOST_MEDIAN_ERROR_MS = 10.0
MOST_DRIFT_MS = 10.0
"""Two tempi that drift apart by less than this over the window need no time-stretch."""
SEARCHED = 4096
"""Target windows that a block of clips is compared with at first; where there are more, so many are drawn."""
_BLOCK = 256
_CHUNK = 1 << 17
_MARGIN = 0.1
"""Beat-wise agreement may fall short of the wanted one by this much; the exact one decides."""
_MARGIN_OF_TEMPO = 0.01
"""The tempo around a downbeat may lie this much further off than that of the window."""

MATCH = np.dtype(
    [(name, "i8") for name in ("window", "track", "start")] + [(name, "f8") for name in ("stretch", "error_ms", "agreement")]
)
Matches = npt.NDArray[np.void]


class WindowSearch(NamedTuple):
    """Matches sorted by window; whether no other exists; and why windows have none: reason -> tracks, one per window."""

    matches: Matches
    exhaustive: bool
    unmatched: dict[str, Ints]


@dataclass(frozen=True)
class Spans:
    """Source windows with their beats: indices of the first one, of the first downbeat, and of the first one after."""

    window: Ints
    begin: Ints
    anchor: Ints
    end: Ints
    period: Floats
    """Mean samples from beat to beat."""

    def take(self, rows: Ints) -> "Spans":
        """Keep some rows."""
        return Spans(self.window[rows], self.begin[rows], self.anchor[rows], self.end[rows], self.period[rows])


def find(pool: Pool, most: int, rng: np.random.Generator, options: PairOptions, searched: int = SEARCHED) -> WindowSearch:
    """Find up to `most` target windows for each window of the pool.

    Args:
        pool: windows and grids; targets are placed anywhere in tracks that have windows.
        most: matches per window; where there are more, they are drawn evenly.
        rng: source of randomness.
        searched: target windows that a block of windows is compared with.
        options: `tempo_tolerance` (largest relative difference of tempi) and `remix_harmony` (least chord agreement).
    """
    spans, unmatched = _spans(pool)
    anchors = _anchors(pool)
    pairs, exhaustive = [np.zeros((2, 0), dtype=np.int64)], True
    for meter in np.unique(pool.grids.meters):
        sources = np.flatnonzero(pool.grids.meters[pool.windows["track"][spans.window]] == meter)
        targets = anchors[:, pool.grids.meters[anchors[1].astype(np.int64)] == meter]
        sources = sources[np.argsort(spans.period[sources], kind="stable")]
        for begin in range(0, len(sources), _BLOCK):
            rows = sources[begin : begin + _BLOCK]
            near, all_near = _near(targets, spans.period[rows], searched, rng, options)
            found, all_kept = _search(pool, spans.take(rows), near, most, rng, options)
            pairs.append(np.stack([rows[found[0]], found[1]]))
            exhaustive &= all_near and all_kept
    row, anchor = np.concatenate(pairs, axis=1)
    slices = [slice(begin, begin + _CHUNK) for begin in range(0, len(row), _CHUNK)]
    chunks = [_align(pool, spans.take(row[some]), anchor[some], options) for some in slices]
    matches = np.concatenate([np.zeros(0, MATCH), *chunks])
    matches = matches[np.lexsort((matches["start"], matches["track"], matches["window"]))]
    lonely = np.setdiff1d(spans.window, matches["window"])
    unmatched["no_match"] = pool.windows["track"][lonely]
    return WindowSearch(matches, exhaustive, unmatched)


def _spans(pool: Pool) -> tuple[Spans, dict[str, Ints]]:
    """Find the beats of each window; windows whose beats can't be matched are counted by reason."""
    grids, windows = pool.grids, pool.windows
    begin = grids.index(windows["track"], windows["start"])
    end = grids.index(windows["track"], windows["start"] + windows["length"])
    anchor = np.append(grids.next_downbeat, len(grids.beats))[begin]
    problem = grids.problems[windows["track"]].astype("<U20")
    beats = np.append(grids.beats, 0)
    first, last = beats[begin], beats[np.maximum(end - 1, 0)]
    period = (last - first) / np.maximum(end - 1 - begin, 1)
    uncovered = np.maximum(first - windows["start"], windows["start"] + windows["length"] - last)
    full = (end - begin >= FEWEST_BEATS) & (anchor < end) & (uncovered <= 1.5 * period)
    problem[(problem == "") & ~full] = "beats_missing"
    fit = np.flatnonzero(problem == "")
    unmatched = {reason: windows["track"][problem == reason] for reason in np.unique(problem[problem != ""]).tolist()}
    return Spans(fit, begin[fit], anchor[fit], end[fit], period[fit]), unmatched


def _anchors(pool: Pool) -> Floats:
    """List the downbeats of all tracks that have windows, by rising beat period: (3, N) of index, track, samples per beat."""
    grids = pool.grids
    fit = np.zeros(len(pool.tracks), dtype=bool)
    fit[pool.windows["track"]] = True
    fit &= grids.problems == ""
    index = np.flatnonzero((grids.positions == 1) & np.repeat(fit, np.diff(grids.first)))
    track = np.searchsorted(grids.first, index, side="right") - 1
    last = np.minimum(index + 8, grids.first[track + 1] - 1)
    period = (grids.beats[last] - grids.beats[index]) / np.maximum(last - index, 1)
    order = np.argsort(period, kind="stable")
    return np.stack([index, track, period])[:, order][:, period[order] > 0]


def _near(targets: Floats, period: Floats, searched: int, rng: np.random.Generator, options: PairOptions) -> tuple[Floats, bool]:
    """Choose the downbeats of like tempo to some beat periods, up to `searched`; and say whether these are all."""
    reach = _MARGIN_OF_TEMPO + options.tempo_tolerance
    near = np.arange(*np.searchsorted(targets[2], [period.min() * (1 - reach), period.max() * (1 + reach)]))
    chosen = near if len(near) <= searched else np.sort(rng.choice(near, searched, replace=False))
    return targets[:, chosen], len(chosen) == len(near)


def _search(
    pool: Pool, spans: Spans, targets: Floats, most: int, rng: np.random.Generator, options: PairOptions
) -> tuple[Ints, bool]:
    """Compare each source window of a block with each target downbeat.

    Returns:
        (2, pairs) of row in the block and index of the target's downbeat, up to `most` per row; and whether these are all.
    """
    grids, track_of = pool.grids, pool.windows["track"][spans.window]
    index, track = targets[0].astype(np.int64), targets[1].astype(np.int64)
    good = np.abs(targets[2] / spans.period[:, None] - 1) <= _MARGIN_OF_TEMPO + options.tempo_tolerance
    good &= pool.song_groups[track_of][:, None] != pool.song_groups[track]
    good &= (spans.anchor - spans.begin)[:, None] <= index - grids.first[track]
    good &= (spans.end - spans.anchor)[:, None] <= grids.first[track + 1] - index
    if options.remix_harmony > 0:
        good &= _beatwise(grids, spans, index) >= options.remix_harmony - _MARGIN
    kept = _keep(good, most, rng)
    row, column = np.nonzero(kept)
    return np.stack([row, index[column]]), len(row) == np.count_nonzero(good)


def _beatwise(grids: Grids, spans: Spans, index: Ints) -> Floats:
    """Measure the share of each source's beats on which each target has the same chord, `(sources, targets)`."""
    same = np.zeros((len(spans.window), len(index)), dtype=np.uint16)
    highest = len(grids.beats) - 1
    for offset in range(int((spans.begin - spans.anchor).min()), int((spans.end - spans.anchor).max())):
        beat = spans.anchor + offset
        inside = (beat >= spans.begin) & (beat < spans.end)
        ours = np.where(inside, grids.codes[np.clip(beat, 0, highest)], UNKNOWN)
        theirs = grids.codes[np.clip(index + offset, 0, highest)]
        same += (ours[:, None] == theirs) & (ours != UNKNOWN)[:, None]
    return same / (spans.end - spans.begin)[:, None]


def _keep(good: npt.NDArray[np.bool_], most: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Keep at most `most` of each row's true entries, drawn evenly."""
    if most >= good.shape[1] or good.sum(axis=1).max(initial=0) <= most:
        return good
    noise = np.where(good, rng.random(good.shape, dtype=np.float32), np.float32(-1))
    least = np.partition(noise, -most, axis=1)[:, -most]
    return good & (noise >= least[:, None])


def _align(pool: Pool, spans: Spans, anchors: Ints, options: PairOptions) -> Matches:
    """Place target windows so that beats fall on beats, and keep those that fit in every respect."""
    grids, windows = pool.grids, pool.windows[spans.window]
    track = np.searchsorted(grids.first, anchors, side="right") - 1
    offset = (spans.begin - spans.anchor)[:, None] + np.arange(int((spans.end - spans.begin).max(initial=0)))
    inside = offset < (spans.end - spans.anchor)[:, None]
    offset = np.where(inside, offset, 0)
    ours, theirs = spans.anchor[:, None] + offset, anchors[:, None] + offset
    source = grids.beats[ours] - windows["start"][:, None]
    target = grids.beats[theirs]
    start, stretch = _fit(source, target, inside, windows["length"], pool.rate_hz)
    error = np.where(inside, np.abs((target - start[:, None]) / stretch[:, None] - source), -1.0)
    count = inside.sum(axis=1)
    middle = offset.shape[1] - count + (count - 1) // 2
    median = np.take_along_axis(np.sort(error, axis=1), middle[:, None], axis=1)[:, 0]
    matches = np.zeros(len(anchors), MATCH)
    matches["window"], matches["track"], matches["start"], matches["stretch"] = spans.window, track, start, stretch
    matches["error_ms"] = error.max(axis=1) * 1000 / pool.rate_hz
    matches["agreement"] = agreement(pool, matches)
    fits = (matches["error_ms"] <= MOST_ERROR_MS) & (median * 1000 / pool.rate_hz <= MOST_MEDIAN_ERROR_MS)
    fits &= (np.abs(stretch - 1) <= options.tempo_tolerance + 1e-9) & (start >= 0)
    fits &= start + np.ceil(windows["length"] * stretch) <= pool.lengths[track]
    fits &= ((grids.positions[ours] == grids.positions[theirs]) | ~inside).all(axis=1)
    fits &= (options.remix_harmony <= 0) | (matches["agreement"] >= options.remix_harmony - 1e-9)
    return np.asarray(matches[fits])


def _fit(source: Ints, target: Ints, inside: npt.NDArray[np.bool_], length: Ints, rate_hz: int) -> tuple[Ints, Floats]:
    """Fit target = start + stretch * source: the stretch by least squares, the start so that the largest error is least."""
    count = inside.sum(axis=1)
    mean_source, mean_target = ((inside * beats).sum(axis=1) / count for beats in (source, target))
    away = np.where(inside, source - mean_source[:, None], 0.0)
    stretch = (away * (target - mean_target[:, None])).sum(axis=1) / np.square(away).sum(axis=1)
    stretch[np.abs(stretch - 1) * length < MOST_DRIFT_MS / 1000 * rate_hz] = 1.0
    lag = target - stretch[:, None] * source
    highest, lowest = np.where(inside, lag, -np.inf).max(axis=1), np.where(inside, lag, np.inf).min(axis=1)
    return np.rint((highest + lowest) / 2).astype(np.int64), stretch


def agreement(pool: Pool, matches: Matches) -> Floats:
    """Measure the share of each match in which both sides have the same chord; NaN where a side's chords are unknown.

    Chords are the codes of `chord_labels` (root and third), the target's in the time of the source.
    """
    grids, windows = pool.grids, pool.windows[matches["window"]]
    used, place = np.unique(matches["window"], return_inverse=True)
    used_windows = pool.windows[used]
    ends = used_windows["start"] + used_windows["length"]
    row, begin, end, code = grids.segments(used_windows["track"], used_windows["start"], ends)
    first = np.searchsorted(row, np.arange(len(used) + 1))
    match, nth = numbered(np.diff(first)[place])
    segment = first[place][match] + nth
    origin, track = matches["start"][match], matches["track"][match]
    stretch, from_start = matches["stretch"][match], windows["start"][match]
    at_begin, at_end = (origin + stretch * (edge[segment] - from_start) for edge in (begin, end))
    sounded = grids.sounded(track, at_end, code[segment]) - grids.sounded(track, at_begin, code[segment])
    shares = np.bincount(match, weights=sounded / stretch, minlength=len(matches)) / np.maximum(windows["length"], 1)
    known = grids.has_chords[windows["track"]] & grids.has_chords[matches["track"]]
    return np.where(known, shares, np.nan)
