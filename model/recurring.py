"""Make a mask agree with itself wherever a sound of the mix comes again.

Music repeats its sounds. Non-negative matrix factorisation splits the magnitudes of a mix into sounds, and into the moments at
which each of them is heard (Lee and Seung, Learning the Parts of Objects by Non-negative Matrix Factorization, 1999). A sound
belongs to a part as far as the mask says so on average over all its moments.
"""

import torch
from torch import Tensor
from torch.nn import functional

_SOUNDS, _ROUNDS = 48, 30
_JOINED_BINS = 2
"""Bins of a spectrum that are averaged first: twice as fast, for 0.05 dB of what it gains."""
_TINY = 1e-8


def settled_mask(spectrum: Tensor, mask: Tensor) -> Tensor:
    """Take the geometric mean of a mask (B, F, T) and of its average over each sound; the masked spectrum keeps its power."""
    sizes = spectrum.abs()
    settled = (mask * recurring_mask(spectrum, mask)).sqrt()
    old, new = ((sizes * each).square().sum(dim=(1, 2), keepdim=True) for each in (mask, settled))
    return (settled * (old / (new + _TINY**2)).sqrt()).clamp(max=1.0)


def recurring_mask(spectrum: Tensor, mask: Tensor) -> Tensor:
    """Average a mask (B, F, T) of a spectrum (B, F, T) over the moments of each sound.

    Where the mix is silent, the mask is 0. The first guess comes from a fixed seed, so the same music gives the same mask.
    """
    sizes = _joined(spectrum.abs())
    share = _joined(spectrum.abs() * mask) / (sizes + _TINY)
    sizes = sizes / (sizes.mean(dim=(1, 2), keepdim=True) + _TINY)
    sounds, moments = _factors(sizes)
    guess = sounds @ moments + _TINY
    heard = sizes / guess
    own, whole = ((sounds * (each @ moments.mT)).sum(dim=1, keepdim=True) for each in (heard * share, heard))
    averaged = (sounds * own / (whole + _TINY)) @ moments / guess
    return averaged.repeat_interleave(_JOINED_BINS, dim=1)[:, : mask.shape[1]]


def _joined(sizes: Tensor) -> Tensor:
    return functional.avg_pool2d(sizes, (_JOINED_BINS, 1), ceil_mode=True)


def _factors(sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Factor magnitudes (B, F, T) into sounds (B, F, K) and moments (B, K, T), by the divergence of Kullback and Leibler."""
    batch, bins, frames = sizes.shape
    generator = torch.Generator().manual_seed(0)
    first = [torch.rand(1, *shape, generator=generator) + 0.1 for shape in ((bins, _SOUNDS), (_SOUNDS, frames))]
    sounds, moments = (each.to(sizes).expand(batch, -1, -1) for each in first)
    for _ in range(_ROUNDS):
        ratio = sizes / (sounds @ moments + _TINY)
        moments = moments * (sounds.mT @ ratio) / (sounds.sum(dim=1)[..., None] + _TINY)
        ratio = sizes / (sounds @ moments + _TINY)
        sounds = sounds * (ratio @ moments.mT) / (moments.sum(dim=2)[:, None] + _TINY)
    return sounds, moments
