"""The source latent as a condition: multi-scale aggregation (paper: Improving Consistency and Harmony)."""

from collections.abc import Sequence

from torch import Tensor, nn

from instructme.model.blocks import ResidualBlock, conv


class SourceEncoder(nn.Module):
    """A convolution encoder whose feature maps, one for each level of the denoiser, join its chunk transformers."""

    def __init__(self, latent_channels: int, channels: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.enter = conv(latent_channels, channels[0])
        self.levels = nn.ModuleList()
        self.downsamples = nn.ModuleList()
        width = channels[0]
        for number, out in enumerate(channels):
            self.levels.append(nn.Sequential(*(ResidualBlock(width if block == 0 else out, out) for block in range(blocks))))
            width = out
            if number + 1 < len(channels):
                self.downsamples.append(conv(out, out, stride=2))

    def forward(self, source: Tensor) -> list[Tensor]:
        """Map the latent (B, C, F) to one feature map for each level: (B, C0, F), (B, C1, F/2), (B, C2, F/4)."""
        features, maps = self.enter(source), []
        for number, level in enumerate(self.levels):
            features = level(features)
            maps.append(features)
            if number < len(self.downsamples):
                features = self.downsamples[number](features)
        return maps
