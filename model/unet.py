"""The denoiser: a U-Net over time whose transformers work on chunks (paper: Figure 3 and Table 9)."""

from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from instructme.model.attention import ChunkTransformer
from instructme.model.blocks import ResidualBlock, StepEmbedding, Upsample, conv, norm, silent
from instructme.model.conditions import Conditions, denied
from instructme.model.conditions.chords import ChordEncoder
from instructme.model.conditions.source import SourceEncoder
from instructme.model.config import ModelError, Preset


def latents(preset: Preset) -> int:
    """Count the channels that are denoised: those of the target's latent, or of the removed and the added part's."""
    return preset.vae.latent_channels * (2 if preset.diffusion.makes_changes else 1)


class Block(nn.Module):
    """A residual block and the chunk transformer after it."""

    def __init__(self, residual: ResidualBlock, transformer: ChunkTransformer) -> None:
        super().__init__()
        self.residual = residual
        self.transformer = transformer

    def forward(self, features: Tensor, step: Tensor, **conditions: Any) -> Tensor:
        """Map (B, C, T) to (B, C', T)."""
        transformed: Tensor = self.transformer(self.residual(features, step), **conditions)
        return transformed


class Unet(nn.Module):
    """Predict noise or velocity of a noisy latent.

    Every level ends with a resampling by 2. Text enters the cross-attention of all blocks, chords that of the bottleneck
    (`chords_on_way_up`: and after it), and the source latent the self-attention of the way down, by multi-scale aggregation,
    or the input (`source: concatenation`).
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        config, text = preset.unet, preset.text.width
        self._check(preset)
        self.config = config
        self.down_factor = 2 ** len(config.channels)
        source_channels = preset.vae.latent_channels
        first, last = config.channels[0], config.channels[-1]
        step_width = 4 * first
        aggregates = config.source == "aggregation"
        size = config.chunk_frames if config.attention == "chunk" else None

        def block(channels: int, out: int, **conditions: Any) -> Block:
            transformer = ChunkTransformer(out, config.head_channels, size, **{"text_width": text, **conditions})
            return Block(ResidualBlock(channels, out, step_width), transformer)

        self.step = StepEmbedding(first)
        self.null_text = nn.Parameter(torch.zeros(text))
        self.null_source = nn.Parameter(torch.zeros(source_channels, 1))
        self.source = SourceEncoder(source_channels, config.channels, config.source_blocks) if aggregates else None
        self.chords = ChordEncoder(text) if config.chords else None
        self.text = nn.Sequential(nn.LayerNorm(text), nn.Linear(text, step_width)) if config.text_in_steps else None
        self.enter = conv(latents(preset) + (0 if aggregates else source_channels), first)

        self.down, self.downsamples, width, skips = nn.ModuleList(), nn.ModuleList(), first, [first]
        for out in config.channels:
            level = [block(width if number == 0 else out, out, source=aggregates) for number in range(config.blocks)]
            self.down.append(nn.ModuleList(level))
            self.downsamples.append(conv(out, out, stride=2))
            skips += [out] * (config.blocks + 1)
            width = out
        skips.pop()  # the last down-sampling is the bottleneck itself
        chords = text if config.chords else None
        self.middle = block(last, last, text_width=text if config.text_in_bottleneck else None, chord_width=chords)
        self.middle_end = ResidualBlock(last, last, step_width)
        self.up, self.upsamples = nn.ModuleList(), nn.ModuleList()
        for out in reversed(config.channels):
            self.upsamples.append(Upsample(width))
            level = []
            for _ in range(config.blocks + 1):
                level.append(block(width + skips.pop(), out, chord_width=chords if config.chords_on_way_up else None))
                width = out
            self.up.append(nn.ModuleList(level))
        self.leave_norm = norm(first)
        self.predicted_channels = latents(preset) * (2 if preset.diffusion.learned_variance else 1)
        self.leave = silent(conv(first, self.predicted_channels + (2 * latents(preset) if config.gates else 0)))

    @staticmethod
    def _check(preset: Preset) -> None:
        config = preset.unet
        if bad := [width for width in config.channels if width % config.head_channels]:
            raise ModelError(f"unet.channels {bad[0]} isn't a multiple of unet.head_channels {config.head_channels}: change one")
        if config.attention == "chunk" and (config.chunk_frames < 2 or config.chunk_frames % 2):
            raise ModelError(f"unet.chunk_frames {config.chunk_frames} can't overlap by half: choose an even number")

    def forward(self, noisy: Tensor, step: Tensor, conditions: Conditions) -> Tensor:
        """Map a noisy latent (B, C, F) at diffusion steps (B,) to the prediction (B, C or 2C, F) for any F >= 1.

        Frames that the down-sampling needs to come out even are padded inside, hidden from attention, and cropped.
        """
        frames = noisy.shape[-1]
        extra = -frames % self.down_factor
        source = denied(conditions.source, self.null_source, conditions.keep_source)
        text = denied(conditions.text, self.null_text, conditions.keep_text)
        noisy, source = _padded(noisy, extra), _padded(source, extra)
        features = noisy
        embedded = self._embedded(step, text, conditions.text_mask)
        maps: list[Tensor | None] = [None] * len(self.down)
        if self.source is not None:
            maps = list(self.source(source))
        else:
            features = torch.cat([features, source], dim=1)
        valid, words = frames, {"text": text, "text_mask": conditions.text_mask}
        features = self.enter(features)
        skips = [features]
        for level, downsample, source_map in zip(self.down, self.downsamples, maps, strict=True):
            for block in level:  # type: ignore[attr-defined]
                features = self._run(block, features, embedded, source=source_map, valid_frames=valid, **words)
                skips.append(features)
            features = downsample(features)
            skips.append(features)
            valid = -(-valid // 2)
        skips.pop()
        chords = self._chords(conditions, extra)
        features = self._run(self.middle, features, embedded, chords=chords[-1], valid_frames=valid, **words)
        features = self.middle_end(features, embedded)
        for depth, (level, upsample) in enumerate(zip(self.up, self.upsamples, strict=True), start=1):
            features = upsample(features)
            valid = -(-frames // 2 ** (len(self.up) - depth))
            for block in level:  # type: ignore[attr-defined]
                joined = torch.cat([features, skips.pop()], dim=1)
                features = self._run(block, joined, embedded, chords=chords[-1 - depth], valid_frames=valid, **words)
        made: Tensor = self.leave(functional.silu(self.leave_norm(features)))
        return self._gated(made, source, noisy)[..., :frames]

    def _gated(self, made: Tensor, source: Tensor, noisy: Tensor) -> Tensor:
        """Add source and noisy latent, each times gates, which are the last channels, to the prediction."""
        predicted, gates = made[:, : self.predicted_channels], made[:, self.predicted_channels :]
        if not self.config.gates:
            return predicted
        of_source, of_noisy = gates.chunk(2, dim=1)
        gated = of_source * source.repeat(1, noisy.shape[1] // source.shape[1], 1) + of_noisy * noisy
        return predicted + functional.pad(gated, (0, 0, 0, self.predicted_channels - gated.shape[1]))

    def _run(self, block: nn.Module, features: Tensor, step: Tensor, **conditions: Any) -> Tensor:
        if self.config.activation_checkpointing and self.training:
            kept: Tensor = checkpoint(block, features, step, use_reentrant=False, **conditions)
            return kept
        run: Tensor = block(features, step, **conditions)
        return run

    def _embedded(self, step: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Embed diffusion steps (B,), and the mean of the tokens (B, L, D) where the preset asks for it."""
        embedded: Tensor = self.step(step)
        if self.text is None:
            return embedded
        words = mask[..., None].to(text.dtype)
        return embedded + self.text((text * words).sum(dim=1) / words.sum(dim=1))  # type: ignore[no-any-return]

    def _chords(self, conditions: Conditions, extra: int) -> list[Tensor | None]:
        """Embed the chords on the clock of each level that hears them, and of the bottleneck."""
        heard: list[Tensor | None] = [None] * (len(self.down) + 1)
        if self.chords is None:
            return heard
        if conditions.chords is None:
            raise ModelError("this model needs chords, but got none: give the chord matrix of the source")
        chords = _padded(denied(conditions.chords, self.chords.null, conditions.keep_chords), extra)
        for level in range(0 if self.config.chords_on_way_up else len(self.down), len(self.down) + 1):
            heard[level] = self.chords(chords, 2**level)
        return heard


def _padded(frames: Tensor, extra: int) -> Tensor:
    return functional.pad(frames, (0, extra), mode="replicate") if extra else frames


def parameter_counts(preset: Preset) -> dict[str, int]:
    """Count the parameters of the denoiser without making them."""
    with torch.device("meta"):
        unet = Unet(preset)
    total = sum(parameter.numel() for parameter in unet.parameters())
    source = sum(parameter.numel() for parameter in unet.source.parameters()) if unet.source is not None else 0
    return {"unet": total, "unet.source": source}
