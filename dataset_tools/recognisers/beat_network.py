"""Hear beats and downbeats with a network of BeatNet, and count bars.

Heydari, Cwitkowitz, Duan: "BeatNet: CRNN and particle filtering for online joint beat, downbeat and meter tracking",
ISMIR 2021. The first of the three published models comes with this package: `beatnet.safetensors` (CC-BY-4.0, credit in
`BEATNET.md`). The network runs in numpy. The features are those of madmom's log-filtered spectrogram, written anew. A Viterbi
search for bar positions replaces the particle filter.
"""

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples

Floats = npt.NDArray[np.float32]
RATE_HZ = 22050
FRAME_RATE_HZ = 50
HOP = RATE_HZ // FRAME_RATE_HZ
FRAME = 1411
BINS = FRAME // 2
BEATS_PER_BAR = (3, 4)
DELAY_FRAMES = 0.4
LABEL = "BeatNet 1.1.3 model 1 (b5453fb13823)"
"""Package, version and model on the package index, and the beginning of the SHA-256 of our file."""
FILE = Path(__file__).with_name("beatnet.safetensors")
HIDDEN = 150
BLOCK_FRAMES = 1000
LEVEL = 0.1
"""RMS that every recording is brought to: the features depend on it."""
SLIP = 1e-4
"""Chance that a bar is cut short or a beat was missed."""


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
def _weights() -> dict[str, Floats]:
    from safetensors.numpy import load_file

    return dict(load_file(FILE))


def level(wave: Samples) -> Samples:
    """Bring a recording (T,) to the same RMS whatever its own; silence stays silent."""
    rms = float(np.sqrt(np.square(wave, dtype=np.float64).mean())) if len(wave) else 0.0
    return np.asarray(wave * np.float32(LEVEL / rms), np.float32) if rms > 0 else wave


def activations(wave: Samples) -> Floats:
    """Compute the probabilities of beat (not downbeat), downbeat and neither: (T,) at 22,050 Hz to (frames, 3), 50 frames/s.

    The level of the recording doesn't matter. Runs on one thread, so that the sums don't depend on the machine's cores.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return _run(features(level(wave)))


def _run(frames: Floats) -> Floats:
    """Run the network over features (frames, 272): a convolution over bands, and a recurrent net over frames."""
    weights = _weights()
    hidden = np.concatenate([_bands(frames[at : at + BLOCK_FRAMES]) for at in range(0, len(frames), BLOCK_FRAMES)])
    for layer in ("l0", "l1"):
        hidden = _lstm(hidden, layer)
    scores = np.exp(hidden @ weights["linear.weight"].T + weights["linear.bias"])
    return np.asarray(scores / scores.sum(axis=1, keepdims=True), np.float32)


def _bands(frames: Floats) -> Floats:
    """Convolve the bands of each frame, keep the larger of each two, and mix them: (frames, 272) to (frames, 150)."""
    weights = _weights()
    kernel = weights["conv1.weight"][:, 0]
    windows = np.lib.stride_tricks.sliding_window_view(frames, kernel.shape[1], axis=1)
    heard = np.maximum(np.einsum("fbk,ck->fcb", windows, kernel) + weights["conv1.bias"][:, None], 0)[:, :, :-1]
    pooled = heard.reshape(len(frames), -1, 2).max(axis=2)
    return np.asarray(pooled @ weights["linear0.weight"].T + weights["linear0.bias"], np.float32)


def _lstm(frames: Floats, layer: str) -> Floats:
    """Run a recurrent layer over (frames, 150); the gates are input, forget, cell, output, as in torch."""
    weights = _weights()
    gates = frames @ weights[f"lstm.weight_ih_{layer}"].T + weights[f"lstm.bias_ih_{layer}"] + weights[f"lstm.bias_hh_{layer}"]
    back = np.ascontiguousarray(weights[f"lstm.weight_hh_{layer}"].T)
    state, cell = np.zeros((2, HIDDEN), np.float32)
    for at, own in enumerate(gates):
        gate = own + state @ back
        opened = 1 / (1 + np.exp(-np.clip(gate, -60, 60)))
        cell = opened[HIDDEN : 2 * HIDDEN] * cell + opened[:HIDDEN] * np.tanh(gate[2 * HIDDEN : 3 * HIDDEN])
        state = opened[3 * HIDDEN :] * np.tanh(cell)
        frames[at] = state
    return frames


def onset_envelope(activation: Floats, times_s: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Read the probability of any beat at the given times; the networks answer 0.4 frames late."""
    heard = activation[:, :2].sum(axis=1, dtype=np.float64)
    return np.asarray(np.interp(times_s, (np.arange(len(heard)) - DELAY_FRAMES) / FRAME_RATE_HZ, heard))


def downbeat_share(activation: Floats, beats_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Read the share of "downbeat" in the networks' answer at each beat, 0.02 to 0.98."""
    frames = np.clip(np.rint(beats_s * FRAME_RATE_HZ + DELAY_FRAMES).astype(np.int64), 2, len(activation) - 3)
    beat, downbeat = np.max([activation[frames + shift, :2] for shift in range(-2, 3)], axis=0).T.astype(np.float64)
    return np.asarray(np.clip(downbeat / (beat + downbeat + 1e-9), 0.02, 0.98))


def count_bars(activation: Floats, beats_s: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], int, float]:
    """Find the bar positions of beats, one number of beats per bar throughout, by Viterbi search over positions.

    Returns:
        Positions from 1, beats per bar, and the lead of the downbeat: mean share of "downbeat" in the networks' answer at
        position 1, less that at the next best position; 0 to 1.
    """
    share = downbeat_share(activation, beats_s)
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
