"""Absolute difference of the integrated loudness of edit and target (ITU-R BS.1770-4), in LU.

Undefined: an edit or target that is silent, or shorter than 0.4 s.
"""

from instructme.pipelines.evaluation.metrics import Score

GROUP = "signal"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "dB", "down", (0.0, None), 0.0, False
ABOVE_SOURCE = True


def score(edit_lufs: float, target_lufs: float) -> Score:
    """Compare loudness in LUFS, minus infinity for silence."""
    for name, loudness in (("target", target_lufs), ("edit", edit_lufs)):
        if loudness == float("-inf"):
            return f"silent_{name}"
    return abs(edit_lufs - target_lufs)
