"""Chunks cover all audio, overlap, and join without a seam."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from instructme.pipelines.editing.crossfade import cross_fade, spans


@given(st.floats(0.0001, 8000), st.floats(0.5, 60))
def test_spans_cover_everything_with_full_chunks_that_overlap(seconds, chunk):
    cut = spans(seconds, chunk)
    longest = max(chunk, 2.0)
    assert cut[0][0] == 0 and cut[-1][1] == seconds
    assert all(isinstance(start, int) and 0 < stop - start < longest + 1e-6 for start, stop in cut)
    for (start, stop), (following, end) in pairwise(cut):
        assert start < following < stop < end
        assert stop - following > min(1, 0.2 * longest) - 1e-6
    if len(cut) > 1:
        assert cut[-1][1] - cut[-1][0] > longest - 1 - 1e-6
        assert len(cut) <= 2 + seconds / (0.8 * longest - 2 if longest > 5 else 0.3)


def test_a_clip_is_one_chunk():
    assert spans(10.0, 10.0) == [(0, 10.0)]
    assert spans(0.01, 10.0) == [(0, 0.01)]
    assert spans(18.0, 10.0) == [(0, 10.0), (8, 18.0)]
    assert spans(18.5, 10.0) == [(0, 10.0), (8, 18.0), (9, 18.5)]


@given(st.floats(0.001, 120), st.integers(2, 20), st.integers(1, 2))
def test_pieces_of_a_sound_join_to_it(seconds, chunk, channels):
    rate = 100
    sound = np.random.default_rng(0).standard_normal((max(1, round(seconds * rate)), channels)).astype(np.float32)
    joined = sound[:0]
    for start, stop in spans(len(sound) / rate, chunk):
        piece = sound[start * rate : round(stop * rate)]
        joined = np.concatenate([joined[: start * rate], cross_fade(joined[start * rate :], piece, 2 * rate)])
    np.testing.assert_allclose(joined, sound, atol=1e-6)


def test_the_fade_is_linear_and_has_no_jump():
    faded = cross_fade(np.zeros((4, 1), np.float32), np.ones((10, 1), np.float32), 9)[:, 0]
    np.testing.assert_allclose(faded, [0.2, 0.4, 0.6, 0.8] + [1] * 6, atol=1e-6)


def test_two_takes_are_heard_together_for_no_longer_than_the_fade():
    faded = cross_fade(np.zeros((6, 1), np.float32), np.ones((10, 1), np.float32), 2)[:, 0]
    np.testing.assert_allclose(faded, [0] * 4 + [1 / 3, 2 / 3] + [1] * 4, atol=1e-6)
