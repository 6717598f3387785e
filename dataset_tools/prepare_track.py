"""Prepare one track: merge its stems into parts, find its rhythm and harmony, cut clips."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from instructme.dataset_tools import audio, clips, same_songs, shared_parts, track_rhythm
from instructme.dataset_tools.beats import rhythm
from instructme.dataset_tools.midi import grid_check
from instructme.dataset_tools.stems import parts
from instructme.dataset_tools.stored import Stored
from instructme.manifests import limits
from instructme.manifests.paths import without_root
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
        limits.one_of("rhythm", self.rhythm, limits.SOURCES)
        limits.one_of("chords", self.chords, limits.SOURCES)
        limits.check(**{name: value for name, value in asdict(self).items() if name in limits.RANGES})

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
        return {"rejects": [parts.reject(track, track.path, "unusable", without_root(error, root))]}


@dataclass
class _WrittenParts:
    """The parts of a track in order, what was measured of each while it was written, and their sum."""

    mix: Stored
    parts: list[Part] = field(default_factory=list)
    loudness: list[clips.Loudness] = field(default_factory=list)
    numbers: list[audio.Samples] = field(default_factory=list)
    played: list[rhythm.PartMidi] = field(default_factory=list)


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
    midi = track_rhythm.own_midi(stems, root) if settings.rhythm in ("auto", "midi") else {}
    written = _write_parts(track, merged, midi, folder, settings)
    mix = written.mix
    mono = mix if settings.channels == 1 else Stored(folder).extend(audio.mono(block) for _, block in mix.blocks())
    same_songs.write(folder, written.parts, mono)
    shared_parts.write(folder, written.numbers)
    finder = track_rhythm.RhythmFinder(track, stems, root, mono, settings.sample_rate_hz, settings.rhythm, settings.chords)
    beats = finder.row(written.played)
    cut, dropped = clips.cut(
        written.parts,
        written.loudness,
        clips.measure(mix, settings.window),
        beats,
        settings.window,
        min_active=settings.min_active,
        max_under_mix_db=settings.max_under_mix_db,
        min_lufs=settings.min_lufs,
    )
    rejects += [*finder.rejects, *_doubts(track, stems, settings, len(mix), len(cut), dropped)]
    return {"parts": written.parts, "rhythm": [beats], "clips": cut, "rejects": rejects}


def _write_parts(
    track: Track, merged: Sequence[parts.Merged], midi: Mapping[str, Path], folder: Path, settings: PrepareSettings
) -> _WrittenParts:
    """Write the parts, and measure each; `midi` are the files of single stems."""
    rate_hz, written = settings.sample_rate_hz, _WrittenParts(Stored(folder, settings.channels))
    if settings.balance_stems:
        merged = parts.balanced(merged, rate_hz)
    for part, sound in parts.write(merged, folder, Path("parts", track.track_id), rate_hz):
        written.parts.append(part)
        written.loudness.append(clips.measure(sound, settings.window))
        written.numbers.append(shared_parts.numbers(sound, rate_hz))
        if files := [midi[stem] for stem in part.stems if stem in midi]:
            written.played.append((files, grid_check.onset_envelope(sound, rate_hz)))
        for start, block in sound.blocks():
            written.mix.add(start, block)
    return written


def _doubts(
    track: Track, stems: Sequence[Stem], settings: PrepareSettings, length: int, cut: int, dropped: int
) -> Iterator[Reject]:
    """Note windows without sound, stems of a low rate, and a mix of `length` samples that is shorter than a clip."""
    if dropped:
        detail = f"{dropped} of {dropped + cut} windows of {settings.clip_seconds:g} s are mostly silence"
        yield parts.reject(track, "clips", "silent_clip", detail, dropped)
    if dull := [stem.sample_rate_hz for stem in stems if stem.sample_rate_hz < settings.sample_rate_hz]:
        detail = f"its lowest sample rate is {min(dull)} Hz: such stems hold no sound above {min(dull) // 2} Hz"
        yield parts.reject(track, track.path, "low_rate", detail, len(dull))
    if length < settings.window:
        detail = f"{length / settings.sample_rate_hz:.1f} s long: lower --clip-seconds to cut clips from it"
        yield parts.reject(track, track.path, "too_short", detail)
