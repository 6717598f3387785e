"""Compare the set of edits with the set of targets by their embeddings: Frechet and kernel distance.

Rows are frames (patches of 3 s at -14 LUFS) of all sounds of a set. Values of sets of different sizes are not comparable. A plain
bootstrap of either distance is biased up, so only differences between two systems on the same songs get intervals.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from instructme.pipelines.evaluation.intervals import draws

Frames = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]
Weighted = Callable[[Doubles, Doubles], float]
"""Weights of the frames of both sets -> distance."""
RESAMPLES = 100
MOST_FRAMES = 4000
"""More frames of a set are thinned out evenly: the kernel distance takes all pairs."""
FEWEST = 2


class SetDifference(NamedTuple):
    """A difference of two distances, and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


def frechet(one: Frames, other: Frames, weights: Doubles | None = None, other_weights: Doubles | None = None) -> float:
    """Compute the Frechet distance of two sets of frames (n, D), (m, D), as if both were Gaussian (eq. 7).

    |mu1 - mu2|^2 + tr(S1 + S2 - 2 sqrt(S1 S2)), with covariances of n - 1. The trace of the square root is the sum of the square
    roots of the eigenvalues of sqrt(S1) S2 sqrt(S1), which are real. Weights count a frame so many times.
    """
    (mean, cov), (other_mean, other_cov) = _moments(one, weights), _moments(other, other_weights)
    values, vectors = np.linalg.eigh(cov)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    crossed = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other_cov @ root), 0)).sum()
    shift = mean - other_mean
    return float(max(shift @ shift + np.trace(cov) + np.trace(other_cov) - 2 * crossed, 0.0))


def _moments(frames: Frames, weights: Doubles | None) -> tuple[Doubles, Doubles]:
    rows = np.asarray(frames, dtype=np.float64)
    counts = np.ones(len(rows)) if weights is None else weights
    mean = counts @ rows / counts.sum()
    centred = rows - mean
    return mean, (centred * counts[:, None]).T @ centred / (counts.sum() - 1)


def prepared_kernel(one: Frames, other: Frames) -> Weighted:
    """Give the kernel distance (KAD) of edits (n, D) and targets (m, D) as a function of weights.

    It is 100 times the unbiased squared maximum mean discrepancy. The kernel is exp(-|x - y|^2 / 2 s^2). Its width s is
    the median distance of two frames of the target. Weights count a frame so many times; a frame is never paired with itself.
    The kernel of all pairs is computed once.
    """
    of_pairs = _squares(other, other)
    width = float(np.median(of_pairs[np.triu_indices(len(other), 1)])) or 1.0  # squared
    values = [np.exp(-squares / (2 * width)) for squares in (_squares(one, one), of_pairs, _squares(one, other))]
    for square in values[:2]:
        np.fill_diagonal(square, 0)

    def weighted(w: Doubles, v: Doubles) -> float:
        with np.errstate(invalid="ignore"):  # a single frame, as the bootstrap of few songs draws it, has no pair: not a number
            pairs = zip((w, v), values, strict=False)
            within = sum(each @ value @ each / (each.sum() ** 2 - each @ each) for each, value in pairs)
        return float(100 * (within - 2 * (w @ values[2] @ v) / (w.sum() * v.sum())))

    return weighted


def prepared_frechet(one: Frames, other: Frames) -> Weighted:
    """Give `frechet` of two sets for many weights."""
    return lambda w, v: frechet(one, other, w, v)


def _squares(one: Frames, other: Frames) -> Doubles:
    """Compute the squared distances (n, m)."""
    x, y = (np.asarray(each, dtype=np.float64) for each in (one, other))
    return np.asarray(np.maximum(np.square(x).sum(1)[:, None] + np.square(y).sum(1) - 2 * x @ y.T, 0))


DISTANCES: dict[str, Callable[[Frames, Frames], Weighted]] = {
    "fad_vggish": prepared_frechet,
    "fad_vggish_pca": prepared_frechet,
    "fad_musicnn": prepared_frechet,
    "kad_musicnn": prepared_kernel,
}
"""Column -> distance of edits and targets, in the embedding that the name ends with. Lower is better."""


def distance(name: str, one: Frames, other: Frames) -> float:
    """Compute a distance by its name."""
    return DISTANCES[name](one, other)(np.ones(len(one)), np.ones(len(other)))


class FrameSet:
    """The frames of a set by key: (patches, D) each, and the song of each key."""

    def __init__(self, frames: Mapping[str, Frames], songs: Mapping[str, str]) -> None:
        self.keys = list(frames)
        rows = [frames[key] for key in self.keys]
        self.frames = np.concatenate(rows) if rows else np.zeros((0, 1))
        self.songs = np.repeat([songs[key] for key in self.keys], [len(each) for each in rows])
        if len(self.frames) > MOST_FRAMES:
            places = np.linspace(0, len(self.frames) - 1, MOST_FRAMES).round().astype(np.int64)
            self.frames, self.songs = self.frames[places], self.songs[places]

    def weights(self, counts: Mapping[str, float]) -> Doubles:
        """Weigh frames by how often their songs were drawn."""
        return np.array([counts[song] for song in self.songs])


def resample(name: str, edits: FrameSet, target: FrameSet) -> Doubles:
    """Compute the distance of a set to its target, then those of `RESAMPLES` draws of whole songs, if there are several.

    The same songs give the same draws. So results of the same keys may be subtracted.
    """
    songs = sorted(set(target.songs))
    at = DISTANCES[name](edits.frames, target.frames)
    drawn = np.ones((1, len(songs)))
    if len(songs) >= FEWEST:
        drawn = np.concatenate([drawn, draws(np.random.default_rng(0), len(songs), RESAMPLES)])
    # Few songs give few different draws.
    different, places = np.unique(drawn, axis=0, return_inverse=True)
    counted = [dict(zip(songs, counts, strict=True)) for counts in different]
    return np.array([at(edits.weights(counts), target.weights(counts)) for counts in counted])[places]


def difference(one: Doubles, other: Doubles) -> SetDifference:
    """Compute by how much one set is farther from the target than another, from what `resample` gave for both."""
    mean, *drawn = one - other
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (np.nan, np.nan)
    return SetDifference(float(mean), float(low), float(high))


def common(*sets: Mapping[str, Frames]) -> Sequence[str]:
    """List the keys that all sets have."""
    return sorted(set.intersection(*(set(each) for each in sets)))
