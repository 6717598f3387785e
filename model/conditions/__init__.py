"""What steers the denoiser: one file for each condition."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Conditions:
    """What the denoiser is told of each sample of a batch.

    text: (B, L, D) token embeddings of the instruction, with text_mask (B, L) bool, False where padded.
    source: (B, C, F) latent of the source audio.
    chords: (B, 100, F) chord probabilities of the source audio on the clock of the latent; None for models without.
    keep_text, keep_source, keep_chords: (B,) bool, False where a sample is denied the condition; None keeps all.
    """

    text: Tensor
    text_mask: Tensor
    source: Tensor
    chords: Tensor | None = None
    keep_text: Tensor | None = None
    keep_source: Tensor | None = None
    keep_chords: Tensor | None = None

    def keeping(self, text: bool, source: bool, chords: bool) -> "Conditions":
        """Keep or deny each condition for the whole batch."""
        batch = [len(self.source)]
        device = self.source.device
        flags = (torch.full(batch, kept, device=device) for kept in (text, source, chords))
        return dataclasses.replace(self, **dict(zip(("keep_text", "keep_source", "keep_chords"), flags, strict=True)))


def stack(variants: list[Conditions]) -> Conditions:
    """Stack variants of a batch into one batch; all must have the same fields."""
    values = {field.name: [getattr(variant, field.name) for variant in variants] for field in dataclasses.fields(Conditions)}
    stacked: dict[str, Any] = {name: None if each[0] is None else torch.cat(each) for name, each in values.items()}
    return Conditions(**stacked)


def denied(values: Tensor, null: Tensor, keep: Tensor | None) -> Tensor:
    """Put `null` in place of the values of samples that are denied them; `null` broadcasts against (B, ...)."""
    if keep is None:
        return values
    return torch.where(keep.view(-1, *[1] * (values.dim() - 1)), values, null.to(values.dtype))
