"""Prepare the clips of one item: equal length, equal loudness, no clipping, and the low anchor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.pipelines.evaluation.spectra import RATE_HZ, loudness_lufs

LOUDNESS_LUFS = -23.0
_MOST_GAIN_DB = 30.0
"""A clip that is nearly silent stays soft: more gain would only raise its noise."""
_PEAK = 0.98


@dataclass(frozen=True)
class Levelled:
    """Clips by name, all with the same number of samples. loudness_lufs: after the gain."""

    clips: Mapping[str, Samples]
    loudness_lufs: Mapping[str, float]


def levelled(clips: Mapping[str, Samples], lengths_s: Sequence[float], target_lufs: float = LOUDNESS_LUFS) -> Levelled:
    """Cut all clips to one length and bring them to one loudness.

    The length is the largest of `lengths_s` that every clip has; if they are shorter than all of these, it is that of
    the shortest clip. If a clip would exceed full scale, all clips are made softer by the same amount.
    """
    samples = shared_length([len(clip) for clip in clips.values()], lengths_s)
    cut = {name: clip[:samples] for name, clip in clips.items()}
    before = {name: loudness_lufs(clip) for name, clip in cut.items()}
    gains = {name: min(target_lufs - level, _MOST_GAIN_DB) if np.isfinite(level) else 0.0 for name, level in before.items()}
    amplitudes = {name: 10 ** (gain / 20) for name, gain in gains.items()}
    loudest = max(audio.peak(clip) * amplitudes[name] for name, clip in cut.items())
    softer = min(1.0, _PEAK / loudest) if loudest > 0 else 1.0
    softer_db = 20 * float(np.log10(softer))
    return Levelled(
        {name: (clip * np.float32(amplitudes[name] * softer)).astype(np.float32) for name, clip in cut.items()},
        {name: before[name] + gains[name] + softer_db for name in cut},
    )


def shared_length(lengths_samples: Sequence[int], lengths_s: Sequence[float]) -> int:
    """Choose the number of samples that all clips of an item keep. A clip may lack 0.5 s of a length."""
    shortest = min(lengths_samples)
    fitting = [round(length * RATE_HZ) for length in lengths_s if length * RATE_HZ <= shortest + RATE_HZ // 2]
    return min(max(fitting), shortest) if fitting else shortest


def noisy(source: Samples, seed: int) -> Samples:
    """Make the low anchor: the source with as much white noise as music."""
    level = np.sqrt(np.mean(np.square(source), dtype=np.float64))
    noise = np.random.default_rng(seed).standard_normal(len(source)).astype(np.float32)
    return source + noise * np.float32(max(level, 1e-3))


def with_lead(clip: Samples, lead: Samples) -> Samples:
    """Lay the source's lead on top of a remix, so that raters hear whether the remix carries it."""
    samples = min(len(clip), len(lead))
    return np.asarray(clip[:samples] + lead[:samples], dtype=np.float32)
