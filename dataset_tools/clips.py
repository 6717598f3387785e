"""Cut the parts of a track into clips: windows of equal length, with what sounds in them and how loud."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.activity import weighting_db
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stored import Stored
from instructme.manifests.rows import ACTIVITY_RATE_HZ, Clip, Part, Rhythm

MIN_ACTIVE = 0.3
"""Share of a window in which an edited part must be active."""
MAX_UNDER_MIX_DB = 30.0
"""An edited part lies no further under the mix."""
MIN_LUFS = -45.0
"""An edited part is at least so loud where it plays; softer ones are hardly heard, so that they teach nothing."""
MIN_SOUNDING = 0.5
"""Share of a window in which any part must be active; else the window is mostly silence."""


@dataclass(frozen=True)
class Loudness:
    """RMS and peak of one signal in each window, dBFS."""

    rms_db: list[float]
    peak_db: list[float]


def measure(samples: Samples | Stored, window: int) -> Loudness:
    """Measure each whole window of `window` samples, over all channels."""
    loudness = Loudness([], [])
    for start in range(0, len(samples) - window + 1, window):
        one = samples[start : start + window]
        loudness.rms_db.append(audio.rms_db(one))
        loudness.peak_db.append(audio.peak_db(one))
    return loudness


def cut(
    parts: Sequence[Part],
    loudness: Sequence[Loudness],
    mix: Loudness,
    rhythm: Rhythm,
    window: int,
    *,
    min_active: float = MIN_ACTIVE,
    max_under_mix_db: float = MAX_UNDER_MIX_DB,
    min_lufs: float = MIN_LUFS,
) -> tuple[list[Clip], int]:
    """Cut a track into windows that follow each other from its start; what is left at its end is no clip.

    `loudness` belongs to `parts`, in their order. Returns the clips and how many windows were dropped for being mostly
    silent. Clips keep the index of their window, so `clip_id`s don't depend on what is dropped.
    """
    activity = np.array([part.activity for part in parts], dtype=bool)
    rate_hz = parts[0].sample_rate_hz
    floors_db = [min_lufs - weighting_db(part.lufs, part.level_db, part.activity) for part in parts]
    clips = []
    for index, mix_rms_db in enumerate(mix.rms_db):
        start, end = index * window, (index + 1) * window
        frames = activity[:, round(start * ACTIVITY_RATE_HZ / rate_hz) : round(end * ACTIVITY_RATE_HZ / rate_hz)]
        if frames.any(axis=0).mean() < MIN_SOUNDING:
            continue
        sounding = [at for at in range(len(parts)) if loudness[at].peak_db[index] > audio.FLOOR_DB]
        active = [float(frames[at].mean()) for at in sounding]
        rms_db = [loudness[at].rms_db[index] for at in sounding]
        clips.append(
            Clip(
                clip_id=f"{rhythm.track_id}-{index:04d}",
                track_id=rhythm.track_id,
                start_samples=start,
                length_samples=window,
                instruments=[parts[at].instrument for at in sounding],
                active=active,
                rms_db=rms_db,
                peak_db=[loudness[at].peak_db[index] for at in sounding],
                usable=[
                    parts[at].editable
                    and share >= min_active
                    and level >= mix_rms_db - max_under_mix_db
                    and level >= floors_db[at] + audio.power_db(share)
                    for at, share, level in zip(sounding, active, rms_db, strict=True)
                ],
                mix_rms_db=mix_rms_db,
                tempo_bpm=_tempo_bpm(rhythm, start, end, rate_hz),
                chords=_chords(rhythm, start, end),
            )
        )
    return clips, len(mix.rms_db) - len(clips)


def _tempo_bpm(rhythm: Rhythm, start: int, end: int, rate_hz: int) -> float | None:
    """Take the median tempo of the beats in a window; None with fewer than two."""
    beats = np.asarray(rhythm.beats_samples)
    gaps = np.diff(beats[(beats >= start) & (beats < end)])
    return float(60.0 * rate_hz / np.median(gaps)) if len(gaps) else None


def _chords(rhythm: Rhythm, start: int, end: int) -> list[str]:
    """List the chords that sound in a window, in order; a chord that goes on is named once."""
    ends = [*rhythm.chord_starts_samples, end][1:]
    spans = zip(rhythm.chord_starts_samples, ends, rhythm.chord_labels, strict=True)
    heard = [label for begin, stop, label in spans if begin < end and stop > start]
    return [label for at, label in enumerate(heard) if at == 0 or label != heard[at - 1]]
