"""Put an edit together from what the denoiser made: the target's latent, or those of the removed and the added part."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from instructme.model.masks import beyond, consistent, preserve, wiener

Preserve = Literal["off", "ratio", "wiener", "consistent"]
"""Whether what an edit keeps is taken from the source, and by which mask. The last two need two parts, else they are `ratio`;
where the kept part is the source less the removed one, `consistent` has nothing to correct."""
Decode = Callable[[Tensor], Tensor]
"""Latent (B, C, F) -> sound (B, T)."""


class EditedSound(NamedTuple):
    """An edit at the model's rate: its sound, and what it leaves of the source, without anything new; both (B, T)."""

    sound: Tensor
    kept: Tensor


def from_parts(task: str | None, source: Tensor, latents: Tensor, decode: Decode, how: Preserve = "off") -> EditedSound:
    """Compose source - removed + added, each task from the parts it needs; a task nobody knows is done like replace.

    Args:
        task: what the instruction asks for.
        source: (B, T) what the model heard.
        latents: (B, 2 C, F) of the removed and the added part; for extract, of all but the target and of the target.
        decode: see `Decode`.
        how: see `Preserve`.
    """
    removed, added = latents.chunk(2, dim=1)
    if task == "add":
        return EditedSound(source + decode(added), source)
    if task == "remix":
        return EditedSound(decode(added), torch.zeros_like(source))
    if task == "extract":
        kept = _from_source(how, source, decode(added), lambda: decode(removed))
        return EditedSound(kept, kept)
    gone = decode(removed)
    kept = _from_source(how, source, source - gone, lambda: gone)
    return EditedSound(kept if task == "remove" else kept + decode(added), kept)


def _from_source(how: Preserve, source: Tensor, kept: Tensor, removed: Callable[[], Tensor]) -> Tensor:
    if how in ("wiener", "consistent"):
        return (wiener if how == "wiener" else consistent)(source, kept, removed())
    return preserve(source, kept) if how == "ratio" else kept


def from_target(task: str | None, source: Tensor, target: Tensor, how: Preserve = "off") -> EditedSound:
    """Take the decoded target (B, T); of a remix nothing counts as kept, of add all.

    With `how`, what it keeps comes from the source (B, T), and what is new is what it has beyond the source.
    """
    if task == "remix":
        return EditedSound(target, torch.zeros_like(source))
    if how == "off":
        return EditedSound(target, source if task == "add" else target)
    kept = source if task == "add" else preserve(source, target)
    return EditedSound(kept if task in ("extract", "remove") else kept + beyond(source, target), kept)
