"""The loss of a separator, and the SI-SDR that it is judged by."""

import torch
from torch import Tensor
from torch.nn import functional

from instructme.model.spectrum import power

FLOORS, FLOORS_ABSENT = (0.1, 0.006), (0.1, 0.02)
"""Error relative to the mix under which less error counts little, at the start of training and at its end: for instruments that
sound and for those that do not. With a low floor from the start, or a lower one for those that do not sound, silence is the
safest answer: masks of guitars and keys came out twenty times too small. A high floor to the end leaves a ghost of what is
absent."""
_PRESENT = 10 ** (-35 / 20)
"""Level relative to the mix over which an instrument counts as present."""


def separation_loss(mask: Tensor, presence: Tensor, answers: Tensor, mix: Tensor, progress: float = 1.0) -> dict[str, Tensor]:
    """Compare a masked mix with answers. The rest of the mix has the same error, so that it needs no term of its own.

    Args:
        mask: real or complex (B, Q, F, T).
        presence: logits (B, Q, blocks of frames).
        answers: spectra (B, Q, F, T); all 0 where the instrument is absent.
        mix: spectra (B, F, T).
        progress: share of the training that is done, which lowers the floors.

    Returns:
        `error`: log10 of error energy over mix energy, with a floor that is higher for an absent instrument.
        `spectrum`: mean magnitude of the error, relative to that of the mix.
        `presence`: binary cross-entropy of the presence of the instrument in each block of frames.
    """
    whole, part = power(mix), power(answers)
    if mask.is_complex():
        wrong = power(mix[:, None] * mask - answers)
    else:  # the same in real numbers, which is much faster
        common = mix.real[:, None] * answers.real + mix.imag[:, None] * answers.imag
        wrong = (whole[:, None] * mask - 2 * common) * mask + part
    wrong = wrong.clamp(min=1e-10)
    level = whole.mean(dim=(1, 2))[:, None] + 1e-6
    floor = torch.where(part.sum(dim=(2, 3)) > 0, _falling(FLOORS, progress), _falling(FLOORS_ABSENT, progress))
    error = (wrong.mean(dim=(2, 3)) / level + floor).log10().mean()
    spectrum = (wrong.sqrt().mean(dim=(2, 3)) / (whole.sqrt().mean(dim=(1, 2))[:, None] + 1e-4)).mean()
    return {"error": error, "spectrum": spectrum, "presence": _presence(presence, part, level)}


def total(losses: dict[str, Tensor]) -> Tensor:
    """Weigh what `separation_loss` gives into one number."""
    return losses["error"] + 0.3 * losses["spectrum"] + 0.3 * losses["presence"]


def _falling(floors: tuple[float, float], progress: float) -> float:
    first, last = floors
    return float(first * (last / first) ** progress)


def _presence(logits: Tensor, part: Tensor, level: Tensor) -> Tensor:
    blocks = functional.adaptive_avg_pool1d(part.mean(dim=2), logits.shape[-1])
    return functional.binary_cross_entropy_with_logits(logits.float(), (blocks > level[..., None] * _PRESENT**2).float())


def si_sdr_db(estimates: Tensor, answers: Tensor) -> Tensor:
    """Compute the scale-invariant signal-to-distortion ratio along the last axis, in decibels (Le Roux et al., 2019)."""
    scale = (estimates * answers).sum(-1, keepdim=True) / answers.square().sum(-1, keepdim=True).clamp(min=1e-8)
    target = scale * answers
    wrong = (estimates - target).square().sum(-1).clamp(min=1e-10)
    return 10 * (target.square().sum(-1).clamp(min=1e-10) / wrong).log10()


def silent(estimates: Tensor, answers: Tensor) -> Tensor:
    """Say which estimates are 60 dB softer than their answers: the SI-SDR, which ignores levels, would call silence 0 dB."""
    return estimates.square().sum(-1) < 1e-6 * answers.square().sum(-1)


def separation_scores_db(estimates: Tensor, answers: Tensor, mix: Tensor) -> dict[str, Tensor]:
    """Compute the SI-SDR of extract and remove, and of doing nothing, where both the answer and the rest of the mix sound.

    A silent estimate counts as doing nothing.

    Args:
        estimates: (B, Q, T).
        answers: (B, Q, T).
        mix: (B, T).
    """
    whole = mix[:, None].expand_as(answers)
    rest, least = whole - answers, 1e-3 * whole.square().mean(dim=-1)
    sounding = torch.minimum(answers.square().mean(dim=-1), rest.square().mean(dim=-1)) > least
    pairs = {
        "extract_db": (torch.where(silent(estimates, answers)[..., None], whole, estimates), answers),
        "extract_identity_db": (whole, answers),
        "remove_db": (whole - estimates, rest),
        "remove_identity_db": (whole, rest),
    }
    return {name: si_sdr_db(ours[sounding], theirs[sounding]) for name, (ours, theirs) in pairs.items()}
