"""Find the row of a track in `rhythm.parquet`: its beats, chords and key, from its files, its MIDI or its sound."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from instructme.dataset_tools import harmony
from instructme.dataset_tools.beats import rhythm
from instructme.dataset_tools.midi import tempo_map
from instructme.dataset_tools.stems import parts
from instructme.dataset_tools.stored import Stored
from instructme.manifests.paths import inside, without_root
from instructme.manifests.rows import DataError, Reject, Rhythm, Stem, Track


@dataclass(frozen=True)
class RhythmFinder:
    """Finds rhythm and harmony of one track.

    Args:
        track: the track. Tempo and key that its dataset states are preferred.
        stems: its stems, of which the MIDI files are read.
        root: the folder of the dataset.
        mix: all parts together, `(T,)`.
        rate_hz: of the mix.
        beats_from: auto, midi, audio or none; see `PrepareSettings`.
        chords_from: the same for chords.
        rejects: charts and MIDI files that can't be used, and what is doubted; `row` fills it.
    """

    track: Track
    stems: Sequence[Stem]
    root: Path
    mix: Stored
    rate_hz: int
    beats_from: str
    chords_from: str
    rejects: list[Reject] = field(default_factory=list)

    def row(self, played: Sequence[rhythm.PartMidi]) -> Rhythm:
        """Find beats, chords and key; `played` are the parts that have MIDI files of their own."""
        files = self._readable_midi()
        grid = self._stated_beats() or rhythm.find(
            files, self.mix, self.rate_hz, self.beats_from if self.track.aligned else "none", played
        )
        refused = files and grid.source not in ("annotation", "midi") and grid.reason and self.beats_from in ("auto", "midi")
        if refused:
            self.tell("MIDI", "midi_refused", grid.reason)
        if grid.against:
            self.tell(self.track.beats_path or "beats", "beats_disagree", grid.against)
        if grid.offset_s:
            self.tell("MIDI", "midi_moved", grid.reason)
        # Notes whose times are refused tell no chords.
        chords = self._harmony(grid, {} if refused else own_midi(self.stems, self.root))
        if len(self.mix) > rhythm.LONGEST_S * self.rate_hz and "audio" in (grid.source, chords.source):
            minutes, most = len(self.mix) / self.rate_hz / 60, rhythm.LONGEST_S // 60
            detail = f"{minutes:.0f} minutes long: beats and chords of audio are found in stretches of at most {most}"
            self.tell(self.track.path, "long", detail)
        return _row(self.track, grid, chords, self.root)

    def tell(self, item: object, reason: str, detail: object) -> None:
        """Note what can not be used or is doubted, without the place of the dataset."""
        item, detail = without_root(item, self.root), without_root(detail, self.root)
        self.rejects.append(parts.reject(self.track, item, reason, detail))

    def _readable_midi(self) -> list[Path]:
        """List the MIDI files. Unreadable ones among readable ones are left out and noted."""
        files = sorted(set(_midi_files(self.stems, self.root).values()))
        unread = {path: problem for path in files if (problem := _unreadable(path))}
        if len(unread) == len(files):
            return files
        for path, problem in unread.items():
            self.tell(path, "midi_refused", problem)
        return [path for path in files if path not in unread]

    def _stated_beats(self) -> rhythm.Grid | None:
        """Read the beats that the dataset states; None if it states none that can be used."""
        track = self.track
        if self.beats_from != "auto" or not (track.beats_path and track.aligned):
            return None
        try:
            downbeats = inside(self.root, track.downbeats_path) if track.downbeats_path else None
            return rhythm.from_annotation(inside(self.root, track.beats_path), downbeats, len(self.mix), self.rate_hz, self.mix)
        except DataError as error:
            self.tell(track.beats_path, "bad_beats", error)
            return None

    def _harmony(self, grid: rhythm.Grid, midi: dict[str, Path]) -> harmony.Harmony:
        """Find the chords, without the dataset's chart if it can't be used; `midi` are the files of single stems."""
        notes = [(midi[stem.stem_id], stem.program) for stem in self.stems if stem.stem_id in midi]
        chart = inside(self.root, self.track.chords_path) if self.track.chords_path else None
        mode = self.chords_from if self.track.aligned else "none"
        try:
            return harmony.find(chart, notes, self.mix, self.rate_hz, grid, mode)
        except DataError as error:
            self.tell(self.track.chords_path or "chords", "bad_chart", error)
            return harmony.find(None, notes, self.mix, self.rate_hz, grid, mode)


def _midi_files(stems: Sequence[Stem], root: Path) -> dict[str, Path]:
    return {stem.stem_id: inside(root, stem.midi_path) for stem in stems if stem.midi_path and stem.known_bad is None}


def own_midi(stems: Sequence[Stem], root: Path) -> dict[str, Path]:
    """Find the readable MIDI file of each stem. One that several stems share is of no stem: its notes may be anything."""
    files = _midi_files(stems, root)
    shared = Counter(files.values())
    return {stem: path for stem, path in files.items() if shared[path] == 1 and not _unreadable(path)}


def _unreadable(path: Path) -> str | None:
    try:
        tempo_map.read_file(path)
    except DataError as error:
        return str(error)
    return None


def _row(track: Track, grid: rhythm.Grid, chords: harmony.Harmony, root: Path) -> Rhythm:
    return Rhythm(
        track_id=track.track_id,
        source=grid.source,
        recogniser=grid.recogniser,
        confidence=float(grid.confidence),
        trusted=bool(grid.trusted),
        reason=without_root(grid.reason, root) if grid.reason else None,
        downbeat_known=bool(grid.downbeat_known),
        meter=grid.meter,
        tempo_bpm=track.tempo_bpm if grid.tempo_bpm is None else float(grid.tempo_bpm),
        beats_samples=grid.beats_samples.tolist(),
        beat_positions=grid.beat_positions.tolist(),
        chord_source=chords.source,
        chord_recogniser=chords.recogniser,
        chord_starts_samples=chords.starts_samples.tolist(),
        chord_labels=list(chords.labels),
        key=track.key or chords.key,
        key_confidence=1.0 if track.key else float(chords.key_confidence),
    )
