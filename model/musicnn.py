"""MusiCNN, a tagger of music, in torch: a fixed network that hears instruments, genres and moods, with gradients.

J. Pons and X. Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging" (2019). Its weights (ISC) come
from the wheel `musicnn` 0.1.0, trained on MagnaTagATune (`MTT`) or the Million Song Dataset (`MSD`), 50 tags each.
"""

import ast
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from instructme.model import tensor_bundle
from instructme.model.config import ModelError
from instructme.model.resample import resample

RATE_HZ = 16000
WINDOW_SAMPLES, HOP_SAMPLES, MELS = 512, 256, 96
PATCH_FRAMES = 187
"""3 s: what the network was trained on."""
WIDTH, POOLED = 200, 1506
_TEMPO_FRAMES = (128, 64, 32)


class MusiCnnOutput(NamedTuple):
    """What the network hears in a clip: means over its patches of 3 s."""

    tags: Tensor
    """Probabilities (B, 50)."""
    embedding: Tensor
    """Last hidden layer (B, 200)."""
    pooled: Tensor
    """Largest and mean value over time of all 753 channels, normalised: (B, 1506)."""


def members(weights: str = "MTT") -> list[str]:
    """Name the members of the wheel that `MusiCnn.from_wheel` takes, in its order."""
    return [f"musicnn/{weights}_musicnn/{file}" for file in (".index", ".data-00000-of-00001")] + ["musicnn/configuration.py"]


def labels(configuration: bytes, weights: str = "MTT") -> list[str]:
    """Read the names of the tags from the wheel's configuration.py, which isn't run.

    Raises:
        ModelError: it doesn't name them.
    """
    for node in ast.parse(configuration).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == f"{weights}_LABELS":
            return [str(label) for label in ast.literal_eval(node.value)]
    raise ModelError(f"no tags of {weights} in musicnn's configuration: run 'instructme models fetch musicnn'")


class MusiCnn(nn.Module):
    """The network as published; it never trains, so `train()` leaves it in eval mode."""

    def __init__(self, tags: int = 50) -> None:
        super().__init__()
        self.front_end = LogMel()
        timbre = [nn.Conv2d(1, 204, (7, bands), padding=(3, 0)) for bands in (38, 67)]
        tempo = [nn.Conv2d(1, 51, (frames, 1)) for frames in _TEMPO_FRAMES]
        middle = [nn.Conv1d(channels, 64, 7, padding=3) for channels in (561, 64, 64)]
        self.convolutions = nn.ModuleList([*timbre, *tempo, *middle])
        images, sequences = (1, 204, 204, 51, 51, 51), (64, 64, 64, POOLED, WIDTH)
        self.norms = nn.ModuleList(
            [nn.BatchNorm2d(size, eps=1e-3) for size in images] + [nn.BatchNorm1d(size, eps=1e-3) for size in sequences]
        )
        self.dense = nn.ModuleList([nn.Linear(POOLED, WIDTH), nn.Linear(WIDTH, tags)])
        self.requires_grad_(False).eval()

    @classmethod
    def from_wheel(cls, index: bytes, data: bytes, configuration: bytes = b"") -> "MusiCnn":
        """Build the network with the weights of a TensorFlow checkpoint: contents of the wheel's `members`."""
        network = cls()
        tensors = tensor_bundle.read(index, data)
        kinds = (("convolutions", "conv2d"), ("norms", "batch_normalization"), ("dense", "dense"))
        names = {"kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}
        names |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
        state = network.state_dict()
        for ours, theirs in kinds:
            for number in range(len(getattr(network, ours))):
                layer = f"{theirs}_{number}" if number else theirs
                for name in [name for name in names if f"{layer}/{name}" in tensors]:
                    key = f"{ours}.{number}.{names[name]}"
                    state[key] = _torch(tensors.pop(f"{layer}/{name}"), state[key].ndim)
        network.load_state_dict(state)
        return network

    def train(self, mode: bool = True) -> "MusiCnn":
        """Stay in eval mode: the statistics of the norms are part of the weights."""
        return super().train(False)

    def listen(self, audio: Tensor, rate_hz: int) -> MusiCnnOutput:
        """Hear audio (B, 1, T) of any length and rate: patches of 3 s, spread evenly so that they cover all of it."""
        frames = self.front_end(resample(audio, rate_hz, RATE_HZ))
        length = min(PATCH_FRAMES, frames.shape[1])
        count = -(-frames.shape[1] // length)
        starts = torch.linspace(0, frames.shape[1] - length, count).round().long()
        patches = frames[:, starts[:, None] + torch.arange(length)]
        heard = self(patches.flatten(0, 1))
        return MusiCnnOutput(*(each.unflatten(0, (-1, count)).mean(dim=1) for each in heard))

    def forward(self, log_mel: Tensor) -> MusiCnnOutput:
        """Hear patches (B, frames, 96)."""
        image = self.norms[0](log_mel[:, None])
        padded = [F.pad(image, (0, 0, (frames - 1) // 2, frames // 2)) for frames in _TEMPO_FRAMES]  # as TensorFlow's "same"
        front = torch.cat([self._block(number, x).amax(dim=3) for number, x in enumerate([image, image, *padded])], dim=1)
        first = self._block(5, front)
        second = first + self._block(6, first)
        third = second + self._block(7, second)
        features = torch.cat([front, first, second, third], dim=1)
        pooled = self.norms[9](torch.stack([features.amax(dim=2), features.mean(dim=2)], dim=2).flatten(1))
        embedding = self.norms[10](F.relu(self.dense[0](pooled)))
        return MusiCnnOutput(self.dense[1](embedding).sigmoid(), embedding, pooled)

    def _block(self, number: int, x: Tensor) -> Tensor:
        heard: Tensor = self.norms[number + 1](F.relu(self.convolutions[number](x)))
        return heard


class LogMel(nn.Module):
    """Log-mel frames as librosa makes them; power stays float32, where the original's float16 loses digits and overflows."""

    filters: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        from transformers.audio_utils import mel_filter_bank

        filters = mel_filter_bank(WINDOW_SAMPLES // 2 + 1, MELS, 0.0, RATE_HZ / 2, RATE_HZ, norm="slaney", mel_scale="slaney")
        self.register_buffer("filters", torch.from_numpy(filters.astype(np.float32)), persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW_SAMPLES), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Analyse audio (B, 1, T) at 16 kHz: (B, 1 + T // 256, 96), log10(10000 power + 1)."""
        spectrum = torch.stft(
            audio[:, 0], WINDOW_SAMPLES, HOP_SAMPLES, window=self.window, pad_mode="constant", return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.log10(10000 * (power.transpose(1, 2) @ self.filters) + 1)


def _torch(tensor: np.ndarray, dimensions: int) -> Tensor:
    """Bring a kernel (time, frequency, in, out) or (in, out) to torch's order; one-dimensional ones have 1 in channel."""
    if tensor.ndim == 4 and dimensions == 3:
        tensor = tensor[:, :, 0].transpose(2, 1, 0)
    elif tensor.ndim > 1:
        tensor = tensor.transpose(3, 2, 0, 1) if tensor.ndim == 4 else tensor.T
    return torch.from_numpy(tensor.copy())
