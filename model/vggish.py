"""VGGish in torch: the network whose embedding the Frechet audio distance of most papers takes (Hershey et al., ICASSP 2017).

The weights are not part of this package. The network reads the state that is widely published as `vggish-10086976.pth`: the
convolutions as `features.N`, the dense layers as `embeddings.N`. The last ReLU is left out, as the usual programs for the
distance do by default. Audio is 16 kHz mono; an example is 0.96 s, and what remains at the end is not heard. AudioSet's features
are post-processed: turned to published principal components, and rounded to 8 bits.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from instructme.model import pretrained

RATE_HZ = 16000
WINDOW_SAMPLES, HOP_SAMPLES, FFT = 400, 160, 512
MELS, LOW_HZ, HIGH_HZ, OFFSET = 64, 125.0, 7500.0, 0.01
EXAMPLE_FRAMES, WIDTH = 96, 128
_LIMIT = 2.0
_CHANNELS = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool")


class Vggish(nn.Module):
    """Log-mel examples (N, 96, 64) -> embeddings (N, 128)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for step in _CHANNELS:
            if isinstance(step, int):
                layers += [nn.Conv2d(before, step, 3, padding=1), nn.ReLU()]
                before = step
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(before * 6 * 4, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, WIDTH)
        )
        self.requires_grad_(False).eval()

    @classmethod
    def from_file(cls, path: Path) -> "Vggish":
        """Build the network with published weights.

        Raises:
            ModelError: no such file, or not a state of this network.
        """
        with pretrained.published("VGGish", path, "vggish-10086976.pth") as state:
            network = cls()
            network.load_state_dict({name: value for name, value in state.items() if not name.startswith("pproc.")})
        return network

    def forward(self, examples: Tensor) -> Tensor:
        """Embed log-mel examples (N, 96, 64)."""
        image: Tensor = self.features(examples[:, None])
        embedded: Tensor = self.embeddings(image.permute(0, 2, 3, 1).flatten(1))  # TensorFlow's order: time, band, channel
        return embedded


class PostProcess(NamedTuple):
    """The principal components (128, 128) and the means (128,) that are published as `vggish_pca_params-970ea276.pth`."""

    vectors: Tensor
    means: Tensor

    @classmethod
    def from_file(cls, path: Path) -> "PostProcess":
        """Read the file.

        Raises:
            ModelError: no such file, or other tensors.
        """
        with pretrained.published("VGGish's post-processing", path, "vggish_pca_params-970ea276.pth") as state:
            return cls(state["pca_eigen_vectors"].view(WIDTH, WIDTH).float(), state["pca_means"].view(WIDTH).float())

    def __call__(self, embeddings: Tensor) -> Tensor:
        """Turn (N, 128) to the components, and round them to whole numbers from 0 to 255 that stand for -2 to 2."""
        turned = ((embeddings - self.means) @ self.vectors.T).clamp(-_LIMIT, _LIMIT)
        return torch.round((turned + _LIMIT) * (255 / (2 * _LIMIT)))


def log_mel(audio: Tensor) -> Tensor:
    """Analyse (T,) at 16 kHz: examples (N, 96, 64) of log(mel magnitude + 0.01), one each 0.96 s; N is 0 below 0.975 s.

    Frames of 25 ms every 10 ms, not centred, periodic Hann window; 64 bands from 125 to 7,500 Hz, triangles in mel.
    """
    if len(audio) < WINDOW_SAMPLES:
        return audio.new_zeros(0, EXAMPLE_FRAMES, MELS)
    frames = audio.unfold(0, WINDOW_SAMPLES, HOP_SAMPLES) * torch.hann_window(WINDOW_SAMPLES)
    logs = torch.log(torch.fft.rfft(frames, FFT).abs() @ filters() + OFFSET)
    count = len(logs) // EXAMPLE_FRAMES
    return logs[: count * EXAMPLE_FRAMES].view(count, EXAMPLE_FRAMES, MELS)


@cache
def filters() -> Tensor:
    """Build the bands (257, 64): triangles that are straight in mel = 1127 ln(1 + f / 700), without DC."""
    from transformers.audio_utils import mel_filter_bank

    bands = mel_filter_bank(FFT // 2 + 1, MELS, LOW_HZ, HIGH_HZ, RATE_HZ, mel_scale="kaldi", triangularize_in_mel_space=True)
    return torch.from_numpy(bands.astype(np.float32))


def embed(network: Vggish, audio: Tensor) -> Tensor:
    """Embed (T,) at 16 kHz: (N, 128), one for each 0.96 s. A shorter sound is filled up with silence to one example."""
    shortest = WINDOW_SAMPLES + (EXAMPLE_FRAMES - 1) * HOP_SAMPLES
    embedded: Tensor = network(log_mel(F.pad(audio, (0, max(shortest - len(audio), 0)))))
    return embedded
