"""Put an edit together from what the denoiser made: the target's latent, or those of what it removes and adds."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from instructme.dataset_tools.tasks import task_modules
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


def from_changes(task: str | None, source: Tensor, latents: Tensor, decode: Decode, how: Preserve = "off") -> EditedSound:
    """Compose source - removed + added, each task from the changes it needs; a task nobody knows is done like replace.

    Args:
        task: what the instruction asks for.
        source: (B, T) what the model heard.
        latents: (B, 2 C, F) of what is removed and added; for extract, of all but the target and of the target.
        decode: see `Decode`.
        how: see `Preserve`.
    """
    removed, added = latents.chunk(2, dim=1)
    keeps, brings = effect(task)
    if keeps == "all":
        kept = source
    elif keeps == "none":
        kept = torch.zeros_like(source)
    elif keeps == "named":
        kept = _from_source(how, source, decode(added), lambda: decode(removed))
    else:
        gone = decode(removed)
        kept = _from_source(how, source, source - gone, lambda: gone)
    return EditedSound(kept + decode(added) if brings else kept, kept)


def as_changes(task: str | None, latents: Tensor, source: Tensor) -> Tensor:
    """Turn latents (B, 2 C, F) of a named part and of what is new into those of what is removed and added.

    source: its latent (B, C, F). Where the target is the named part, the rest of the source is removed, as latents are linear.
    """
    named, _ = latents.chunk(2, dim=1)
    return torch.cat([source - named, named], dim=1) if effect(task)[0] == "named" else latents


def effect(task: str | None) -> tuple[str, bool]:
    """Read which part of the source a task keeps, and whether it brings anything new; one that nobody knows is like replace."""
    module = task_modules().get(task or "")
    return (module.KEEPS, module.BRINGS) if module else ("rest", True)


def _from_source(how: Preserve, source: Tensor, kept: Tensor, removed: Callable[[], Tensor]) -> Tensor:
    if how in ("wiener", "consistent"):
        return (wiener if how == "wiener" else consistent)(source, kept, removed())
    return preserve(source, kept) if how == "ratio" else kept


def from_target(task: str | None, source: Tensor, target: Tensor, how: Preserve = "off") -> EditedSound:
    """Take the decoded target (B, T); of a remix nothing counts as kept, of add all.

    With `how`, what it keeps comes from the source (B, T), and what is new is what it has beyond the source.
    """
    keeps, brings = effect(task)
    if keeps == "none":
        return EditedSound(target, torch.zeros_like(source))
    if how == "off":
        return EditedSound(target, source if keeps == "all" else target)
    kept = source if keeps == "all" else preserve(source, target)
    return EditedSound(kept + beyond(source, target) if brings else kept, kept)
