"""Decide which songs a corpus has: charts, genres, keys and tempi. Everything random about the plan is decided here."""

import itertools
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from instructme.dataset_tools.corpus import charts, grooves
from instructme.dataset_tools.corpus.charts import Chart
from instructme.dataset_tools.corpus.grooves import Groove

GENRES_PER_CHART = 3
VALIDATION = ("long_way_home", "quick_change", "spinning_coin")
TEST = ("lisbon_steps", "second_summer", "stone_bridge")
MINI = ("night_bus", "north_wind", "quick_change", "stone_bridge", "velvet_turnaround")
"""The charts of the small tier: three for training, one each for validation and test."""
HOME = {"pop": "Pop", "blues": "Blues", "jazz": "Jazz", "modal": "Folk"}
"""The genre that a chart's style was written for: each chart is heard in it if it has a groove for the tempo."""
_TEMPO_FACTORS = (0.88, 1.12)


@dataclass(frozen=True)
class Song:
    """One song to be rendered: a chart in its key and at its tempo, a groove, how long, and the seed of its chance.

    `take` counts the versions of the chart: all songs of one take share key, tempo, melody and beat grid.
    """

    name: str
    split: str
    chart: Chart
    take: int
    groove: Groove
    bars: int
    seed: tuple[int, int]

    @property
    def microseconds_per_beat(self) -> int:
        """Return the tempo as MIDI holds it."""
        return round(60e6 / self.chart.tempo_bpm)

    @property
    def music_s(self) -> float:
        """Return the seconds from the first beat to the end of the last bar."""
        return self.bars * self.chart.beats_per_bar * self.microseconds_per_beat / 1e6


def split_of(chart: str) -> str:
    """Return the split of a chart: the same in every tier, for every take."""
    return "validation" if chart in VALIDATION else "test" if chart in TEST else "train"


def plan(names: Sequence[str] | None, song_s: float, total_s: float | None, seed: int) -> list[Song]:
    """Choose the songs: takes of every chart, each in several genres, until there is enough music.

    The first take is the chart as written. Later takes differ in key, tempo, melody and genres. A longer plan begins with the
    songs of a shorter one.

    Args:
        names: charts to take; None is all of them.
        song_s: least length of a song in seconds.
        total_s: how much music; None is one take of every chart.
        seed: seed of everything random.
    """
    chosen = [chart for chart in charts.load() if names is None or chart.name in names]
    songs: list[Song] = []
    length_s = 0.0
    for song in _songs(chosen, song_s, seed):
        if (song.take > 0) if total_s is None else (length_s >= total_s):
            break
        songs.append(song)
        length_s += song.music_s
    return songs


def _songs(chosen: Sequence[Chart], song_s: float, seed: int) -> Iterator[Song]:
    table = grooves.load()
    used: Counter[str] = Counter()
    number = 0
    for take in itertools.count():
        for written in chosen:
            rng = np.random.default_rng([seed, zlib.crc32(written.name.encode()), take])
            chart = _version(written, rng) if take else written
            bars = int(np.ceil(song_s * chart.tempo_bpm / 60 / chart.beats_per_bar))
            for groove in _grooves(chart, table, used, rng):
                used.update([groove.genre, groove.name])
                number += 1
                name = f"Track{number:05d}"
                yield Song(name, split_of(chart.name), chart, take, groove, bars, (seed, number))


def _version(chart: Chart, rng: np.random.Generator) -> Chart:
    factor = rng.uniform(*_TEMPO_FACTORS)
    return replace(chart.transposed(int(rng.integers(-5, 7))), tempo_bpm=round(chart.tempo_bpm * factor))


def _grooves(chart: Chart, table: Sequence[Groove], used: Counter[str], rng: np.random.Generator) -> list[Groove]:
    """Draw one groove in each of several genres: the chart's own first, then those used least so far."""
    fits = [
        groove for groove in table if groove.meter == chart.meter and groove.slowest_bpm <= chart.tempo_bpm <= groove.fastest_bpm
    ]
    fits = [fits[index] for index in rng.permutation(len(fits))]
    drawn: dict[str, Groove] = {}
    for groove in sorted(fits, key=lambda groove: (groove.genre != HOME[chart.style], used[groove.genre], used[groove.name])):
        drawn.setdefault(groove.genre, groove)
    return list(drawn.values())[:GENRES_PER_CHART]
