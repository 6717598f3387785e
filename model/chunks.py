"""Chunks of frames with 50 % overlap: cut, and merged again (paper: Efficient Diffusion).

A sequence of T frames is seen as blocks of K/2; chunk i holds blocks i - 1 and i, so every frame lies in exactly two
chunks and, through them, meets 3K/2 frames. What a chunk holds beyond the sequence is padding. A sequence of at most K
frames is a single chunk, in which attention is full attention.
"""

import torch
import torch.nn.functional as functional
from torch import Tensor


def count(frames: int, chunk_frames: int) -> int:
    """Count the chunks of a sequence: its blocks of K/2 and one more, or 1 where it fits in one chunk."""
    half = chunk_frames // 2
    return 1 if frames <= chunk_frames else -(-frames // half) + 1


def segment(sequence: Tensor, chunk_frames: int) -> Tensor:
    """Cut (B, T, C) into chunks (B, N, K, C), padded with zeros; (B, 1, T, C) where T <= K.

    Raises:
        ValueError: K is odd or below 2.
    """
    if chunk_frames < 2 or chunk_frames % 2:
        raise ValueError(f"chunks of {chunk_frames} frames can't overlap by half: choose an even number")
    batch, frames, width = sequence.shape
    chunks = count(frames, chunk_frames)
    if chunks == 1:
        return sequence[:, None]
    half = chunk_frames // 2
    padded = functional.pad(sequence, (0, 0, half, chunks * half - frames))
    blocks = padded.view(batch, chunks + 1, half, width)
    return torch.cat([blocks[:, :-1], blocks[:, 1:]], dim=2)


def fuse(chunks: Tensor, frames: int) -> Tensor:
    """Merge chunks (B, N, K, C) of a sequence into its (B, T, C): the mean of both views of each frame."""
    if chunks.shape[1] == 1:
        return chunks[:, 0, :frames]
    half = chunks.shape[2] // 2
    blocks = (chunks[:, :-1, half:] + chunks[:, 1:, :half]) / 2
    return blocks.flatten(1, 2)[:, :frames]


def inside(frames: int, chunk_frames: int, valid_frames: int | None = None, device: torch.device | None = None) -> Tensor:
    """Tell real frames from padding: (N, K) bool. Frames from `valid_frames` on count as padding, too."""
    sequence = torch.arange(frames, device=device) < (frames if valid_frames is None else valid_frames)
    return segment(sequence[None, :, None].to(torch.uint8), chunk_frames)[0, :, :, 0].bool()
