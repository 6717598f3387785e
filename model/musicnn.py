"""MusiCNN, a tagger of music, in torch: a fixed network that hears instruments, genres and moods, with gradients.

J. Pons and X. Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging" (2019). Its weights (ISC) come
from the wheel `musicnn` 0.1.0, trained on MagnaTagATune (`MTT`) or the Million Song Dataset (`MSD`), 50 tags each; 'instructme
models fetch musicnn' converts them to safetensors.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from instructme.model.resample import resample
from instructme.model.spectrum import mel_power

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
    def from_file(cls, file: Path, weights: str = "MTT") -> "MusiCnn":
        """Build the network with the weights `MTT` or `MSD` of the safetensors file that 'instructme models fetch' makes."""
        from safetensors import safe_open

        network = cls()
        state = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
        with safe_open(file, "pt") as tensors:
            names = [name for name in tensors.keys() if name.startswith(f"{weights}.")]  # noqa: SIM118  not a dictionary
            state |= {name.removeprefix(f"{weights}."): tensors.get_tensor(name) for name in names}
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
        front = torch.cat([self._loudest(number, x) for number, x in enumerate([image, image, *padded])], dim=1)
        first = self._block(5, front)
        second = first + self._block(6, first)
        third = second + self._block(7, second)
        features = torch.cat([front, first, second, third], dim=1)
        pooled = self.norms[9](torch.stack([features.amax(dim=2), features.mean(dim=2)], dim=2).flatten(1))
        embedding = self.norms[10](F.relu(self.dense[0](pooled)))
        return MusiCnnOutput(self.dense[1](embedding).sigmoid(), embedding, pooled)

    def _loudest(self, number: int, x: Tensor) -> Tensor:
        """Give the largest value of a block over frequency: (B, C, frames).

        ReLU and norm keep the order of values, or turn it where the weight of the norm is negative. So they see only the value
        that becomes the largest, which is faster and equal.
        """
        convolution: Any = self.convolutions[number]
        norm: Any = self.norms[number + 1]
        sign = norm.weight.sign()[:, None, None]
        heard = F.conv2d(x, convolution.weight * sign[..., None], convolution.bias * sign[:, 0, 0], padding=convolution.padding)
        loudest: Tensor = norm(F.relu(heard.amax(dim=3, keepdim=True) * sign))
        return loudest[..., 0]

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
        return torch.log10(10000 * mel_power(audio[:, 0], self.window, HOP_SAMPLES, self.filters, "constant") + 1)
