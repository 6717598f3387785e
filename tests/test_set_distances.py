"""Distances of sets against closed forms and against literal computations."""

import warnings
from itertools import combinations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from instructme.pipelines.evaluation import set_scores
from instructme.pipelines.evaluation.set_distances import (
    DISTANCES,
    RESAMPLES,
    FrameSet,
    common,
    difference,
    frechet,
    prepared_kernel,
    resample,
)


def kernel(one, other, weights=None):
    return prepared_kernel(one, other)(np.ones(len(one)) if weights is None else weights, np.ones(len(other)))


def exact(mean, cov, count=60, seed=0):
    """Draw frames whose sample mean and covariance are exactly these."""
    mean, cov = np.asarray(mean, float), np.asarray(cov, float)
    rows = np.random.default_rng(seed).standard_normal((count, len(mean)))
    rows -= rows.mean(0)
    rows = np.linalg.solve(np.linalg.cholesky(np.cov(rows.T).reshape(len(mean), -1)), rows.T).T
    return rows @ np.linalg.cholesky(cov).T + mean


def test_frechet_distance_of_two_gaussians():
    one, other = exact([0, 1], [[4, 0], [0, 9]]), exact([3, 1], [[1, 0], [0, 4]], seed=1)
    assert frechet(one, other) == pytest.approx(9 + (2 - 1) ** 2 + (3 - 2) ** 2)
    assert frechet(exact([2], [[9]]), exact([0], [[1]], seed=1)) == pytest.approx(4 + 4)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_frechet_distance_equals_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    one, other = rng.standard_normal((50, 5)) @ rng.standard_normal((5, 5)), rng.standard_normal((40, 5)) + 1
    root = scipy.linalg.sqrtm(np.cov(one.T) @ np.cov(other.T)).real
    wanted = np.sum((one.mean(0) - other.mean(0)) ** 2) + np.trace(np.cov(one.T) + np.cov(other.T) - 2 * root)
    assert frechet(one, other) == pytest.approx(wanted, rel=1e-6)
    assert frechet(one, one) == pytest.approx(0, abs=1e-7)


def test_frechet_distance_of_fewer_frames_than_dimensions_is_finite():
    rng = np.random.default_rng(0)
    assert 0 < frechet(rng.standard_normal((5, 50)), rng.standard_normal((6, 50))) < np.inf


@pytest.mark.parametrize("distance", [frechet, kernel])
def test_weights_count_frames(distance):
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((9, 2)), rng.standard_normal((12, 2)) + 1
    if distance is frechet:
        twice = frechet(np.concatenate([one, one[:4]]), other)
        assert frechet(one, other, np.array([2.0] * 4 + [1] * 5)) == pytest.approx(twice)
    left_out = np.array([1.0] * 5 + [0] * 4)
    assert distance(one, other, left_out) == pytest.approx(distance(one[:5], other))


def test_kernel_distance_equals_a_literal_computation():
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((7, 3)) + 0.5, rng.standard_normal((8, 3))
    width = np.median([np.linalg.norm(x - y) for i, x in enumerate(other) for y in other[i + 1 :]])

    def k(x, y):
        return np.exp(-np.sum((x - y) ** 2) / (2 * width**2))

    within = [np.mean([k(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j]) for s in (one, other)]
    wanted = 100 * (sum(within) - 2 * np.mean([k(x, y) for x in one for y in other]))
    assert kernel(one, other) == pytest.approx(wanted, rel=0.02)


def test_kernel_distance_of_equal_sets_is_unbiased_and_a_shift_is_seen():
    """MMD^2 of Gaussians N(0, 1) and N(m, 1) with kernel width s: 2 s / sqrt(s^2 + 2) (1 - exp(-m^2 / 2 (s^2 + 2)))."""
    rng = np.random.default_rng(0)
    same = [kernel(rng.standard_normal((80, 1)), rng.standard_normal((80, 1))) for _ in range(25)]
    assert abs(np.mean(same)) < 3 * np.std(same) / 5 + 0.02
    one, other = rng.standard_normal((700, 1)) + 1.5, rng.standard_normal((700, 1))
    s2 = np.median(np.abs(other - other.T)[np.triu_indices(700, 1)]) ** 2
    wanted = 2 * np.sqrt(s2 / (s2 + 2)) * (1 - np.exp(-(1.5**2) / (2 * (s2 + 2))))
    assert kernel(one, other) == pytest.approx(100 * wanted, rel=0.12)


@pytest.mark.parametrize("name", ["fad_musicnn", "kad_musicnn"])
def test_a_difference_of_two_systems_is_found_only_where_there_is_one(name):
    rng = np.random.default_rng(0)
    songs = {str(number): f"song{number // 2}" for number in range(24)}
    target = {key: rng.standard_normal((4, 3)) for key in songs}
    near, also, far = (
        {key: frames + rng.standard_normal((4, 3)) * size for key, frames in target.items()} for size in (0.3, 0.3, 1)
    )
    far = {key: frames + 1 for key, frames in far.items()}
    sets = {label: FrameSet(each, songs) for label, each in (("near", near), ("also", also), ("far", far), ("target", target))}
    near, also, far = (resample(name, sets[label], sets["target"]) for label in ("near", "also", "far"))
    found = difference(near, far)
    assert found.low <= found.mean <= found.high < 0
    found = difference(near, also)
    assert found.low < 0 < found.high


@pytest.mark.parametrize("name", ["fad_musicnn", "kad_musicnn"])
@pytest.mark.parametrize("count", [2, 5])
def test_songs_are_drawn_whole_and_each_draw_is_weighed(name, count):
    rng = np.random.default_rng(1)
    songs = {str(number): f"song{number % count}" for number in range(10)}
    target, edits = (FrameSet({key: rng.standard_normal((4, 3)) for key in songs}, songs) for _ in range(2))
    draws, weighted = np.random.default_rng(0), DISTANCES[name](edits.frames, target.frames)
    wanted = [weighted(np.ones(40), np.ones(40))]
    for _ in range(RESAMPLES):
        counts = dict(zip(sorted(set(songs.values())), draws.multinomial(count, np.full(count, 1 / count)), strict=True))
        wanted.append(weighted(edits.weights(counts), target.weights(counts)))
    assert resample(name, edits, target) == pytest.approx(np.array(wanted), abs=1e-9)


def test_each_system_is_resampled_once(monkeypatch):
    rng, calls = np.random.default_rng(3), []
    group, names = ("set", "add"), ["one", "two", "three", "target"]
    embedded = set_scores.Embedded([], "musicnn")
    embedded.songs = {group: {"a": "x", "b": "y"}}
    embedded.frames = {group: {name: {key: rng.standard_normal((4, 3)) for key in "ab"} for name in names}}
    monkeypatch.setattr(set_scores, "resample", lambda *each: calls.append(each[0]) or resample(*each))
    found = [embedded.difference(group, "kad_musicnn", one, other) for one, other in combinations(names[:3], 2)]
    assert len(calls) == 3 and found[0].mean - found[1].mean + found[2].mean == pytest.approx(0)
    del embedded.frames[group]["three"]["b"]
    embedded.difference(group, "kad_musicnn", "one", "three")
    assert len(calls) == 5, "over fewer keys, both are resampled again"


def test_one_song_gives_no_interval():
    rng = np.random.default_rng(2)
    target, edits = (FrameSet({key: rng.standard_normal((4, 3)) for key in "ab"}, {"a": "song", "b": "song"}) for _ in range(2))
    found = difference(resample("kad_musicnn", edits, target), resample("kad_musicnn", target, target))
    assert np.isfinite(found.mean) and np.isnan([found.low, found.high]).all()


def test_keys_that_all_sets_have():
    assert common({"a": 1, "b": 2}, {"b": 1, "c": 2}) == ["b"]


def test_a_single_frame_has_no_kernel_distance_and_makes_no_noise():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(kernel(np.ones((1, 3)), np.random.default_rng(0).standard_normal((5, 3))))
