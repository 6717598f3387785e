"""PANNs' CNN14 in torch: the tagger whose classes most papers compare by KL divergence (Kong et al., arXiv 1912.10211).

The weights are not part of this package. The network reads the state that is published as `Cnn14_16k_mAP=0.438.pth`, with its mel
bands. Audio is 16 kHz mono.
"""

from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from instructme.model import pretrained
from instructme.model.spectrum import mel_power

RATE_HZ = 16000
WINDOW_SAMPLES, HOP_SAMPLES = 512, 160
SHORTEST_SAMPLES = 32 * HOP_SAMPLES
"""Five layers halve the frames."""
_BLOCKS = range(1, 7)
_TINY = 1e-10


class ConvBlock(nn.Module):
    """Two convolutions with batch norm, and a mean over squares of cells."""

    def __init__(self, before: int, after: int, pool: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """Transform (B, C, T, F)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.avg_pool2d(x, self.pool)


class Cnn14(nn.Module):
    """Audio (B, T) at 16 kHz -> logits of AudioSet's classes (B, 527)."""

    filters: Tensor
    window: Tensor

    def __init__(self, channels: tuple[int, ...], bands: int, classes: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(bands)
        for number in _BLOCKS:
            before = channels[number - 2] if number > 1 else 1
            self.add_module(f"conv_block{number}", ConvBlock(before, channels[number - 1], 2 if number < len(_BLOCKS) else 1))
        self.fc1 = nn.Linear(channels[-1], channels[-1])
        self.fc_audioset = nn.Linear(channels[-1], classes)
        self.register_buffer("filters", torch.zeros(WINDOW_SAMPLES // 2 + 1, bands), persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW_SAMPLES), persistent=False)
        self.requires_grad_(False).eval()

    @classmethod
    def from_file(cls, path: Path) -> "Cnn14":
        """Build the network with published weights.

        Raises:
            ModelError: no such file, or not a state of this network.
        """
        with pretrained.published("PANNs", path, "Cnn14_16k_mAP=0.438.pth") as state:
            state = state.get("model", state)
            channels = tuple(len(state[f"conv_block{number}.conv1.weight"]) for number in _BLOCKS)
            filters = state["logmel_extractor.melW"]
            network = cls(channels, filters.shape[1], len(state["fc_audioset.weight"]))
            network.load_state_dict({name: value for name, value in state.items() if "_extractor." not in name})
            network.filters.copy_(filters)
        return network

    def forward(self, audio: Tensor) -> Tensor:
        """Tag (B, T): (B, classes). A sound of less than 0.32 s is filled up with silence."""
        x = self.log_mel(F.pad(audio, (0, max(SHORTEST_SAMPLES - audio.shape[1], 0))))[:, None]
        x = self.bn0(x.transpose(1, 3)).transpose(1, 3)
        for number in _BLOCKS:
            x = self.get_submodule(f"conv_block{number}")(x)
        x = x.mean(dim=3)
        logits: Tensor = self.fc_audioset(F.relu(self.fc1(x.amax(dim=2) + x.mean(dim=2))))
        return logits

    def log_mel(self, audio: Tensor) -> Tensor:
        """Analyse (B, T): mel powers in dB (B, frames, bands), centred frames every 10 ms."""
        return 10 * torch.log10(mel_power(audio, self.window, HOP_SAMPLES, self.filters, "reflect").clamp(min=_TINY))
