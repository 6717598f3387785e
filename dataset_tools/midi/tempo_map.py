"""Read the tempo map that the MIDI files of a track share.

Times are quarter notes, as in MIDI files; `seconds` converts. symusic reads the files, because it is
fast and accepts malformed key signatures that pretty_midi and mido refuse. Beats agree with pretty_midi's, save that a
6/4 bar has six beats here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from instructme.manifests.rows import DataError

Floats = npt.NDArray[np.float64]
LOW_PITCH = 48
"""Notes below it, and kicks, count as bass."""
KICKS = (35, 36)
DENOMINATORS = (1, 2, 4, 8, 16, 32)
LONGEST_QUARTERS = 100_000
"""Some eight hours: a damaged file must not ask for all the memory."""


@dataclass(frozen=True)
class TempoMap:
    """Tempi, time signatures, and notes sorted by onset that the MIDI files of a track share."""

    tempo_quarters: Floats
    tempo_s: Floats
    quarter_s: Floats
    signatures: tuple[tuple[float, int, int], ...]
    onsets: Floats
    lengths: Floats
    bass: npt.NDArray[np.bool_]

    def seconds(self, quarters: Floats) -> Floats:
        """Convert quarter notes to seconds."""
        index = np.clip(np.searchsorted(self.tempo_quarters, quarters, side="right") - 1, 0, None)
        return np.asarray(self.tempo_s[index] + (quarters - self.tempo_quarters[index]) * self.quarter_s[index])

    def segments(self) -> list[tuple[float, float, int]]:
        """List (start, quarters per beat, beats per bar) of each time signature; no signature known is 0 beats per bar.

        A compound metre (6/8, 9/8, 12/8) has dotted beats.
        """
        known = []
        for start, numerator, denominator in self.signatures:
            compound = numerator % 3 == 0 and numerator > 3 and denominator >= 8
            unit = 4 / denominator * (3 if compound else 1)
            known.append((start, unit, numerator // 3 if compound else numerator))
        return known if known and known[0][0] <= 0 else [(0.0, 1.0, 0), *known]

    def meter(self) -> str | None:
        """Name the time signature that holds for most notes, such as `4/4`; None if it is not stated, or is a bar of one."""
        starts = [-np.inf, *(start for start, _, _ in self.signatures)]
        index = np.searchsorted(starts, self.onsets + 1e-6, side="right") - 1
        most = int(np.bincount(index, minlength=1).argmax())
        return "{1}/{2}".format(*self.signatures[most - 1]) if most and self.signatures[most - 1][1] > 1 else None

    def beats(self) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Lay beats from the start to the end of the last note, less a quarter by which notes ring on.

        Returns:
            Seconds, and position in the bar from 1 (0 where no time signature is known).
        """
        segments, last = self.segments(), float((self.onsets + np.maximum(self.lengths - 0.25, 0)).max())
        quarters, positions = [], []
        for (start, unit, bar), (end, _, _) in zip(segments, [*segments[1:], (last + 1e-5, 0.0, 0)], strict=True):
            grid = np.arange(start, end - 1e-6, unit)
            grid = grid[grid <= last]
            quarters.append(grid)
            positions.append(np.arange(len(grid)) % bar + 1 if bar > 1 else np.zeros(len(grid), np.int64))
        return self.seconds(np.concatenate(quarters)), np.concatenate(positions).astype(np.int64)


def read(paths: Sequence[Path]) -> TempoMap:
    """Join the MIDI files of a track, which must share one tempo map.

    Raises:
        DataError: unreadable, without notes, or with tempo maps that differ by more than 5 ms.
    """
    maps = [_read(path) for path in sorted(set(paths))]
    if not any(len(each.onsets) for each in maps):
        raise DataError("MIDI holds no notes")
    onsets = np.concatenate([each.onsets for each in maps])
    order = np.argsort(onsets, kind="stable")
    probe = np.linspace(0.0, onsets.max() + 1.0, 256)
    for other in maps[1:]:
        if other.signatures != maps[0].signatures or np.abs(other.seconds(probe) - maps[0].seconds(probe)).max() > 0.005:
            raise DataError("tempo maps of the MIDI files differ")
    return replace(
        maps[0],
        onsets=onsets[order],
        lengths=np.concatenate([each.lengths for each in maps])[order],
        bass=np.concatenate([each.bass for each in maps])[order],
    )


def load(path: Path) -> Any:
    """Load a MIDI file as a symusic score in ticks.

    symusic reads beyond the end of files that are cut short and takes the process down, so that every track must be
    there to its end-of-track event first.

    Raises:
        DataError: unreadable, not MIDI, or cut short.
    """
    import symusic

    try:
        data = path.read_bytes()
        if not _whole(data):
            raise DataError(f"MIDI {path.name} is cut short or not MIDI")
        score: Any = symusic.Score.from_midi(data)
        if score.tpq <= 0 or score.end() > LONGEST_QUARTERS * score.tpq:
            raise DataError(f"MIDI {path.name} has no musical time")
        return score
    except (RuntimeError, ValueError, OSError):
        raise DataError(f"can't read MIDI {path.name}") from None


def _whole(data: bytes) -> bool:
    """Walk the chunks of a standard MIDI file; each begins with four letters and its length in four bytes."""
    if data[:4] != b"MThd" or len(data) < 14:
        return False
    tracks, at = int.from_bytes(data[10:12]), 8 + int.from_bytes(data[4:8])
    while tracks and at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8])
        if data[at : at + 4] == b"MTrk":
            if end > len(data) or data[end - 3 : end] != b"\xff\x2f\x00":
                return False
            tracks -= 1
        at = end
    return tracks == 0


def _read(path: Path) -> TempoMap:
    """Read the tempo map and notes of one file."""
    score = load(path)
    tempi = {tempo.time / score.tpq: tempo.mspq / 1e6 for tempo in score.tempos if tempo.mspq > 0}
    tempi = {0.0: 0.5, **tempi}  # 120 bpm until a tempo is stated, as the MIDI standard says
    quarters = np.array(sorted(tempi))
    quarter_s = np.array([tempi[quarter] for quarter in quarters])
    starts_s = np.concatenate([[0.0], np.cumsum(np.diff(quarters) * quarter_s[:-1])])
    stated = {sign.time / score.tpq: (sign.numerator, sign.denominator) for sign in score.time_signatures}
    signatures = tuple(
        (time, *sign) for time, sign in sorted(stated.items()) if sign[0] in range(1, 65) and sign[1] in DENOMINATORS
    )
    notes = [(track.notes.numpy(), track.is_drum) for track in score.tracks]
    onsets = np.concatenate([np.zeros(0), *(note["time"] / score.tpq for note, _ in notes)])
    lengths = np.concatenate([np.zeros(0), *(note["duration"] / score.tpq for note, _ in notes)])
    low = [np.isin(note["pitch"], KICKS) if drum else note["pitch"] < LOW_PITCH for note, drum in notes]
    bass = np.concatenate([np.zeros(0, bool), *low])
    return TempoMap(quarters, starts_s, quarter_s, signatures, onsets, lengths, bass)
