"""Read chord charts: our own songs as text files in `charts/`, one song a file.

A chart is a header of `name: value` lines, then bars between `|` signs. A bar lists its chords beat by beat; `/` holds the
chord for one more beat; a single chord fills the bar. `#` at the start of a line is a comment.

    key: D:min              tonic and maj or min
    scale: dorian           of the melody; without it major or natural minor
    meter: 4/4              or 3/4
    tempo: 112              beats per minute
    style: modal            pop, blues, jazz or modal

    | Dm7 | G / Am7 / |
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from instructme.manifests.rows import DataError

FOLDER = Path(__file__).parent / "charts"
STYLES = ("pop", "blues", "jazz", "modal")
METERS = {"4/4": 4, "3/4": 3}
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
_SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_FLATS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_FLAT_KEYS = {"maj": (5, 10, 3, 8, 1), "min": (2, 7, 0, 5, 10, 3)}


class Quality(NamedTuple):
    """One chord quality: its Harte shorthand, its suffix in MMA, and its tones above the root."""

    harte: str
    mma: str
    tones: tuple[int, ...]


QUALITIES = {
    "": Quality("maj", "", (0, 4, 7)),
    "m": Quality("min", "m", (0, 3, 7)),
    "7": Quality("7", "7", (0, 4, 7, 10)),
    "maj7": Quality("maj7", "M7", (0, 4, 7, 11)),
    "m7": Quality("min7", "m7", (0, 3, 7, 10)),
    "6": Quality("maj6", "6", (0, 4, 7, 9)),
    "m6": Quality("min6", "m6", (0, 3, 7, 9)),
    "9": Quality("9", "9", (0, 4, 7, 10, 2)),
    "m9": Quality("min9", "m9", (0, 3, 7, 10, 2)),
    "sus4": Quality("sus4", "sus4", (0, 5, 7)),
    "7sus4": Quality("sus4(b7)", "7sus4", (0, 5, 7, 10)),
    "m7b5": Quality("hdim7", "m7b5", (0, 3, 6, 10)),
    "dim7": Quality("dim7", "dim7", (0, 3, 6, 9)),
}


class ChartChord(NamedTuple):
    """A chord: pitch class of the root (0 is C) and a key of QUALITIES."""

    root: int
    quality: str

    def tones(self) -> set[int]:
        """Return the pitch classes of the chord."""
        return {(self.root + tone) % 12 for tone in QUALITIES[self.quality].tones}


@dataclass(frozen=True)
class Chart:
    """One song: `bars` holds a chord for every beat of every bar, to be repeated as long as the song lasts."""

    name: str
    tonic: int
    mode: str
    scale: tuple[int, ...]
    meter: str
    tempo_bpm: int
    style: str
    bars: tuple[tuple[ChartChord, ...], ...]

    @property
    def beats_per_bar(self) -> int:
        """Count the beats of a bar."""
        return METERS[self.meter]

    @property
    def key(self) -> str:
        """Name the key in Harte syntax, such as `C:maj`."""
        return f"{self.spell(self.tonic)}:{self.mode}"

    def spell(self, pitch_class: int) -> str:
        """Name a pitch class with the accidentals of the chart's key."""
        return (_FLATS if self.tonic in _FLAT_KEYS[self.mode] else _SHARPS)[pitch_class]

    def harte(self, chord: ChartChord) -> str:
        """Name a chord in Harte syntax, such as `A:min7`."""
        return f"{self.spell(chord.root)}:{QUALITIES[chord.quality].harte}"

    def transposed(self, semitones: int) -> "Chart":
        """Move the whole song up by semitones."""
        bars = tuple(tuple(chord._replace(root=(chord.root + semitones) % 12) for chord in bar) for bar in self.bars)
        return replace(self, tonic=(self.tonic + semitones) % 12, bars=bars)

    def beats(self, bars: int) -> list[ChartChord]:
        """List the chord of every beat of the first `bars` bars, the song repeated as often as needed."""
        return [chord for bar in range(bars) for chord in self.bars[bar % len(self.bars)]]

    def segments(self, bars: int) -> list[tuple[int, int, str]]:
        """List the chords of `bars` bars as (first beat, beat after the last, Harte label), repeats joined."""
        joined: list[tuple[int, int, str]] = []
        for beat, label in enumerate(self.harte(chord) for chord in self.beats(bars)):
            start = joined.pop()[0] if joined and joined[-1][2] == label else beat
            joined.append((start, beat + 1, label))
        return joined


def parse(name: str, text: str) -> Chart:
    """Read one chart; the module's text describes the format.

    Raises:
        DataError: a line that isn't understood, or a header field that is missing or unknown.
    """
    header: dict[str, str] = {}
    bars: list[tuple[ChartChord, ...]] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.startswith("|"):
                bars += [_bar(cell.split(), METERS[header["meter"]]) for cell in line.strip().strip("|").split("|")]
            elif line.strip() and not line.startswith("#"):
                field, value = line.split(":", 1)
                header[field.strip()] = value.strip()
        except (KeyError, ValueError) as error:
            raise DataError(f"chart {name}, line {number}: can't read {line.strip()!r} ({error}): correct the line") from None
    try:
        tonic, mode = header["key"].split(":")
        scale = SCALES[header.get("scale", {"maj": "major", "min": "minor"}[mode])]
        chart = Chart(name, _root(tonic), mode, scale, header["meter"], int(header["tempo"]), header["style"], tuple(bars))
    except (KeyError, ValueError) as error:
        raise DataError(f"chart {name}: header lacks or misspells a field ({error}): give key, meter, tempo, style") from None
    if not bars or chart.style not in STYLES:
        raise DataError(f"chart {name}: it needs bars, and a style out of {', '.join(STYLES)}")
    return chart


def _bar(tokens: list[str], beats: int) -> tuple[ChartChord, ...]:
    if len(tokens) == 1:
        tokens = tokens + ["/"] * (beats - 1)
    if len(tokens) != beats or tokens[0] == "/":
        raise ValueError(f"a bar has one chord, or {beats} chords and slashes")
    chords: list[ChartChord] = []
    for token in tokens:
        chords.append(chords[-1] if token == "/" else _chord(token))
    return tuple(chords)


def _chord(symbol: str) -> ChartChord:
    length = 2 if symbol[1:2] in ("#", "b") else 1
    quality = symbol[length:]
    if quality not in QUALITIES:
        raise ValueError(f"unknown chord {symbol}")
    return ChartChord(_root(symbol[:length]), quality)


def _root(name: str) -> int:
    return _SHARPS.index(name) if name in _SHARPS else _FLATS.index(name)


def load() -> list[Chart]:
    """Read all charts of the package, sorted by name."""
    return [parse(path.stem, path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.txt"))]
