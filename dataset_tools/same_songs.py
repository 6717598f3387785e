"""Keep one song out of two splits by its sound: the fingerprints of prepared tracks, and which tracks to leave out.

Names can't tell that two datasets hold one recording under two titles. `prepare` keeps the fingerprint of the first five
minutes of each track; where tracks of two splits sound the same, the one that is held out more stays: test before validation
before train. In one split both stay, and are told. Among 200 songs no pair sounds the same by chance.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from instructme.dataset_tools import audio, fingerprint
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.fingerprint import Print, SameSound
from instructme.dataset_tools.stored import Stored
from instructme.manifests import tables
from instructme.manifests.rows import ACTIVITY_RATE_HZ, SPLITS, DataError, Part, Reject, Track

FILE = "fingerprint.npy"
HEARD_S = 300
_LEAST_SHARE = 1 / 3
"""Two recordings overlap in this share of the shorter one: the end of one song and the start of another may be one drum loop."""
_MOST_WORDS = 40_000_000
"""Words of all tracks together that are compared; of many tracks a shorter beginning."""


def write(folder: Path, parts: Sequence[Part], mix: Samples | Stored) -> None:
    """Write the fingerprint of a track from where it begins to play; `mix` is `(T,)` at the rate of its parts."""
    start = _start(parts)
    sound = mix[start : start + HEARD_S * parts[0].sample_rate_hz]
    np.save(folder / FILE, fingerprint.fingerprint(np.ascontiguousarray(sound), parts[0].sample_rate_hz))


def doubles(folders: Mapping[str, Path], tracks: Sequence[Track]) -> list[Reject]:
    """List the tracks that sound like one of a more held-out split.

    Args:
        folders: track_id -> folder of its parts.
        tracks: all tracks, of which those in `folders` are compared.
    """
    homes, prints = _prints(folders, tracks)
    if len({track.split for track in homes.values()}) < 2:
        return []
    lost: dict[str, Reject] = {}
    for match in matches(prints, {track_id: homes[track_id].split for track_id in prints}):
        pair = sorted((homes[match.first], homes[match.second]), key=lambda track: SPLITS.index(track.split))
        if any(track.track_id in lost for track in pair):
            continue
        less, more = pair
        detail = (
            f"it sounds like {more.track_id} in {more.split}: {match.wrong_bits:.0%} of bits differ over {match.seconds:.0f} s"
        )
        lost[less.track_id] = Reject("prepare", less.dataset, less.track_id, less.path, "same_sound", detail, 1)
    return list(lost.values())


def copies(folders: Mapping[str, Path], tracks: Sequence[Track]) -> list[Reject]:
    """Report tracks that sound like another track of their split, also at another level or as MP3; both stay.

    Args:
        folders: track_id -> folder of its parts.
        tracks: all tracks, of which those in `folders` are compared.
    """
    homes, prints = _prints(folders, tracks)
    told: dict[str, Reject] = {}
    for split in SPLITS:
        for match in matches({name: words for name, words in prints.items() if homes[name].split == split}):
            first, second = sorted((match.first, match.second))
            track, wrong = homes[second], f"{match.wrong_bits:.0%} of bits differ over {match.seconds:.0f} s"
            detail = f"it is the same recording as {first}, or a version of it ({wrong}): both are used, so it counts twice"
            told.setdefault(second, Reject("prepare", track.dataset, second, track.path, "copy", detail, 1))
    return [told[name] for name in sorted(told)]


def matches(prints: Mapping[str, Print], groups: Mapping[str, str] | None = None) -> Iterator[SameSound]:
    """Find the pairs of one recording: all of the shorter one, or enough of it, lies in the other."""
    for match in fingerprint.matches(prints, groups=groups):
        shorter_s = min(len(prints[match.first]), len(prints[match.second])) * fingerprint.HOP_SAMPLES / fingerprint.RATE_HZ
        if match.seconds >= _LEAST_SHARE * shorter_s:
            yield match


def _prints(folders: Mapping[str, Path], tracks: Sequence[Track]) -> tuple[dict[str, Track], dict[str, Print]]:
    """Read the fingerprints of the tracks that have some; of many tracks a shorter beginning."""
    homes = {track.track_id: track for track in tracks if track.track_id in folders}
    prints = {track_id: words for track_id in sorted(homes) if len(words := _read(folders[track_id]))}
    most = _MOST_WORDS // max(1, len(prints))
    return homes, {track_id: words[:most] for track_id, words in prints.items()}


def _start(parts: Sequence[Part]) -> int:
    """Find the first sample at which a part plays; 0 if none does."""
    begins = [part.activity.index(True) for part in parts if any(part.activity)]
    return min(begins, default=0) * parts[0].sample_rate_hz // ACTIVITY_RATE_HZ


def _read(folder: Path) -> Print:
    """Read the fingerprint of a track; of one that an older version prepared, make it of the parts."""
    nothing = np.zeros(0, dtype=np.uint32)
    if (folder / FILE).exists():
        return np.asarray(np.load(folder / FILE), dtype=np.uint32)
    parts = tables.read_rows(folder / "parts.parquet", Part)
    if not parts:
        return nothing
    start, rate_hz = _start(parts), parts[0].sample_rate_hz
    length = min(HEARD_S * rate_hz, parts[0].length_samples - start)
    mix: Samples = np.zeros(max(length, 0), dtype=np.float32)
    try:
        for part in parts:
            mix += audio.read(folder / Path(part.path).name, start=start, length=length)
    except (DataError, ValueError):
        return nothing
    return fingerprint.fingerprint(mix, rate_hz)
