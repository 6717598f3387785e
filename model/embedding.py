"""A joint embedding of text and music, by which a prompt guides sampling (paper: eq. 5, in place of MuLan)."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from instructme.model.checkpoint import read_config, restore
from instructme.model.conditions.text import TextEncoder
from instructme.model.config import EmbeddingConfig, TextConfig
from instructme.model.musicnn import POOLED, MusiCnn

_LARGEST_SCALE = 100.0


class Joint(Protocol):
    """Two encoders into one space; what a prompt needs."""

    def audio(self, audio: Tensor, rate_hz: int) -> Tensor:
        """Embed audio (B, 1, T) of any length and rate: unit vectors (B, W), with gradients."""

    def text(self, texts: Sequence[str]) -> Tensor:
        """Embed texts: unit vectors (B, W)."""


def distance(joint: Joint, audio: Tensor, rate_hz: int, texts: Sequence[str]) -> Tensor:
    """Measure how far audio (B, 1, T) is from one text, or each clip from its own: (B,), 0 to 4 (eq. 5)."""
    heard = joint.audio(audio, rate_hz)
    return (heard - joint.text(texts).to(heard.device)).square().sum(dim=1)


def load(folder: Path) -> Joint:
    """Load a run of `train embedding`, or a downloaded folder of CLAP (transformers); config.json says which.

    Raises:
        ModelError: neither of them, or weights missing, damaged or of another kind.
    """
    from instructme.model import clap

    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    if isinstance(found, dict) and found.get("model_type") == "clap":
        return clap.Clap(folder)
    return Embedding.load(folder)


class Embedding(nn.Module):
    """Two frozen encoders, MusiCNN and MiniLM (or T5), and a trained projection of each into one space."""

    def __init__(self, config: EmbeddingConfig, text: TextConfig, trunk: MusiCnn | None = None) -> None:
        """Build the towers; without a `trunk` its weights are still to be loaded.

        Raises:
            ModelError: the text encoder can't be loaded.
        """
        super().__init__()
        self.trunk = trunk or MusiCnn()
        self.audio_projection = _projection(POOLED, config)
        self.text_projection = _projection(text.width, config)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(config.temperature)))
        self._encoder = TextEncoder(text.encoder, text.width)

    @classmethod
    def load(cls, run: Path) -> "Embedding":
        """Load a run folder that `train embedding` wrote, in eval mode and without gradients of its weights.

        Raises:
            ModelError: no such run, or it is damaged.
        """
        preset, _ = read_config(run, "embedding")
        embedding = cls(preset.embedding, preset.text)
        restore(embedding, run)
        return embedding.eval().requires_grad_(False)

    def audio(self, audio: Tensor, rate_hz: int) -> Tensor:
        """Embed audio (B, 1, T) of any length and rate: unit vectors (B, W), with gradients."""
        return self.project_audio(self.hear(audio, rate_hz))

    def text(self, texts: Sequence[str]) -> Tensor:
        """Embed texts: unit vectors (B, W).

        Raises:
            ModelError: no text, or an empty one.
        """
        return self.project_text(self.read(texts))

    def hear(self, audio: Tensor, rate_hz: int) -> Tensor:
        """Run the frozen half of the audio tower: (B, 1506)."""
        return self.trunk.listen(audio, rate_hz).pooled

    def read(self, texts: Sequence[str]) -> Tensor:
        """Run the frozen half of the text tower: (B, D)."""
        return self._encoder.mean(texts).to(self.log_scale.device)

    def project_audio(self, heard: Tensor) -> Tensor:
        """Run the trained half of the audio tower."""
        return F.normalize(self.audio_projection(heard).float(), dim=1)

    def project_text(self, read: Tensor) -> Tensor:
        """Run the trained half of the text tower."""
        return F.normalize(self.text_projection(read).float(), dim=1)

    def forward(self, heard: Tensor, read: Tensor, truth: Tensor) -> Tensor:
        """Compute the contrastive loss of what the frozen halves gave for a batch; see `contrastive_loss`."""
        scale = self.log_scale.exp().clamp(max=_LARGEST_SCALE)
        return contrastive_loss(scale * self.project_audio(heard) @ self.project_text(read).T, truth)


def contrastive_loss(similarity: Tensor, truth: Tensor) -> Tensor:
    """Compute InfoNCE in both directions (A. van den Oord et al., 2018), where several texts may be true of a clip.

    Args:
        similarity: of each clip and each text (A, B), over the temperature.
        truth: (A, B), above 0 where the text is true of the clip, 0 where it is false, below 0 where that isn't known:
            such pairs count in neither sense. Equal texts are true of each other's clips, so they aren't driven apart.
    """
    known = similarity.masked_fill(truth < 0, -torch.inf)
    losses = []
    for logits, true in ((known, truth > 0), (known.T, truth.T > 0)):
        log_shares = logits.log_softmax(dim=1).masked_fill(~true, 0.0)
        counts = true.sum(dim=1)
        losses.append((-log_shares.sum(dim=1) / counts.clamp(min=1))[counts > 0].mean())
    return (losses[0] + losses[1]) / 2


def _projection(width: int, config: EmbeddingConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, config.hidden), nn.GELU(), nn.Dropout(0.1), nn.Linear(config.hidden, config.width)
    )
