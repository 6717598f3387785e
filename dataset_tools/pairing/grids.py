"""Hold beats, bar positions and chords of all tracks as flat arrays, for matching windows in bulk."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from instructme.dataset_tools.chord_labels import codes
from instructme.dataset_tools.pairing.combinations import Floats, Ints, numbered

UNKNOWN = -1
"""Chord code of a track whose chords nobody knows; it agrees with nothing."""
CODES = 25
"""Chord codes: none, 12 major, 12 minor."""
_TRACK = 1 << 40
"""Key of (track, sample): more samples than any track has."""


@dataclass(frozen=True)
class Grids:
    """Beats of all tracks, one after the other; arrays per beat unless stated otherwise."""

    keys: Ints
    """track * 2**40 + sample, ascending."""
    beats: Ints
    positions: Ints
    codes: npt.NDArray[np.int8]
    """Chord in the middle of the beat."""
    next_downbeat: Ints
    """Index of the first downbeat from here on."""
    first: Ints
    """(tracks + 1,) first beat of each track."""
    meters: Ints
    """(tracks,) metre as a number."""
    problems: npt.NDArray[np.str_]
    """(tracks,) why a track can't be matched, empty if it can."""
    has_chords: npt.NDArray[np.bool_]
    """(tracks,) the chords are known."""
    chord_keys: Ints
    """(chords,) key of each chord's start; each track begins with one at 0."""
    chord_codes: npt.NDArray[np.int8]
    chord_sums: Ints
    """(25, chords) samples that each code has sounded before this chord, over all tracks."""

    def index(self, tracks: Ints, samples: Ints) -> Ints:
        """Find the first beat of a track at or after a sample; the next track's first beat where there is none."""
        return np.searchsorted(self.keys, tracks * _TRACK + samples)

    def segments(self, tracks: Ints, begins: Ints, ends: Ints) -> tuple[Ints, Ints, Ints, npt.NDArray[np.int8]]:
        """List the chords of windows: row of the window, begin and end in samples of the track, code."""
        low = np.searchsorted(self.chord_keys, tracks * _TRACK + begins, side="right") - 1
        counts = np.searchsorted(self.chord_keys, tracks * _TRACK + ends) - low
        row, nth = numbered(counts)
        chord = low[row] + nth
        start = self.chord_keys[chord] - tracks[row] * _TRACK
        end = np.append(self.chord_keys, 0)[chord + 1] - tracks[row] * _TRACK
        last = np.append(row[1:] != row[:-1], True)
        return row, np.maximum(start, begins[row]), np.where(last, ends[row], end), self.chord_codes[chord]

    def sounded(self, tracks: Ints, samples: Floats, code: npt.NDArray[np.int8]) -> Floats:
        """Measure for how many samples a code has sounded before a sample of a track; only differences mean anything.

        It is 0 for chords that are not known: two of them do not agree.
        """
        chord = np.searchsorted(self.chord_keys, tracks * _TRACK + samples.astype(np.int64), side="right") - 1
        since = samples - (self.chord_keys[chord] - tracks * _TRACK)
        heard = self.chord_sums[code, chord] + np.where(self.chord_codes[chord] == code, since, 0.0)
        return np.where(code == UNKNOWN, 0.0, heard)


def of_rhythm(table: pa.Table, tracks: list[str]) -> Grids:
    """Flatten a rhythm table; tracks that it lacks count as `no_rhythm`."""
    row_of = {track_id: row for row, track_id in enumerate(table["track_id"].to_pylist())}
    rows = np.array([row_of.get(track_id, -1) for track_id in tracks], dtype=np.int64)
    known = np.flatnonzero(rows >= 0)
    table = table.take(pa.array(rows[known]))
    beats, owner = _flat(table, "beats_samples", known)
    positions, _ = _flat(table, "beat_positions", known)
    starts, chord_owner = _flat(table, "chord_starts_samples", known)
    labels, _ = _flat(table, "chord_labels", known)
    has_chords = np.zeros(len(tracks), dtype=bool)
    has_chords[known] = np.array(table["chord_source"].to_pylist(), dtype=object) != "none"
    chord_keys = np.concatenate([np.arange(len(tracks)) * _TRACK, chord_owner * _TRACK + starts])
    order = np.argsort(chord_keys, kind="stable")
    chord_codes = np.concatenate([np.where(has_chords, 0, UNKNOWN), codes(labels.tolist())]).astype(np.int8)
    chord_codes[len(tracks) :][~has_chords[chord_owner] | (labels == "X")] = UNKNOWN
    chord_keys, chord_codes = chord_keys[order], chord_codes[order]
    first = np.searchsorted(owner, np.arange(len(tracks) + 1))
    meters = dict.fromkeys(table["meter"].to_pylist())
    numbers = {meter: number for number, meter in enumerate(sorted(meter for meter in meters if meter))}
    meter = np.full(len(tracks), -1)
    meter[known] = [numbers.get(name, -1) for name in table["meter"].to_pylist()]
    gaps = np.where(np.diff(owner, append=-1) == 0, np.diff(beats, append=0), 0)
    middle = np.searchsorted(chord_keys, owner * _TRACK + beats + gaps // 2, side="right") - 1
    return Grids(
        keys=owner * _TRACK + beats,
        beats=beats,
        positions=positions,
        codes=chord_codes[middle],
        next_downbeat=_next(positions == 1),
        first=first,
        meters=meter,
        problems=_problems(table, known, len(tracks), meter, np.diff(first)),
        has_chords=has_chords,
        chord_keys=chord_keys,
        chord_codes=chord_codes,
        chord_sums=_chord_sums(chord_keys, chord_codes),
    )


def _chord_sums(keys: Ints, chord_codes: npt.NDArray[np.int8]) -> Ints:
    lasts = np.diff(keys // _TRACK, append=-1) != 0
    durations = np.where(lasts, 0, np.diff(keys, append=0))
    sums = np.zeros((CODES, len(keys)), dtype=np.int64)
    for code in range(CODES):
        sums[code, 1:] = np.cumsum(np.where(chord_codes == code, durations, 0))[:-1]
    return sums


def _flat(table: pa.Table, name: str, known: Ints) -> tuple[npt.NDArray[Any], Ints]:
    column = table[name].combine_chunks()
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    return column.flatten().to_numpy(zero_copy_only=False), np.repeat(known, lengths)


def _next(flags: npt.NDArray[np.bool_]) -> Ints:
    """Find the index of the first true flag at or after each place; the length where there is none."""
    places = np.where(flags, np.arange(len(flags)), len(flags))
    return np.minimum.accumulate(places[::-1])[::-1]


def _problems(table: pa.Table, known: Ints, tracks: int, meter: Ints, beats: Ints) -> npt.NDArray[np.str_]:
    trusted, downbeat = np.zeros((2, tracks), dtype=bool)
    trusted[known] = table["trusted"].to_numpy()
    downbeat[known] = table["downbeat_known"].to_numpy()
    return np.select(
        [beats == 0, ~trusted, ~downbeat, meter < 0], ["no_rhythm", "rhythm_untrusted", "downbeat_unknown", "meter_unknown"], ""
    )
