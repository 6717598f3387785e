"""Ask the chord changes, the bass and the kicks of MIDI on which beat its bars begin.

Right beats may have wrong bars: a pickup under a signature that starts with the file, a waltz that states no signature but 4/4.
Thresholds are set on 89 songs whose bars are known or likely.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.midi import note_chords
from instructme.dataset_tools.midi.grid_check import phases
from instructme.dataset_tools.midi.tempo_map import DRUMS, KICKS, TempoMap

Floats = npt.NDArray[np.float64]
FEWEST = 8
"""Chord changes, or notes on beats, that say something."""
LONGEST_NOTE = 4.0


def lead(tempo_map: TempoMap) -> float:
    """Compare what begins on the first beat with what begins on the fullest other beat; 1 means as much, 0 that nothing tells.

    Chord changes, bass and kicks have a vote each, divided among the beats of the bar.
    """
    bar = int(np.bincount(phases(tempo_map)[1]).argmax())
    if bar < 2:
        return 0.0
    votes = [vote for vote in (_chords(tempo_map, bar), _bass(tempo_map, bar), _kicks(tempo_map, bar)) if vote is not None]
    total = np.sum(votes, axis=0) if votes else np.zeros(bar)
    return float(total[0] / max(1e-9, total[1:].max()))


def _share(counts: Floats) -> Floats | None:
    return counts / counts.sum() if counts.sum() >= FEWEST else None


def _chords(tempo_map: TempoMap, bar: int) -> Floats | None:
    """Divide the chord changes among the beats of the bar."""
    notes, (beats_s, positions) = note_chords.of_map(tempo_map), tempo_map.beats()
    if len(notes.on) < FEWEST or len(beats_s) < FEWEST:
        return None
    changed = positions[note_chords.changes(notes, beats_s)]
    return _share(np.bincount(changed, minlength=bar + 1)[1 : bar + 1].astype(np.float64))


def _bass(tempo_map: TempoMap, bar: int) -> Floats | None:
    """Divide bass notes and kicks among the beats, by number or by length: a waltz has one long bass note and two short ones."""
    low = replace(tempo_map, onsets=tempo_map.onsets[tempo_map.bass], lengths=tempo_map.lengths[tempo_map.bass])
    lengths = np.minimum(low.lengths, LONGEST_NOTE)
    ways = [vote for weights in (None, lengths) if (vote := _share(_on_beats(low, bar, weights))) is not None]
    return max(ways, key=lambda vote: float(vote[0]), default=None)


def _kicks(tempo_map: TempoMap, bar: int) -> Floats | None:
    drums = [voice.notes for voice in tempo_map.voices if voice.program == DRUMS]
    kicks = np.concatenate([np.zeros(0), *(notes[np.isin(notes[:, 2], KICKS), 0] for notes in drums)])
    return _share(_on_beats(replace(tempo_map, onsets=kicks), bar))


def _on_beats(tempo_map: TempoMap, bar: int, weights: Floats | None = None) -> Floats:
    """Count the notes on each beat of bars of this length."""
    if not len(tempo_map.onsets):
        return np.zeros(bar)
    beats, bars, _ = phases(tempo_map)
    chosen = (bars == bar) & (np.abs((beats + 0.5) % 1 - 0.5) < 0.1)
    position = np.floor(beats[chosen] + 0.5).astype(np.int64) % bar
    return np.bincount(position, None if weights is None else weights[chosen], minlength=bar).astype(np.float64)
