"""F-measure of the notes of the edit against those of the target (mir_eval).

Onsets within 50 ms and pitches within 50 cents are equal, whatever the offsets. Notes come from basic-pitch, at -14 LUFS.

Undefined: neither edit nor target has a note. Only one of both has one: 0.
"""

from instructme.dataset_tools.recognisers.note_network import RecognisedNotes
from instructme.pipelines.evaluation.metrics import Score

GROUP = "music"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (0.0, 1.0), 1.0, True
ABOVE_SOURCE = True


def score(edit_notes: RecognisedNotes, target_notes: RecognisedNotes) -> Score:
    """Compare notes."""
    import mir_eval

    counts = len(edit_notes.pitches), len(target_notes.pitches)
    if not all(counts):
        return 0.0 if any(counts) else "no_notes"
    (found, pitches), (wanted, others) = (
        (notes.spans_s, mir_eval.util.midi_to_hz(notes.pitches)) for notes in (edit_notes, target_notes)
    )
    return float(mir_eval.transcription.precision_recall_f1_overlap(wanted, others, found, pitches, offset_ratio=None)[2])
