"""Write self-contained HTML pages to look at and listen to edits: no network, light and dark, keyboard and pointer.

Every page lists rows of clips side by side: a player, the waveform, a mel spectrogram, and, where they are given or asked
for, the chord matrix and the pitch matrix. The clips of a row share one time axis and one colour scale. The same
arguments give the same bytes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from instructme.dataset_tools.audio import Samples
from instructme.pipelines.pages import sound
from instructme.pipelines.pages.html import write_page
from instructme.pipelines.pages.line_plots import Points, curve
from instructme.pipelines.pages.views import Chords, PageClip, Row, change_view, row_view

__all__ = ["PageClip", "Row", "comparison_page", "curve", "training_page"]


def training_page(
    path: Path,
    title: str,
    rows: Sequence[Row],
    curves: Mapping[str, Mapping[str, Points]],
) -> None:
    """Write the page of a training run: charts (heading -> series -> (step, value) points) above rows of edits."""
    kbps, longest_s = sound.budget([clip.seconds for row in rows for clip in row.clips])
    write_page(
        path,
        "rows.html",
        title=title,
        charts=[Markup(curve(series, title=heading)) for heading, series in curves.items()],
        rows=[row_view(row, kbps, longest_s) for row in rows],
    )


def comparison_page(
    path: Path,
    title: str,
    source: Samples,
    edit: Samples,
    rate_hz: int,
    *,
    instruction: str,
    chords: tuple[Chords, Chords] | None = None,
    rounds: Sequence[tuple[str, Samples]] = (),
    variations: Sequence[Samples] = (),
) -> None:
    """Write the page of one edit (paper: Figure 4).

    Source, edit and their difference side by side: waveform, spectrogram, chord matrix, pitch matrix.

    source, edit: (T,) float32 mono at `rate_hz`. chords: matrices of source and edit. rounds: instruction and result of every
    round in order, where there were several (the last result is the edit). variations: further samples of the same edit.
    """
    of_source, of_edit = chords or (None, None)
    pair = (PageClip("Source", source, rate_hz, of_source), PageClip("Edit", edit, rate_hz, of_edit))
    more = []
    if rounds:
        clips = [PageClip(f"{number}. {text}", result, rate_hz) for number, (text, result) in enumerate(rounds, start=1)]
        more.append(Row("Round by round", [PageClip("Source", source, rate_hz), *clips]))
    if variations:
        clips = [PageClip(f"Sample {number}", each, rate_hz) for number, each in enumerate((edit, *variations), start=1)]
        more.append(Row("Samples of the same edit", clips))
    seconds = [clip.seconds for clip in (*pair, pair[0], *(clip for row in more for clip in row.clips))]
    kbps, longest_s = sound.budget(seconds)
    write_page(
        path,
        "rows.html",
        title=title,
        subtitle=instruction,
        charts=[],
        rows=[change_view("Before and after", *pair, kbps, longest_s), *(row_view(row, kbps, longest_s) for row in more)],
    )
