"""Measures of what has no sound."""

from pathlib import Path

from instructme.dataset_tools.stems import measures
from instructme.dataset_tools.stored import Stored


def test_a_sound_of_no_length_is_silent(tmp_path: Path) -> None:
    nothing = Stored(tmp_path)
    assert (measures.peak(nothing), measures.full_scale(nothing), measures.rms_db(nothing)) == (0, 0, -120)
    assert measures.lufs(nothing, 8000) is None
