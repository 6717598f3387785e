"""Prepare one track: merge its stems into parts, find its rhythm and harmony, cut clips."""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from instructme.dataset_tools import audio, clips, harmony, same_songs, shared_parts
from instructme.dataset_tools.beats import rhythm
from instructme.dataset_tools.midi import grid_check, tempo_map
from instructme.dataset_tools.stems import parts
from instructme.dataset_tools.stored import Stored
from instructme.manifests import limits
from instructme.manifests.paths import inside
from instructme.manifests.rows import Clip, DataError, Part, Reject, Rhythm, Stem, Track

TABLES = {"parts": Part, "rhythm": Rhythm, "clips": Clip, "rejects": Reject}
"""The tables that a prepared track has rows in."""


@dataclass(frozen=True)
class PrepareSettings:
    """The settings of `prepare` that change the tables: see the options of the command.

    Args:
        sample_rate_hz: of the parts.
        clip_seconds: length of a clip.
        rhythm: source of beats: auto, midi, audio or none.
        chords: source of chords: auto, midi, audio or none.
        length_tolerance_s: largest difference between the lengths of stems.
        min_active: least share of a clip in which an edited part is active.
        max_under_mix_db: how far an edited part may be under the mix.
        min_lufs: least loudness of an edited part where it plays.
        balance_stems: make a rough mix of raw multitracks.
        channels: 1 for mono, 2 for stereo.

    Raises:
        DataError: a value is out of its range.
    """

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

    def __post_init__(self) -> None:
        limits.whole("sample_rate_hz", self.sample_rate_hz, 1000, 192_000)
        limits.whole("channels", self.channels, 1, 2)
        limits.number("clip_seconds", self.clip_seconds, 0.1)
        limits.one_of("rhythm", self.rhythm, ("auto", "midi", "audio", "none"))
        limits.one_of("chords", self.chords, ("auto", "midi", "audio", "none"))
        limits.number("length_tolerance_s", self.length_tolerance_s, 0)
        limits.number("min_active", self.min_active, 0, 1)
        limits.number("max_under_mix_db", self.max_under_mix_db, 0)
        limits.number("min_lufs", self.min_lufs, -100, 0)

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
    written, loudness, numbers = [], [], []
    played: list[rhythm.PartMidi] = []
    midi = _own_midi(stems, root) if settings.rhythm in ("auto", "midi") else {}
    mix = Stored(folder, settings.channels)
    if settings.balance_stems:
        merged = parts.balanced(merged, settings.sample_rate_hz)
    for part, sound in parts.write(merged, folder, Path("parts", track.track_id), settings.sample_rate_hz):
        written.append(part)
        loudness.append(clips.measure(sound, settings.window))
        numbers.append(shared_parts.numbers(sound, settings.sample_rate_hz))
        if files := [midi[stem] for stem in part.stems if stem in midi]:
            played.append((files, grid_check.onset_envelope(sound, settings.sample_rate_hz)))
        for start, block in sound.blocks():
            mix.add(start, block)
    heard = mix if settings.channels == 1 else Stored(folder).extend(audio.mono(block) for _, block in mix.blocks())
    same_songs.write(folder, written, heard)
    shared_parts.write(folder, numbers)
    beats, complaints = _rhythm(track, stems, root, heard, settings, played)
    cut, dropped = clips.cut(
        written,
        loudness,
        clips.measure(mix, settings.window),
        beats,
        settings.window,
        min_active=settings.min_active,
        max_under_mix_db=settings.max_under_mix_db,
        min_lufs=settings.min_lufs,
    )
    if dropped:
        detail = f"{dropped} of {dropped + len(cut)} windows of {settings.clip_seconds:g} s are mostly silence"
        complaints.append(parts.reject(track, "clips", "silent_clip", detail, dropped))
    if dull := [stem.sample_rate_hz for stem in stems if stem.sample_rate_hz < settings.sample_rate_hz]:
        detail = f"its lowest sample rate is {min(dull)} Hz: such stems hold no sound above {min(dull) // 2} Hz"
        complaints.append(parts.reject(track, track.path, "low_rate", detail, len(dull)))
    if len(mix) < settings.window:
        detail = f"{len(mix) / settings.sample_rate_hz:.1f} s long: lower --clip-seconds to cut clips from it"
        complaints.append(parts.reject(track, track.path, "too_short", detail))
    return {"parts": written, "rhythm": [beats], "clips": cut, "rejects": [*rejects, *complaints]}


def _own_midi(stems: Sequence[Stem], root: Path) -> dict[str, Path]:
    """Find the readable MIDI file of each stem. One that several stems share is of no stem: its notes may be anything."""
    files = {stem.stem_id: inside(root, stem.midi_path) for stem in stems if stem.midi_path and stem.known_bad is None}
    shared = Counter(files.values())
    return {stem: path for stem, path in files.items() if shared[path] == 1 and not _unreadable(path)}


def _unreadable(path: Path) -> str | None:
    try:
        tempo_map.read_file(path)
    except DataError as error:
        return str(error)
    return None


def _rhythm(
    track: Track,
    stems: Sequence[Stem],
    root: Path,
    mix: Stored,
    settings: PrepareSettings,
    played: Sequence[rhythm.PartMidi],
) -> tuple[Rhythm, list[Reject]]:
    """Find beats, chords and key of a track. Tempo and key that its dataset states are preferred.

    Args:
        track: the track.
        stems: its stems, of which the MIDI files are read.
        root: the folder of the dataset.
        mix: all parts together, `(T,)`.
        settings: the working rate, and where beats and chords may come from.
        played: the parts that have MIDI files of their own.

    Returns:
        Its row, and rejects for charts and MIDI files that can't be used.
    """
    rate_hz, rejects = settings.sample_rate_hz, list[Reject]()

    def tell(item: object, reason: str, detail: object) -> None:
        rejects.append(parts.reject(track, _local(item, root), reason, _local(detail, root)))

    own = _own_midi(stems, root)
    files = sorted({inside(root, stem.midi_path) for stem in stems if stem.midi_path and stem.known_bad is None})
    midi = [(own[stem.stem_id], stem.program) for stem in stems if stem.stem_id in own]
    unread = {path: problem for path in files if (problem := _unreadable(path))}
    if len(unread) < len(files):
        for path, problem in unread.items():
            tell(path, "midi_refused", problem)
        files = [path for path in files if path not in unread]
    try:
        grid = _annotated(track, root, mix, rate_hz) if settings.rhythm == "auto" else None
    except DataError as error:
        tell(track.beats_path, "bad_beats", error)
        grid = None
    grid = grid or rhythm.find(files, mix, rate_hz, settings.rhythm if track.aligned else "none", played)
    if files and grid.source not in ("annotation", "midi") and grid.reason and settings.rhythm in ("auto", "midi"):
        tell("MIDI", "midi_refused", grid.reason)
        midi = []  # notes whose times are refused tell no chords
    if grid.against:
        tell(track.beats_path or "beats", "beats_disagree", grid.against)
    if grid.offset_s:
        tell("MIDI", "midi_moved", grid.reason)
    chart = inside(root, track.chords_path) if track.chords_path else None
    mode = settings.chords if track.aligned else "none"
    try:
        chords = harmony.find(chart, midi, mix, rate_hz, grid, mode)
    except DataError as error:
        tell(track.chords_path or "chords", "bad_chart", error)
        chords = harmony.find(None, midi, mix, rate_hz, grid, mode)
    if len(mix) > rhythm.LONGEST_S * rate_hz and "audio" in (grid.source, chords.source):
        minutes = f"{len(mix) / rate_hz / 60:.0f} minutes long"
        most = rhythm.LONGEST_S // 60
        tell(track.path, "long", f"{minutes}: beats and chords of audio are found in stretches of at most {most}")
    return _row(track, grid, chords, root), rejects


def _row(track: Track, grid: rhythm.Grid, chords: harmony.Harmony, root: Path) -> Rhythm:
    return Rhythm(
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


def _annotated(track: Track, root: Path, mix: Stored, rate_hz: int) -> rhythm.Grid | None:
    """Read the beats that the dataset states; None if it states none.

    Raises:
        DataError: a file that can't be read.
    """
    if not (track.beats_path and track.aligned):
        return None
    downbeats = inside(root, track.downbeats_path) if track.downbeats_path else None
    return rhythm.from_annotation(inside(root, track.beats_path), downbeats, len(mix), rate_hz, mix)


def _local(text: object, root: Path) -> str:
    """Leave out where on this machine the dataset lies."""
    return str(text).replace(f"{root}/", "")
