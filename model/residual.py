"""Residual blocks over time and the resampling between them, shared by encoder and decoder of the VAE."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.1
"""Of every leaky ReLU."""


class WaveBlock(nn.Module):
    """Add pairs of convolutions, one pair for each dilation (HiFi-GAN, arXiv 2010.05646, Fig. 1)."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int], bias: bool = True) -> None:
        super().__init__()
        wide = [nn.Conv1d(channels, channels, kernel, dilation=each, padding="same", bias=bias) for each in dilations]
        plain = [nn.Conv1d(channels, channels, kernel, padding="same", bias=bias) for _ in dilations]
        self.wide, self.plain = nn.ModuleList(wide), nn.ModuleList(plain)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F) to (B, C, F)."""
        for wide, plain in zip(self.wide, self.plain, strict=True):
            x = x + plain(functional.leaky_relu(wide(functional.leaky_relu(x, SLOPE)), SLOPE))
        return x


class MultiReceptive(nn.Module):
    """Average residual blocks of several kernel sizes (HiFi-GAN's multi-receptive field fusion)."""

    def __init__(self, channels: int, kernels: Sequence[int], dilations: Sequence[int], bias: bool = True) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(WaveBlock(channels, kernel, dilations, bias) for kernel in kernels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F) to (B, C, F)."""
        total = torch.zeros_like(x)
        for block in self.blocks:
            total = total + block(x)
        return total / len(self.blocks)


class Down(nn.Module):
    """Take every `stride`-th frame of a convolution; lengths must be multiples of the stride."""

    def __init__(self, channels: int, out_channels: int, stride: int, bias: bool = True) -> None:
        super().__init__()
        self.pad = (stride // 2, stride - stride // 2) if stride > 1 else (0, 0)
        self.conv = nn.Conv1d(channels, out_channels, 2 * stride if stride > 1 else 1, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F) to (B, out_channels, F / stride)."""
        result: Tensor = self.conv(functional.pad(x, self.pad))
        return result


class Up(nn.Module):
    """Turn each frame into `stride` frames by a transposed convolution."""

    def __init__(self, channels: int, out_channels: int, stride: int, bias: bool = True) -> None:
        super().__init__()
        kernel, pad, extra = (2 * stride, (stride + 1) // 2, stride % 2) if stride > 1 else (1, 0, 0)
        self.conv = nn.ConvTranspose1d(channels, out_channels, kernel, stride, pad, extra, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F) to (B, out_channels, F * stride)."""
        result: Tensor = self.conv(functional.leaky_relu(x, SLOPE))
        return result
