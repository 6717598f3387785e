"""Chord recognition accuracy of the edit against the source: whether the edit keeps the harmony. See `chord_accuracy`.

Undefined: a source that has no chord in 90 % of its time or more, or none that is major, minor or N.
"""

from instructme.pipelines.evaluation.metrics import Score, chord_accuracy

GROUP = "music"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (0.0, 1.0), None, False
ABOVE_SOURCE = False


def score(edit_chords: chord_accuracy.Chords, source_chords: chord_accuracy.Chords) -> Score:
    """Compare chords: spans in seconds (n, 2), and Harte labels."""
    value = chord_accuracy.score(edit_chords, source_chords)
    return value.replace("target", "source") if isinstance(value, str) else value
