"""Read chords from the notes of MIDI files: what the notes of each beat say, smoothed over the song.

The profile of a beat is how long, how loud and in which stems each pitch class sounds, and which one is lowest. Each
chord explains a profile with a likelihood; the Viterbi path pays for a change of chord, less where bars begin.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.chord_labels import NAMES, merge, semitones
from instructme.dataset_tools.midi import tempo_map
from instructme.dataset_tools.midi.tempo_map import DRUMS, TempoMap
from instructme.manifests.rows import DataError

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

_UNPITCHED = {113, *range(115, 128)}
"""General MIDI programs whose pitch says nothing: agogo, woodblock, taiko, toms, sound effects."""
_BASSES = range(32, 40)
_MONOPHONIC = 1.15
"""A stem with fewer notes at a time is a line: a bass below `_BASS_PITCH`, a lead above `_LEAD_PITCH` (median MIDI pitch)."""
_BASS_PITCH, _LEAD_PITCH = 50, 60
_LINE_WEIGHT = 0.05
"""Leads and walking basses pass through many notes outside the chord; they decide only where nothing else sounds."""

# Log preference per beat for each quality: sevenths must earn their place, unstable chords more so.
_PRIOR = {
    "maj": 0.0,
    "min": 0.0,
    "maj6": -0.1,
    "7": -0.05,
    "maj7": -0.05,
    "min7": -0.05,
    "sus4": -0.6,
    "sus2": -0.6,
    "dim": -0.4,
    "hdim7": -0.4,
    "aug": -0.4,
}
_CHORD_MASS = 0.9
_BASS_SHARES = {"root": 0.6, "chord": 0.1, "other": 0.03}
_BASS_WEIGHT = 0.15
_CHANGE = {"bar": 0.2, "half": 0.6, "beat": 0.9}
"""Log price of a change at a downbeat, in the middle of a bar or where bars are unknown, and at any other beat."""
_SILENCE = 0.3
_DECAY_S = 0.4
_FRAME_S = 0.02


@dataclass(frozen=True)
class Notes:
    """Pitched notes of a track: times in seconds, arrays of equal length."""

    on: Floats
    off: Floats
    pitch: npt.NDArray[np.int64]
    weight: Floats
    depth: npt.NDArray[np.int64]
    """Pitch for finding the lowest note: a bass is under everything, a lead above everything."""

    def moved(self, offset_s: float) -> "Notes":
        """Move all notes in time; those that end before the start are left out."""
        heard = self.off + offset_s > 0
        on, off = np.maximum(self.on[heard] + offset_s, 0.0), self.off[heard] + offset_s
        return Notes(on, off, self.pitch[heard], self.weight[heard], self.depth[heard])


def read(midi: Sequence[tuple[Path, int | None]]) -> Notes:
    """Read the pitched notes of the stems, (path, General MIDI program or None) each; unreadable files are left out."""
    parts = []
    for path, program in midi:
        try:
            parts += _pitched(tempo_map.read_file(path), program)
        except DataError:
            continue  # the rhythm stage says so; the other stems still know the harmony
    return _joined(parts)


def of_map(music: TempoMap) -> Notes:
    """Take the pitched notes of files that are read already."""
    return _joined(_pitched(music, None))


def _joined(parts: Sequence[Notes]) -> Notes:
    parts = [Notes(np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64)), *parts]
    return Notes(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Notes)))


def _pitched(music: TempoMap, program: int | None) -> list[Notes]:
    """List the notes of each voice in seconds; a program that is stated counts for all voices."""
    parts = []
    for voice in music.voices:
        number = voice.program if program is None else program
        if DRUMS not in (voice.program, number) and number not in _UNPITCHED:
            columns = np.hstack([music.seconds(voice.notes[:, :2]), voice.notes[:, 2:]])
            parts.append(_notes(columns, number in _BASSES))
    return parts


def _notes(columns: Floats, is_bass: bool) -> Notes:
    on, off, pitch, velocity = columns[np.lexsort((columns[:, 0], columns[:, 2]))].T
    again = np.append(np.where(np.diff(pitch) == 0, on[1:], np.inf), np.inf)
    off = np.maximum(np.minimum(off, again), on + 1e-3)  # a key struck again ends its former note
    order = np.argsort(on, kind="stable")
    until = np.maximum.accumulate(off[order])
    covered = np.maximum(until - np.maximum(on[order], np.append(0.0, until[:-1])), 0.0).sum()
    is_line = (off - on).sum() < _MONOPHONIC * covered
    is_bass = is_bass or (is_line and np.median(pitch) < _BASS_PITCH)
    is_lead = is_line and not is_bass and np.median(pitch) >= _LEAD_PITCH
    weight = velocity / 127.0 * (_LINE_WEIGHT if is_lead or is_bass else 1.0)
    return Notes(on, off, pitch.astype(np.int64), weight, pitch.astype(np.int64) + (200 if is_lead else -200 if is_bass else 0))


def profiles(notes: Notes, edges_s: Floats) -> tuple[Floats, Floats]:
    """Sum up the pitch classes of all notes, and of the lowest sounding one, between each two edges: (S, 12) each.

    Notes fade by `_DECAY_S`, so that what is struck in a beat outweighs what rings over from the one before.
    """
    last = len(edges_s) - 2
    first = np.clip(np.searchsorted(edges_s, notes.on, side="right") - 1, 0, last)
    count = np.clip(np.searchsorted(edges_s, notes.off, side="left") - 1, 0, last) - first + 1
    note = np.repeat(np.arange(len(first)), count)
    segment = first[note] + np.arange(len(note)) - np.repeat(np.cumsum(count) - count, count)
    begin = np.maximum(edges_s[segment] - notes.on[note], 0.0)
    end = np.maximum(np.minimum(edges_s[segment + 1], notes.off[note]) - notes.on[note], begin)
    heard = notes.weight[note] * _DECAY_S * (np.exp(-begin / _DECAY_S) - np.exp(-end / _DECAY_S))
    cells = segment * 12 + notes.pitch[note] % 12
    all_notes = np.bincount(cells, heard, minlength=12 * (last + 1)).reshape(-1, 12)
    frames = np.rint(edges_s / _FRAME_S).astype(np.int64)
    lowest = np.full(frames[-1] + 1, -1, dtype=np.int64)
    on, off = np.rint(notes.on / _FRAME_S).astype(np.int64), np.rint(notes.off / _FRAME_S).astype(np.int64)
    for note in np.lexsort((notes.on, -notes.depth)):  # lower notes overwrite higher ones
        lowest[on[note] : max(off[note], on[note] + 1)] = notes.pitch[note] % 12
    place = np.searchsorted(frames, np.arange(len(lowest)), side="right") - 1
    known = (lowest >= 0) & (place <= last)
    bass = np.bincount(place[known] * 12 + lowest[known], minlength=12 * (last + 1)).reshape(-1, 12)
    return all_notes.astype(np.float64), bass.astype(np.float64)


def _templates() -> tuple[list[str], Floats, Floats, Floats]:
    """Name the chords and give each its log-likelihood of pitch classes, of bass pitch classes, and its prior."""
    labels, notes, basses = [], [], []
    for quality in _PRIOR:
        inside = semitones(quality)
        chord, bass = np.full(12, (1 - _CHORD_MASS) / 12), np.full(12, _BASS_SHARES["other"])
        chord[inside] += _CHORD_MASS / len(inside)
        bass[inside] = _BASS_SHARES["chord"]
        bass[0] = _BASS_SHARES["root"]
        for root in range(12):
            labels.append(f"{NAMES[root]}:{quality}")
            notes.append(np.roll(np.log(chord), root))
            basses.append(np.roll(np.log(bass / bass.sum()), root))
    return labels, np.array(notes), np.array(basses), np.repeat(np.array(list(_PRIOR.values())), 12)


def likelihood(all_notes: Floats, bass: Floats) -> tuple[list[str], Floats]:
    """Score every chord, and `N` as the last, for each profile: labels and (S, chords) log-likelihoods."""
    labels, notes, basses, prior = _templates()
    mass = all_notes.sum(axis=1, keepdims=True)
    silent = mass[:, 0] < 1e-3
    usual = np.median(mass[~silent]) if not silent.all() else 1.0
    share = all_notes / np.maximum(mass, usual)  # a beat with few notes says less
    low = bass / np.maximum(bass.sum(axis=1, keepdims=True), 1e-9)
    scores = share @ notes.T + _BASS_WEIGHT * low @ basses.T + prior
    scores[silent] = 0.0
    return [*labels, "N"], np.column_stack([scores, np.where(silent, _SILENCE, -99.0)])


def viterbi(scores: Floats, change: Floats) -> npt.NDArray[np.int64]:
    """Find the best path through (S, K) log scores when a change of state into step s costs `change[s]`."""
    best = scores[0].copy()
    back = np.zeros(scores.shape, dtype=np.int64)
    stay = np.arange(scores.shape[1])
    for step in range(1, len(scores)):
        top = int(best.argmax())
        moved = best[top] - change[step]
        back[step] = np.where(best >= moved, stay, top)
        best = np.maximum(best, moved) + scores[step]
    path = np.zeros(len(scores), dtype=np.int64)
    path[-1] = best.argmax()
    for step in range(len(scores) - 1, 0, -1):
        path[step - 1] = back[step, path[step]]
    return path


def segments(beats: Positions, positions: Positions, length: int, rate_hz: int) -> tuple[Positions, Floats]:
    """Cut a track at its beats, or every half second without any: edges in samples, cost of a change at each start."""
    if len(beats) < 2:
        edges = np.unique(np.append(np.arange(0, length, rate_hz // 2), length))
        return edges, np.full(len(edges) - 1, _CHANGE["half"])
    period, bar = int(np.median(np.diff(beats))), int(positions.max(initial=0))
    before, after = int(max(beats[0], 0) // period), int(max(length - beats[-1], 0) // period)
    around = np.concatenate([beats[0] - period * np.arange(before, 0, -1), beats, beats[-1] + period * np.arange(1, after + 1)])
    place = np.zeros(len(around), dtype=np.int64)
    if bar:
        place = np.concatenate([positions[0] - np.arange(before, 0, -1), positions, positions[-1] + np.arange(1, after + 1)])
        place = (place - 1) % bar + 1
    cost = np.where(place == 1, _CHANGE["bar"], np.where((place == 0) | (2 * place == bar + 2), _CHANGE["half"], _CHANGE["beat"]))
    inside = (around > 0) & (around < length)
    edges, first = np.concatenate([[0], around[inside], [length]]), np.concatenate([[_CHANGE["half"]], cost[inside]])
    kept = np.diff(edges) > 0
    return np.append(edges[:-1][kept], length), first[kept]


def chords(notes: Notes, beats: Positions, positions: Positions, length: int, rate_hz: int) -> tuple[Positions, list[str]]:
    """Find the chords of a track of `length` samples: start of each chord in samples, and its Harte label."""
    edges, change = segments(beats, positions, length, rate_hz)
    labels, scores = likelihood(*profiles(notes, edges / rate_hz))
    return merge(edges[:-1], [labels[state] for state in viterbi(scores, change)])


def changes(notes: Notes, beats_s: Floats) -> Positions:
    """List the beats on which the chord changes, without any preference for a place in the bar."""
    edges_s = np.append(beats_s, 2 * beats_s[-1] - beats_s[-2])
    _, scores = likelihood(*profiles(notes, edges_s))
    return np.flatnonzero(np.diff(viterbi(scores, np.full(len(scores), _CHANGE["half"])))) + 1
