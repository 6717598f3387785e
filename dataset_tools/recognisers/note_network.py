"""Recognise notes in audio with the network of basic-pitch, run by onnxruntime, and decode them.

Bittner, Bosch, Rubinstein, Meseguer-Brocal, Ewert: "A lightweight instrument-agnostic model for polyphonic note transcription and
multipitch estimation", ICASSP 2022. The weights (Apache-2.0) come from the wheel of basic-pitch 0.4.0; see `weights`.
The package itself requires TensorFlow.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples, resample
from instructme.dataset_tools.recognisers import packed_convolutions, weights

Activations = npt.NDArray[np.float32]
RATE_HZ, HOP_SAMPLES = 22050, 256
WINDOW_SAMPLES, OVERLAP_FRAMES = 43844, 30
LOWEST_MIDI, PITCHES = 21, 88
ONSET, FRAME = 0.5, 0.3
"""Least activations of an onset and of a sounding note."""
SHORTEST_FRAMES, GAP_FRAMES, INFERRED_FRAMES = 11, 11, 2
_MEMBER = "basic_pitch/saved_models/icassp_2022/nmp.onnx"
_WINDOW_FRAMES = 172
_FRAMES_PER_S = 86
_DRIFT_S = HOP_SAMPLES / RATE_HZ * (_WINDOW_FRAMES - WINDOW_SAMPLES / HOP_SAMPLES) + 0.0018
"""By how much basic-pitch corrects the clock after each window."""


class RecognisedNotes(NamedTuple):
    """Notes: start and end in seconds (n, 2), and MIDI pitches (n,)."""

    spans_s: npt.NDArray[np.float64]
    pitches: npt.NDArray[np.int64]


def available() -> bool:
    """Say whether notes can be recognised: the weights have been fetched, and onnx and onnxruntime are installed."""
    return weights.available("notes") and all(map(find_spec, ("onnx", "onnxruntime")))


@cache
def _session() -> Any:
    (network,) = weights.read("notes", [_MEMBER])
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # no warnings of the kernels that are no longer used
    packed = packed_convolutions.pack(network, _WINDOW_FRAMES)
    return onnxruntime.InferenceSession(packed, options, providers=["CPUExecutionProvider"])


def activations(samples: Samples, rate_hz: int) -> tuple[Activations, Activations]:
    """Compute how strongly each semitone from A0 sounds and starts: two of (frames, 88), 86 frames a second.

    Raises:
        DataError: the weights have not been fetched.
    """
    audio = resample(samples, rate_hz, RATE_HZ)
    half, step = OVERLAP_FRAMES * HOP_SAMPLES // 2, WINDOW_SAMPLES - OVERLAP_FRAMES * HOP_SAMPLES
    count = -(-(half + len(audio)) // step)
    padded = np.pad(audio, (half, count * step + WINDOW_SAMPLES - half - len(audio)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[: count * step : step]
    session = _session()
    name = session.get_inputs()[0].name
    names = ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"]
    parts = [session.run(names, {name: np.ascontiguousarray(window)[None, :, None]}) for window in windows]
    frames = len(audio) * _FRAMES_PER_S // RATE_HZ
    edge = OVERLAP_FRAMES // 2
    sounding, starting = (np.concatenate([part[place][0, edge:-edge] for part in parts])[:frames] for place in (0, 1))
    return sounding, starting


def decode(sounding: Activations, starting: Activations) -> RecognisedNotes:
    """Find the notes in activations (frames, 88), as basic-pitch does by default: sorted by start and pitch."""
    from scipy.signal import argrelmax

    rest = sounding.astype(np.float64)
    if len(rest) <= SHORTEST_FRAMES:
        return RecognisedNotes(np.zeros((0, 2)), np.zeros(0, np.int64))
    onsets = _with_inferred(starting.astype(np.float64), rest)
    found = []
    for start, pitch in sorted(zip(*argrelmax(onsets, axis=0), strict=True), reverse=True):
        if onsets[start, pitch] >= ONSET and start < len(rest) - 1:
            walked, faint = _leave(rest[:, pitch], range(start + 1, len(rest) - 1))
            end = start + 1 + walked - faint
            if end - start > SHORTEST_FRAMES:
                _clear(rest, start, end, pitch)
                found.append((start, end, pitch))
    found += _without_onsets(rest)
    times_s = np.arange(len(rest)) * HOP_SAMPLES / RATE_HZ - _DRIFT_S * (np.arange(len(rest)) // _WINDOW_FRAMES)
    notes = np.array(sorted(found), dtype=np.int64).reshape(-1, 3)
    return RecognisedNotes(times_s[notes[:, :2]], notes[:, 2] + LOWEST_MIDI)


def _with_inferred(onsets: npt.NDArray[np.float64], frames: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Add onsets where activations rise over one and two frames, scaled to the largest onset."""
    rises = [frames - np.pad(frames, ((lag, 0), (0, 0)))[:-lag] for lag in range(1, INFERRED_FRAMES + 1)]
    rise = np.maximum(np.min(rises, axis=0), 0)
    rise[:INFERRED_FRAMES] = 0
    largest = rise.max(initial=0)
    return np.maximum(onsets, rise * (onsets.max() / largest)) if largest else onsets


def _clear(rest: npt.NDArray[np.float64], start: int, end: int, pitch: int) -> None:
    """Take a note, and what leaks into its neighbours, out of the activations."""
    rest[start:end, max(pitch - 1, 0) : pitch + 2] = 0


def _without_onsets(rest: npt.NDArray[np.float64]) -> list[tuple[int, int, int]]:
    """Find notes that have no clear onset, from the loudest activation that is left in both directions."""
    found = []
    while rest.max() > FRAME:
        middle, pitch = (int(each) for each in np.unravel_index(rest.argmax(), rest.shape))
        rest[middle, pitch] = 0
        after, faint = _leave(rest[:, pitch], range(middle + 1, len(rest) - 1))
        end = middle + after - faint
        _clear(rest, middle + 1, middle + 1 + after, pitch)
        before, faint = _leave(rest[:, pitch], range(middle - 1, 0, -1))
        start = middle - before + faint
        _clear(rest, middle - before, middle, pitch)
        if end - start > SHORTEST_FRAMES:
            found.append((start, end, pitch))
    return found


def _leave(column: npt.NDArray[np.float64], frames: range) -> tuple[int, int]:
    """Walk until the note is faint for `GAP_FRAMES`: how many frames were walked, and how many of the last were faint."""
    faint, walked = 0, 0
    for frame in frames:
        faint = faint + 1 if column[frame] < FRAME else 0
        walked += 1
        if faint == GAP_FRAMES:
            break
    return walked, faint
