"""Prepare one track: merge its stems into parts, find its rhythm and harmony, cut clips."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from instructme.dataset_tools import audio, clips, harmony, parts, rhythm, same_songs
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stored import Stored
from instructme.manifests.paths import inside
from instructme.manifests.rows import Clip, DataError, Part, Reject, Rhythm, Stem, Track

TABLES = {"parts": Part, "rhythm": Rhythm, "clips": Clip, "rejects": Reject}
"""The tables that a prepared track has rows in."""


@dataclass(frozen=True)
class PrepareSettings:
    """What changes the content of the tables."""

    sample_rate_hz: int = 24000
    clip_seconds: float = 10.0
    rhythm: str = "auto"
    chords: str = "auto"
    length_tolerance_s: float = parts.LENGTH_TOLERANCE_S
    min_active: float = clips.MIN_ACTIVE
    max_under_mix_db: float = clips.MAX_UNDER_MIX_DB
    min_lufs: float = clips.MIN_LUFS
    balance_stems: bool = False
    channels: int = 1

    def arguments(self) -> dict[str, Any]:
        """Give what tables state; later settings only where they are not the default, so that tables stay byte for byte."""
        later = {"min_lufs": clips.MIN_LUFS, "balance_stems": False, "channels": 1}
        return {name: value for name, value in asdict(self).items() if name not in later or value != later[name]}

    @property
    def window(self) -> int:
        """Length of a clip in samples."""
        return round(self.clip_seconds * self.sample_rate_hz)


def prepare_track(
    track: Track, stems: Sequence[Stem], root: Path, folder: Path, settings: PrepareSettings
) -> dict[str, list[Any]]:
    """Write the parts of a track into an empty folder, and make its rows.

    Files of the dataset are looked up below `root`. A track that can't be used has one reject and no part.

    Returns:
        The rows of each of the `TABLES`; a table without rows may be missing.
    """
    try:
        return _rows(track, stems, root, folder, settings)
    except DataError as error:
        shutil.rmtree(folder)
        folder.mkdir()
        return {"rejects": [parts.reject(track, track.path, "unusable", _local(error, root))]}


def _rows(track: Track, stems: Sequence[Stem], root: Path, folder: Path, settings: PrepareSettings) -> dict[str, list[Any]]:
    merged, rejects = parts.merge(
        track,
        stems,
        root,
        folder,
        settings.sample_rate_hz,
        length_tolerance_s=settings.length_tolerance_s,
        channels=settings.channels,
    )
    if not merged:
        rejects.append(parts.reject(track, track.path, "no_parts", "no stem of the track could be used"))
        return {"rejects": rejects}
    written, mix = [], Stored(folder, settings.channels)
    if settings.balance_stems:
        merged = parts.balanced(merged, settings.sample_rate_hz)
    measured: list[clips.Windows] = []

    def hear(start: int, samples: Samples) -> None:
        if not start:
            measured.append(clips.Windows(settings.window))
        measured[-1].add(samples)
        mix.add(start, samples)

    for part in parts.write(merged, folder, Path("parts", track.track_id), settings.sample_rate_hz, hear):
        written.append(part)
    of_mix = clips.Windows(settings.window)
    for _, block in mix.blocks():
        of_mix.add(block)
    heard = mix if settings.channels == 1 else Stored(folder).extend(audio.mono(block) for _, block in mix.blocks())
    same_songs.write(folder, written, heard)
    beats, complaints = find_rhythm(track, stems, root, heard, settings)
    cut, dropped = clips.cut(
        written,
        [windows.loudness for windows in measured],
        of_mix.loudness,
        beats,
        settings.window,
        min_active=settings.min_active,
        max_under_mix_db=settings.max_under_mix_db,
        min_lufs=settings.min_lufs,
    )
    if dropped:
        detail = f"{dropped} of {dropped + len(cut)} windows of {settings.clip_seconds:g} s are mostly silence"
        complaints.append(parts.reject(track, "clips", "silent_clip", detail, dropped))
    if len(mix) < settings.window:
        detail = f"{len(mix) / settings.sample_rate_hz:.1f} s long: lower --clip-seconds to cut clips from it"
        complaints.append(parts.reject(track, track.path, "too_short", detail))
    return {"parts": written, "rhythm": [beats], "clips": cut, "rejects": [*rejects, *complaints]}


def find_rhythm(
    track: Track, stems: Sequence[Stem], root: Path, mix: Samples | Stored, settings: PrepareSettings
) -> tuple[Rhythm, list[Reject]]:
    """Find beats, chords and key of a track. Tempo and key that its dataset states are preferred.

    Args:
        track: the track.
        stems: its stems, of which the MIDI files are read.
        root: the folder of the dataset.
        mix: all parts together, `(T,)`.
        settings: the working rate, and where beats and chords may come from.

    Returns:
        Its row, and rejects for charts and MIDI files that can't be used.
    """
    rate_hz = settings.sample_rate_hz
    with_midi = [stem for stem in stems if stem.midi_path and stem.known_bad is None]
    files = [inside(root, stem.midi_path or "") for stem in with_midi]
    # A file that several stems share tells the tempo; its notes may be anything, such as the buttons of a game.
    midi = [(path, stem.program) for path, stem in zip(files, with_midi, strict=True) if files.count(path) == 1]
    chart = inside(root, track.chords_path) if track.chords_path else None
    mode, rejects = settings.chords if track.aligned else "none", []
    try:
        grid = _annotated(track, root, len(mix), rate_hz) if settings.rhythm == "auto" else None
    except DataError as error:
        rejects.append(parts.reject(track, track.beats_path or "beats", "bad_beats", _local(error, root)))
        grid = None
    grid = grid or rhythm.find(sorted(set(files)), mix, rate_hz, settings.rhythm if track.aligned else "none")
    if files and grid.source != "annotation" and grid.reason and grid.source != "midi" and settings.rhythm in ("auto", "midi"):
        rejects.append(parts.reject(track, "MIDI", "midi_refused", _local(grid.reason, root)))
        midi = []  # notes whose times are refused tell no chords
    try:
        chords = harmony.find(chart, midi, mix, rate_hz, grid, mode)
    except DataError as error:
        rejects.append(parts.reject(track, track.chords_path or "chords", "bad_chart", _local(error, root)))
        chords = harmony.find(None, midi, mix, rate_hz, grid, mode)
    if len(mix) > rhythm.LONGEST_S * rate_hz and "audio" in (grid.source, chords.source):
        detail = (
            f"{len(mix) / rate_hz / 60:.0f} minutes long: beats and chords are found in stretches of {rhythm.LONGEST_S // 60}"
        )
        rejects.append(parts.reject(track, track.path, "long", detail))
    row = Rhythm(
        track_id=track.track_id,
        source=grid.source,
        recogniser=grid.recogniser,
        confidence=float(grid.confidence),
        trusted=bool(grid.trusted),
        reason=_local(grid.reason, root) if grid.reason else None,
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
    return row, rejects


def _annotated(track: Track, root: Path, length: int, rate_hz: int) -> rhythm.Grid | None:
    """Read the beats that the dataset states; None if it states none.

    Raises:
        DataError: a file that can't be read.
    """
    if not (track.beats_path and track.aligned):
        return None
    downbeats = inside(root, track.downbeats_path) if track.downbeats_path else None
    return rhythm.from_annotation(inside(root, track.beats_path), downbeats, length, rate_hz)


def _local(text: object, root: Path) -> str:
    """Leave out where on this machine the dataset lies."""
    return str(text).replace(f"{root}/", "")
