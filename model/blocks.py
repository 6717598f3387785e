"""Convolution blocks over frames: the layers that the denoiser and the encoder of the source share."""

import math

import torch
from torch import Tensor, nn


def norm(channels: int) -> nn.GroupNorm:
    """Make the group norm of a feature map: 32 groups, or one where 32 don't divide the channels."""
    return nn.GroupNorm(32 if channels % 32 == 0 else 1, channels, eps=1e-6)


def silent(layer: nn.Conv1d) -> nn.Conv1d:
    """Set a layer to zero, so that the block it ends starts as the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def conv(channels: int, out_channels: int, stride: int = 1) -> nn.Conv1d:
    """Make a convolution of kernel 3 that keeps the number of frames, or halves it with `stride` 2."""
    return nn.Conv1d(channels, out_channels, 3, stride=stride, padding=1)


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut; the time step scales and shifts between them, where there is one."""

    def __init__(self, channels: int, out_channels: int, step_width: int | None = None) -> None:
        super().__init__()
        self.enter_norm = norm(channels)
        self.enter = conv(channels, out_channels)
        self.step = nn.Linear(step_width, 2 * out_channels) if step_width else None
        self.leave_norm = norm(out_channels)
        self.leave = silent(conv(out_channels, out_channels))
        self.shortcut = nn.Conv1d(channels, out_channels, 1) if channels != out_channels else nn.Identity()

    def forward(self, features: Tensor, step: Tensor | None = None) -> Tensor:
        """Map (B, C, T) to (B, C', T); `step` (B, S) is the embedded time step."""
        states = self.leave_norm(self.enter(nn.functional.silu(self.enter_norm(features))))
        if self.step is not None and step is not None:
            scale, shift = self.step(nn.functional.silu(step))[:, :, None].chunk(2, dim=1)
            states = states * (1 + scale) + shift
        summed: Tensor = self.shortcut(features) + self.leave(nn.functional.silu(states))
        return summed


class Upsample(nn.Module):
    """Repeat every frame and convolve."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, T) to (B, C, 2T)."""
        doubled: Tensor = self.conv(features.repeat_interleave(2, dim=2))
        return doubled


class StepEmbedding(nn.Module):
    """Embed diffusion steps: sines and cosines, then two layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(nn.Linear(channels, 4 * channels), nn.SiLU(), nn.Linear(4 * channels, 4 * channels))

    def forward(self, steps: Tensor) -> Tensor:
        """Map (B,) to (B, 4C)."""
        half = self.channels // 2
        rates = torch.exp(-math.log(10000) * torch.arange(half, device=steps.device) / half)
        angles = steps[:, None].float() * rates
        waves = torch.cat([angles.cos(), angles.sin()], dim=1)
        embedded: Tensor = self.layers(waves.to(next(self.parameters()).dtype))
        return embedded
