"""The chunk transformer: self-attention, cross-attention and feed-forward inside overlapping chunks."""

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from instructme.model import blocks, chunks


class Attention(nn.Module):
    """Multi-head attention of queries (B, T, C) over a context (B, S, D), or over themselves."""

    def __init__(self, width: int, head_channels: int, context_width: int | None = None) -> None:
        super().__init__()
        self.heads = width // head_channels
        self.to_query = nn.Linear(width, width, bias=False)
        self.to_key = nn.Linear(context_width or width, width, bias=False)
        self.to_value = nn.Linear(context_width or width, width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Attend; `mask` is bool (True may be seen) or an additive bias, broadcast to (B, heads, T, S)."""
        context = queries if context is None else context
        query, key, value = (
            linear(states).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear, states in ((self.to_query, queries), (self.to_key, context), (self.to_value, context))
        )
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return mixed


class FeedForward(nn.Module):
    """Two linear layers around a gated GELU (GEGLU), four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.widen = nn.Linear(width, 8 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, states: Tensor) -> Tensor:
        """Map (..., C) to (..., C)."""
        values, gates = self.widen(states).chunk(2, dim=-1)
        mapped: Tensor = self.narrow(values * functional.gelu(gates))
        return mapped


class ChunkTransformer(nn.Module):
    """One transformer layer over chunks of K frames (paper: Figure 3, right).

    The source's feature map, where there is one, joins the input of the self-attention by concatenation and a 1x1
    convolution; then text, where there is one, and chords, where there are any, by cross-attention. Chords lie on the
    clock of the frames: a chunk attends to the chords of its own span, nearer ones favoured by a linear bias.
    """

    def __init__(
        self,
        channels: int,
        head_channels: int,
        chunk_frames: int | None,
        *,
        source: bool = False,
        text_width: int | None = None,
        chord_width: int | None = None,
    ) -> None:
        super().__init__()
        self.chunk_frames = chunk_frames
        self.norm = blocks.norm(channels)
        self.merge = nn.Conv1d(2 * channels, channels, 1) if source else None
        self.enter = nn.Conv1d(channels, channels, 1)
        self.self_norm = nn.LayerNorm(channels)
        self.self_attention = Attention(channels, head_channels)
        self.text_norm = nn.LayerNorm(channels) if text_width else None
        self.text_attention = Attention(channels, head_channels, text_width) if text_width else None
        self.chord_norm = nn.LayerNorm(channels) if chord_width else None
        self.chord_attention = Attention(channels, head_channels, chord_width) if chord_width else None
        self.forward_norm = nn.LayerNorm(channels)
        self.feed_forward = FeedForward(channels)
        self.leave = blocks.silent(nn.Conv1d(channels, channels, 1))

    def forward(
        self,
        features: Tensor,
        *,
        source: Tensor | None = None,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        chords: Tensor | None = None,
        valid_frames: int | None = None,
    ) -> Tensor:
        """Transform (B, C, T).

        `source` (B, C, T); `text` (B, L, D) and its mask (B, L); `chords` (B, T, D), one for each frame. Frames from
        `valid_frames` on are padding, which nothing attends to.
        """
        frames = features.shape[-1]
        size = self.chunk_frames or frames + frames % 2
        states = self.norm(features)
        if self.merge is not None:
            states = self.merge(torch.cat([states, source if source is not None else torch.zeros_like(states)], dim=1))
        cut = chunks.segment(self.enter(states).transpose(1, 2), size)
        seen = chunks.inside(frames, size, valid_frames, features.device)
        padded = cut.shape[1] > 1 or (valid_frames or frames) < frames
        cut = self._attend(cut, seen if padded else None)
        cut = self._read(cut, text, text_mask)
        cut = self._hear(cut, chords, seen)
        cut = cut + self.feed_forward(self.forward_norm(cut))
        fused = chunks.fuse(cut, frames).transpose(1, 2)
        transformed: Tensor = features + self.leave(fused)
        return transformed

    def _attend(self, cut: Tensor, seen: Tensor | None) -> Tensor:
        batch = len(cut)
        flat = cut.flatten(0, 1)
        mask = None if seen is None else _mask(seen).repeat(batch, 1, 1, 1)
        attended: Tensor = flat + self.self_attention(self.self_norm(flat), mask=mask)
        return attended.view_as(cut)

    def _read(self, cut: Tensor, text: Tensor | None, text_mask: Tensor | None) -> Tensor:
        if self.text_attention is None or self.text_norm is None:
            return cut
        # Every chunk reads the same text, so all chunks of a sample are one list of queries.
        flat = cut.flatten(1, 2)
        mask = None if text_mask is None else text_mask[:, None, None, :]
        read: Tensor = flat + self.text_attention(self.text_norm(flat), text, mask)
        return read.view_as(cut)

    def _hear(self, cut: Tensor, chords: Tensor | None, seen: Tensor) -> Tensor:
        if self.chord_attention is None or self.chord_norm is None or chords is None:
            return cut
        batch, _, size, _ = cut.shape
        spans = chunks.segment(chords, self.chunk_frames or size + size % 2).flatten(0, 1)
        near = _nearness(size, self.chord_attention.heads, cut.device)
        bias = near.masked_fill(~_mask(seen), -torch.inf).to(cut.dtype)
        flat = cut.flatten(0, 1)
        heard: Tensor = flat + self.chord_attention(self.chord_norm(flat), spans, bias.repeat(batch, 1, 1, 1))
        return heard.view_as(cut)


def _mask(seen: Tensor) -> Tensor:
    """Shape (N, K) as keys of attention: (N, 1, 1, K). A chunk of padding alone sees itself: its output is cropped."""
    seen = seen | ~seen.any(dim=1, keepdim=True)
    return seen[:, None, None, :]


def _nearness(frames: int, heads: int, device: torch.device) -> Tensor:
    """Bias attention by -slope x distance in frames: (1, heads, K, K); slopes 1 to 1/128 over the heads (ALiBi)."""
    clock = torch.arange(frames, device=device, dtype=torch.float32)
    slopes = torch.logspace(0, -7, heads, base=2, device=device)
    return -slopes[None, :, None, None] * (clock[:, None] - clock[None, :]).abs()
