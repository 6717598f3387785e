"""16-bit music in the wrong byte order is told and left out; music and cymbals are not."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_channel_check import drums, tune
from test_parts import RATE_HZ, make, make_stem, reasons

SOUNDS = {"tune": tune(1, 100), "cymbal": np.diff(drums(0), prepend=0), "soft": 0.3 * tune(2, 200)}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", SOUNDS)
def test_swapped_music_is_left_out_and_cymbals_stay(tmp_path: Path, name: str, channels: int) -> None:
    samples = np.stack([np.rint(32767 * SOUNDS[name]).astype(np.int16)] * channels, axis=1)
    stem = make_stem(tmp_path, "a", "other", samples / 32768)
    other = make_stem(tmp_path, "b", "bass", tune(3, 60))
    soundfile.write(tmp_path / stem.path, samples, RATE_HZ, subtype="PCM_16")
    assert not reasons(make(tmp_path, [stem, other])[3])
    soundfile.write(tmp_path / stem.path, samples.byteswap(), RATE_HZ, subtype="PCM_16")
    rows, _, _, rejects = make(tmp_path, [stem, other])
    if name != "cymbal":
        assert reasons(rejects) == [("a", "byte_order")] and rows["bass"].gain == 1
