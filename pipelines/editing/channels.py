"""Bring an edit of what the model heard, mono at its own rate, back to the channels and the rate of the recording."""

import numpy as np
import torch

from instructme.dataset_tools.audio import Samples, resample
from instructme.model.masks import follow
from instructme.pipelines.editing.changes import effect


def hear(audio: Samples, rate_hz: int, model_hz: int) -> Samples:
    """Average the channels of (n, channels) and resample: (T,)."""
    return resample(np.ascontiguousarray(audio.mean(axis=1, dtype=np.float32)), rate_hz, model_hz)


def spread(
    audio: Samples, heard: Samples, sound: Samples, kept: Samples, task: str | None, *, rate_hz: int, model_hz: int
) -> Samples:
    """Put an edit in the place of what was heard of a recording.

    The edit goes to the centre. What the model didn't hear, which is how each channel differs from their mean and what lies
    above the model's Nyquist frequency, stays for add, goes for remix, and otherwise follows, bin by bin, what the edit kept.

    Args:
        audio: (n, channels) at `rate_hz`.
        heard: (T,) at `model_hz`, made from it by `hear`.
        sound: (T,) the edit of that.
        kept: (T,) what the edit leaves of it, without anything new.
        task: what the instruction asks for.
        rate_hz: rate of the recording.
        model_hz: rate of the model.
    """
    old, new, left = (fitted(resample(each, model_hz, rate_hz), len(audio))[:, None] for each in (heard, sound, kept))
    keeps, _ = effect(task)
    if keeps == "none":
        return np.repeat(new, audio.shape[1], axis=1)
    unheard = audio - old
    if keeps != "all" and unheard.any():
        rest, whole, share = (torch.from_numpy(np.ascontiguousarray(each.T)) for each in (unheard, old, left))
        unheard = follow(rest, whole, share, rate_hz, model_hz / 2).numpy().T
    edited: Samples = new + unheard
    return edited


def fitted(samples: Samples, length: int) -> Samples:
    """Cut or continue with silence; resampling there and back may be a few samples off."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))
