"""Hear beats and downbeats with the networks of BeatNet, and count bars.

Heydari, Cwitkowitz, Duan: "BeatNet: CRNN and particle filtering for online joint beat, downbeat and meter tracking",
ISMIR 2021. The three published models (weights CC-BY-4.0, fetched by `weights`) are averaged; the features are those of
madmom's log-filtered spectrogram. madmom and the package BeatNet do not install on Python 3.11, so the features are written anew.
A Viterbi search for bar positions replaces the particle filter.
"""

import io
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.recognisers import weights

Floats = npt.NDArray[np.float32]
RATE_HZ = 22050
FRAME_RATE_HZ = 50
HOP = RATE_HZ // FRAME_RATE_HZ
FRAME = 1411
BINS = FRAME // 2
BEATS_PER_BAR = (3, 4)
DELAY_FRAMES = 0.4
SLIP = 1e-4
"""Chance that a bar is cut short or a beat was missed."""


def available() -> bool:
    """Say whether downbeats can be found in audio: the weights have been fetched, and torch is installed to run them."""
    return weights.available("beatnet") and find_spec("torch") is not None


@cache
def _filters() -> Floats:
    """Build 136 triangles of 24 per octave, 30 Hz up to half the rate: (705, 136), each summing to 1."""
    centres_hz = 440 * 2.0 ** (np.arange(-120, 150) / 24)
    centres_hz = centres_hz[(centres_hz >= 30) & (centres_hz <= 17000)]
    bins_hz = np.arange(BINS) * RATE_HZ / (FRAME - 1)
    centres = np.unique(np.abs(bins_hz[:, None] - centres_hz).argmin(axis=0))
    columns = []
    for low, peak, high in zip(centres[:-2], centres[1:-1], centres[2:], strict=True):
        column = np.zeros(BINS)
        if high - low < 2:
            column[low] = 1
        else:
            column[low:peak] = np.linspace(0, 1, peak - low, endpoint=False)
            column[peak:high] = np.linspace(1, 0, high - peak, endpoint=False)
        columns.append(column / column.sum())
    return np.array(columns, np.float32).T


def features(wave: Samples) -> Floats:
    """Compute log-filtered magnitudes and their rise: (T,) at 22,050 Hz to (T / 441 frames, 272)."""
    count = -(-len(wave) // HOP)
    padded = np.pad(wave, (FRAME // 2, FRAME))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP][:count]
    window = np.hanning(FRAME).astype(np.float32)
    blocks = [np.abs(np.fft.rfft(frames[at : at + 1000] * window, axis=1)[:, :BINS]) @ _filters() for at in range(0, count, 1000)]
    levels = np.log10(np.concatenate(blocks) + 1).astype(np.float32)
    rise = np.maximum(np.diff(levels, axis=0, prepend=levels[:1]), 0)
    return np.hstack([levels, rise])


@cache
def _models() -> list[Any]:
    import torch
    from torch import nn

    class Model(nn.Module):
        """Convolution over the bands of a frame, then a recurrent net over frames."""

        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv1d(1, 2, 10)
            self.linear0 = nn.Linear(262, 150)
            self.lstm = nn.LSTM(150, 150, num_layers=2, batch_first=True)
            self.linear = nn.Linear(150, 3)

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            bands = nn.functional.max_pool1d(torch.relu(self.conv1(frames[:, None])), 2).flatten(1)
            return torch.softmax(self.linear(self.lstm(self.linear0(bands)[None])[0])[0], dim=1)

    models = []
    for data in weights.read("beatnet", [f"BeatNet/models/model_{index}_weights.pt" for index in (1, 2, 3)]):
        model = Model().eval()
        model.load_state_dict(torch.load(io.BytesIO(data), weights_only=True))
        models.append(model)
    return models


def activations(wave: Samples) -> Floats:
    """Compute the probabilities of beat (not downbeat), downbeat and neither: (T,) at 22,050 Hz to (frames, 3), 50 frames/s.

    Runs on one thread, so that the sums don't depend on the machine's cores.

    Raises:
        DataError: the weights have not been fetched.
    """
    import torch

    models, frames, threads = _models(), torch.from_numpy(features(wave)), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            return np.asarray(sum(model(frames).numpy() for model in models) / len(models), dtype=np.float32)
    finally:
        torch.set_num_threads(threads)


def onset_envelope(activation: Floats, times_s: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Read the probability of any beat at the given times; the networks answer 0.4 frames late."""
    heard = activation[:, :2].sum(axis=1, dtype=np.float64)
    return np.asarray(np.interp(times_s, (np.arange(len(heard)) - DELAY_FRAMES) / FRAME_RATE_HZ, heard))


def count_bars(activation: Floats, beats_s: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], int, float]:
    """Find the bar positions of beats, one number of beats per bar throughout, by Viterbi search over positions.

    Returns:
        Positions from 1, beats per bar, and the lead of the downbeat: mean share of "downbeat" in the networks' answer at
        position 1, less that at the next best position; 0 to 1.
    """
    frames = np.clip(np.rint(beats_s * FRAME_RATE_HZ + DELAY_FRAMES).astype(np.int64), 2, len(activation) - 3)
    beat, downbeat = np.max([activation[frames + shift, :2] for shift in range(-2, 3)], axis=0).T.astype(np.float64)
    share = np.clip(downbeat / (beat + downbeat + 1e-9), 0.02, 0.98)
    _, path, bar = max((_search(share, bar) for bar in BEATS_PER_BAR), key=lambda found: found[0])
    means = [share[path == position].mean() if (path == position).any() else 0.0 for position in range(bar)]
    return path + 1, bar, float(max(0.0, means[0] - max(means[1:])))


def _search(share: npt.NDArray[np.float64], bar: int) -> tuple[float, npt.NDArray[np.int64], int]:
    """Find the likeliest positions (0 is the downbeat) for bars of so many beats: log-likelihood, path, bar."""
    heard = np.repeat(np.log(1 - share)[:, None], bar, axis=1)
    heard[:, 0] = np.log(share)
    score, origins = heard[0], []
    for likelihood in heard[1:]:
        step, slip = np.roll(score, 1), score.max() + np.log(SLIP)
        origins.append(np.where(step >= slip, np.arange(-1, bar - 1) % bar, score.argmax()))
        score = np.maximum(step, slip) + likelihood
    path = [int(score.argmax())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return float(score.max()), np.array(path[::-1], np.int64), bar
