"""The page of `instructme app`, and the pictures that it shows of a song and its edit."""

from collections.abc import Mapping, Sequence

from instructme.dataset_tools.audio import Samples
from instructme.pipelines.pages.html import page_text, render
from instructme.pipelines.pages.views import PageClip, Row, row_view


def page(limits: str, examples: Mapping[str, str], sentences: Sequence[str]) -> str:
    """Write the page.

    Args:
        limits: a line about the files that it takes.
        examples: names and titles of songs that need no upload.
        sentences: to start with.
    """
    return page_text(
        "play.html",
        styles=["play.css"],
        scripts=["play.js"],
        title="Edit music by a sentence",
        limits=limits,
        examples=examples,
        sentences=sentences,
    )


def listening_view(clips: Mapping[str, tuple[Samples, int]]) -> str:
    """Draw clips (T,) with their rates, below each other on one axis: HTML for the place of the pictures on the page."""
    row = Row("", [PageClip(label, samples, rate_hz) for label, (samples, rate_hz) in clips.items()])
    longest_s = max(clip.seconds for clip in row.clips)
    return render("play_pictures.html", row=row_view(row, 0, longest_s))
