"""Write a melody for a chart: MMA plays accompaniment only."""

from typing import NamedTuple

import numpy as np

from instructme.dataset_tools.corpus.charts import Chart, ChartChord

# Bars as (onset, duration) in beats. A phrase of four bars is motif, motif, motif, close; it ends in a rest.
_MOTIFS = {
    4: (
        ((0, 1.5), (1.5, 0.5), (2, 1), (3, 1)),
        ((0, 1), (1, 0.5), (1.5, 0.5), (2, 2)),
        ((0.5, 0.5), (1, 1), (2, 0.5), (2.5, 1.5)),
        ((0, 2), (2, 1), (3, 0.5), (3.5, 0.5)),
        ((0, 0.5), (0.5, 0.5), (1, 1), (2, 1.5), (3.5, 0.5)),
        ((0, 1), (1, 1), (2, 1), (3, 1)),
    ),
    3: (
        ((0, 2), (2, 1)),
        ((0, 1), (1, 1), (2, 1)),
        ((0, 1.5), (1.5, 0.5), (2, 1)),
        ((0, 1), (1, 0.5), (1.5, 0.5), (2, 1)),
    ),
}
_CLOSES = {4: (((0, 2.5),), ((0, 1), (1, 2)), ((0, 0.5), (0.5, 0.5), (1, 2))), 3: (((0, 2),), ((0, 1), (1, 1.5)))}
_PHRASE_BARS = 4
_REST_EVERY = 4
"""Every fourth phrase is silent: accompaniment alone is heard too."""
_CENTRE = 71
_LOWEST, _HIGHEST = 62, 84
_WIDEST_LEAP = 9


class Note(NamedTuple):
    """One note: onset and duration in beats, MIDI pitch and velocity."""

    onset: float
    duration: float
    pitch: int
    velocity: int


def melody(chart: Chart, bars: int, rng: np.random.Generator) -> list[Note]:
    """Draw a melody of `bars` bars.

    Notes on strong beats are tones of the chord; the others belong to the scale, where the chord doesn't bend it. Each phrase
    is an arch that repeats the song's two rhythmic motifs, closes on a tone of the chord and rests.
    """
    beats = chart.beats_per_bar
    chords = chart.beats(bars)
    motifs = rng.permutation(len(_MOTIFS[beats]))[:2]
    notes: list[Note] = []
    pitch = _CENTRE
    for bar in range(bars):
        phrase, place = divmod(bar, _PHRASE_BARS)
        if phrase % _REST_EVERY == _REST_EVERY - 1:
            continue
        closes = place == _PHRASE_BARS - 1
        rhythm = _CLOSES[beats][int(rng.integers(len(_CLOSES[beats])))] if closes else _MOTIFS[beats][motifs[place % 2]]
        for onset, duration in rhythm:
            strong = onset in (0, 2)
            last = closes and onset == rhythm[-1][0]
            arch = 5.0 * np.sin(np.pi * (place + onset / beats) / _PHRASE_BARS)
            target = _CENTRE - 2 + arch + rng.normal(0.0, 2.0)
            chord = chords[bar * beats + int(onset)]
            pitch = _nearest(pitch, target, chord.tones() if strong or last else _scale(chart, chord))
            velocity = int(np.clip(rng.normal(96 if strong else 86, 4), 64, 112))
            notes.append(Note(bar * beats + onset, duration, pitch, velocity))
    return notes


def _scale(chart: Chart, chord: ChartChord) -> set[int]:
    """Return the chart's scale with the chord's own tones in place of those a semitone away."""
    scale = {(chart.tonic + step) % 12 for step in chart.scale}
    foreign = chord.tones() - scale
    return chord.tones() | {step for step in scale if not {(step - 1) % 12, (step + 1) % 12} & foreign}


def _nearest(previous: int, target: float, pitch_classes: set[int]) -> int:
    """Choose the pitch nearest to the target, with small steps and no repeats preferred."""

    def cost(pitch: int) -> float:
        return abs(pitch - target) + 0.8 * abs(pitch - previous) + (2.5 if pitch == previous else 0.0)

    reach = range(max(_LOWEST, previous - _WIDEST_LEAP), min(_HIGHEST, previous + _WIDEST_LEAP) + 1)
    return min((pitch for pitch in reach if pitch % 12 in pitch_classes), key=cost)


def swung(notes: list[Note]) -> list[Note]:
    """Move the off-beat eighths to the last third of their beat, for grooves that swing."""

    def moved(beat: float) -> float:
        return beat + 1 / 6 if beat % 1 == 0.5 else beat

    return [
        note._replace(onset=moved(note.onset), duration=moved(note.onset + note.duration) - moved(note.onset)) for note in notes
    ]
