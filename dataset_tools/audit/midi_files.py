"""Read the MIDI of stems once: which notes they are, when they sound, and what program they state."""

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from instructme.dataset_tools.audit.inputs import AuditTables
from instructme.dataset_tools.midi import tempo_map
from instructme.manifests import tables
from instructme.manifests.paths import inside
from instructme.manifests.rows import ACTIVITY_RATE_HZ, DataError, Part

_GRID = 24
"""Steps of a quarter note to which onsets are rounded before they are hashed."""
_FEWEST_NOTES = 16
"""Stems of fewer notes are no evidence that two songs are one."""
MOST_OWNERS = 50
"""What more songs than these have in common is a pattern, not a song."""
_RING_S = 2.0
"""So long after its note a sound may still be that note's: cymbals, releases, room."""
_LONGEST_GAP_S = 0.5
"""Rests up to this long belong to the playing, as for the activity of parts."""


@dataclass(frozen=True)
class StemNotes:
    """The notes of a stem: how many, a hash of them that doesn't depend on tempo, program as stated, on and off in s."""

    count: int
    digest: str
    program: int | None
    times_s: npt.NDArray[np.float64]


@dataclass(frozen=True)
class MidiStudy:
    """What the MIDI of a working folder says: notes by (track, stem), how they agree with parts, files that can't be read.

    `agreement` has for each part seconds of notes and of sound, the share of the notes that sound, and the share of the sound
    that its notes explain.
    """

    notes: dict[tuple[str, str], StemNotes]
    agreement: pd.DataFrame
    unreadable: int


def study(found: AuditTables) -> MidiStudy:
    """Read all MIDI files of stems, with a progress bar, and compare them with the activity of the parts."""
    from tqdm import tqdm

    stems = found.stems[found.stems["midi_path"].notna()]
    roots = {name: root for name, root in found.roots.items() if root.is_dir()}
    stems = stems[stems["dataset"].isin(list(roots))]
    # A file that several stems share isn't that of one stem.
    stems = stems[~stems.duplicated(["dataset", "midi_path"], keep=False)]
    notes, unreadable = {}, 0
    rows = zip(stems["track_id"], stems["stem_id"], stems["dataset"], stems["midi_path"], strict=True)
    for track, stem, dataset, path in tqdm(rows, desc="notes", total=len(stems), unit="file", dynamic_ncols=True, leave=False):
        try:
            notes[track, stem] = read(inside(roots[dataset], path))
        except DataError:
            unreadable += 1
    return MidiStudy(notes, _agreement(found, notes), unreadable)


def read(path: Path) -> StemNotes:
    """Read the notes of one file.

    Raises:
        DataError: unreadable.
    """
    music = tempo_map.read_file(path)
    notes = np.concatenate([np.zeros((0, 4)), *(voice.notes for voice in music.voices)])
    joined = np.floor(np.stack([notes[:, 0] * _GRID + 1e-6, notes[:, 2]], axis=1)).astype(np.int64)
    joined = joined[np.lexsort(joined.T[::-1])]
    joined[:, 0] -= joined[0, 0] if len(joined) else 0
    programs = {voice.program for voice in music.voices}
    times_s = music.seconds(notes[:, :2])
    digest = hashlib.sha256(joined.tobytes()).hexdigest()[:16]
    return StemNotes(len(joined), digest, programs.pop() if len(programs) == 1 else None, times_s)


def frames(times_s: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.bool_]:
    """Mark the frames of 0.1 s in which a note is on, rests of up to half a second filled: (count,)."""
    times_s = times_s[np.argsort(times_s[:, 0], kind="stable")]
    ends = np.maximum.accumulate(times_s[:, 1]) if len(times_s) else times_s[:, 1]
    held = times_s[1:, 0] - ends[:-1] <= _LONGEST_GAP_S
    begins = times_s[:, 0].copy()
    begins[1:] = np.where(held, np.minimum(ends[:-1], begins[1:]), begins[1:])
    edges = np.zeros(count + 1, dtype=np.int64)
    np.add.at(edges, np.clip((begins * ACTIVITY_RATE_HZ).astype(int), 0, count), 1)
    np.add.at(edges, np.clip(np.ceil(times_s[:, 1] * ACTIVITY_RATE_HZ - 1e-6).astype(int), 0, count), -1)
    return np.asarray(np.cumsum(edges[:count]) > 0)


def _agreement(found: AuditTables, notes: dict[tuple[str, str], StemNotes]) -> pd.DataFrame:
    """Compare notes with sound for each part whose stems all have notes."""
    columns = ["track", "instrument", "notes_s", "sound_s", "sounding", "explained"]
    if not found.prepared or not notes:
        return pd.DataFrame(columns=columns)
    names = ["track_id", "instrument", "stems"]
    table = tables.read(found.work / "parts.parquet", Part, [*names, "activity"])
    rows = []
    for track, instrument, stems, activity in zip(*(table[name].to_pylist() for name in names), table["activity"], strict=True):
        if all((track, stem) in notes for stem in stems):
            sounding = activity.values.to_numpy(zero_copy_only=False)
            times_s = np.concatenate([notes[track, stem].times_s for stem in stems])
            on, ringing = (frames(times_s + np.array((0.0, ring_s)), len(sounding)) for ring_s in (0.0, _RING_S))
            shares = _share(on, sounding), _share(sounding, ringing)
            rows.append((track, instrument, on.sum() / ACTIVITY_RATE_HZ, sounding.sum() / ACTIVITY_RATE_HZ, *shares))
    return pd.DataFrame(rows, columns=columns)


def _share(flags: npt.NDArray[np.bool_], others: npt.NDArray[np.bool_]) -> float:
    """Measure how much of some frames lies in others; 1 of none."""
    return float(others[flags].mean()) if flags.any() else 1.0


def same_notes(found: AuditTables, notes: dict[tuple[str, str], StemNotes]) -> list[tuple[str, str, float]]:
    """Find pairs of tracks that have at least half of their notes in stems of the very same notes.

    Drums are left out: a pattern is no song. The share is that of the song with fewer notes.
    """
    drums = set(zip(*(found.stems[found.stems["family"] == "drums"][name] for name in ("track_id", "stem_id")), strict=True))
    owners, counts = defaultdict[str, list[str]](list), dict[str, int]()
    totals, common = Counter[str](), Counter[tuple[str, str]]()
    for (track, stem), own in notes.items():
        if (track, stem) not in drums and own.count >= _FEWEST_NOTES:
            totals[track] += own.count
            counts[own.digest] = own.count
            owners[own.digest].append(track)
    for digest, tracks in owners.items():
        if len(tracks) <= MOST_OWNERS:
            common.update(dict.fromkeys(combinations(sorted(set(tracks)), 2), counts[digest]))
    shares = {(one, other): count / min(totals[one], totals[other]) for (one, other), count in common.items()}
    return [(*pair, value) for pair, value in sorted(shares.items()) if value >= 0.5]
