"""Notes: our decoder against basic-pitch's own on stored activations, and its clock."""

import json

import numpy as np
import pytest
from notes_golden import GOLDEN, activations

from instructme.dataset_tools.recognisers import note_network


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_decoding_finds_the_notes_of_basic_pitch(seed):
    wanted = json.loads(GOLDEN.read_text())[str(seed)]
    found = note_network.decode(*activations(seed))
    frames = np.arange(400)
    times_s = frames * 256 / 22050 - (256 / 22050 * (172 - 43844 / 256) + 0.0018) * (frames // 172)
    expected = sorted((float(times_s[start]), float(times_s[end]), pitch) for start, end, pitch in wanted)
    ours = sorted((*map(float, span), int(pitch)) for span, pitch in zip(*found, strict=True))
    assert len(wanted) > 20
    np.testing.assert_allclose(ours, expected)


def test_silence_and_short_sounds_have_no_notes():
    for frames in (0, 5, 200):
        found = note_network.decode(*(np.zeros((frames, 88), np.float32),) * 2)
        assert found.spans_s.shape == (0, 2) and not len(found.pitches)
