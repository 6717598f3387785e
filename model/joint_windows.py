"""Join estimates of windows that overlap, after each step of a sampler (MultiDiffusion, Bar-Tal et al., 2023)."""

from collections.abc import Sequence

import torch
from torch import Tensor


class JointWindows:
    """Windows of a stretch of frames.

    Args:
        spans: first frame and number of frames of each window. Together they cover the stretch, which starts at frame 0.
    """

    def __init__(self, spans: Sequence[tuple[int, int]]) -> None:
        self._slices = [slice(first, first + count) for first, count in spans]
        self.frames = max(each.stop for each in self._slices)
        weights = [torch.minimum(rising := torch.arange(1.0, count + 1), rising.flip(0)) for _, count in spans]
        total = self._sum(weights)
        self._shares = [weight / total[place] for weight, place in zip(weights, self._slices, strict=True)]

    def cut(self, stretch: Tensor) -> list[Tensor]:
        """Cut a stretch (B, C, F) into windows (B, C, F')."""
        return [stretch[..., place] for place in self._slices]

    def join(self, windows: Sequence[Tensor]) -> Tensor:
        """Average windows (B, C, F'): (B, C, F). The weight of a frame falls with its distance from the middle of its window."""
        if len(windows) == 1:
            return windows[0]
        return self._sum([share.to(each) * each for share, each in zip(self._shares, windows, strict=True)])

    def _sum(self, windows: Sequence[Tensor]) -> Tensor:
        total = windows[0].new_zeros((*windows[0].shape[:-1], self.frames))
        for place, window in zip(self._slices, windows, strict=True):
            total[..., place] += window
        return total


def continued(stretch: Tensor, done: Tensor | None) -> Tensor:
    """Let a stretch (B, C, F) begin with frames (B, C, n) that are already made, and leave them in the second half of n."""
    if done is None:
        return stretch
    count = min(done.shape[-1], stretch.shape[-1])
    half = count // 2
    share = (torch.arange(1.0, count + 1, device=stretch.device) - half).clamp(min=0) / (count - half + 1)
    start, rest = stretch[..., :count], stretch[..., count:]
    kept = done[..., :count].to(stretch)
    return torch.cat([kept + share.to(stretch) * (start - kept), rest], dim=-1)
