"""The loss of a separator, and the SI-SDR that it is judged by. Answers and estimates are (B, Q, T), mixes (B, T)."""

import torch
from torch import Tensor
from torch.nn import functional

FFT_SAMPLES = (2048, 1024, 512, 256)
_FLOOR = 1e-3
"""Error relative to the mix (-30 dB) under which less error counts little."""
_PRESENT = 10 ** (-35 / 20)
"""Level relative to the mix over which an instrument counts as present."""


def separation_loss(estimates: Tensor, presence: Tensor, answers: Tensor, mix: Tensor) -> dict[str, Tensor]:
    """Compare estimates with answers; the error of the rest of the mix is the same error.

    Returns:
        `error`: log10 of error energy over mix energy, with a floor. An absent instrument counts like any other.
        `spectrum`: L1 of complex STFTs of four sizes, relative to the mix.
        `presence`: binary cross-entropy of the presence of the instrument in each block of frames.
    """
    wrong, power = estimates - answers, mix.square().mean(dim=-1)[:, None].clamp(min=1e-8)
    error = (wrong.square().mean(dim=-1) / power + _FLOOR).log10().mean()
    return {"error": error, "spectrum": _spectrum(wrong, mix), "presence": _presence(presence, answers, power)}


def _spectrum(wrong: Tensor, mix: Tensor) -> Tensor:
    total = mix.new_zeros(())
    for size in FFT_SAMPLES:
        window = torch.hann_window(size, device=mix.device)
        errors, whole = (
            torch.stft(each, size, size // 4, window=window, return_complex=True) for each in (wrong.flatten(0, 1), mix)
        )
        level = whole.abs().mean(dim=(1, 2)).clamp(min=1e-4).repeat_interleave(wrong.shape[1])
        total = total + (errors.abs().mean(dim=(1, 2)) / level).mean()
    return total / len(FFT_SAMPLES)


def _presence(logits: Tensor, answers: Tensor, power: Tensor) -> Tensor:
    blocks = logits.shape[-1]
    level = functional.adaptive_avg_pool1d(answers.square(), blocks)
    return functional.binary_cross_entropy_with_logits(logits.float(), (level > power[..., None] * _PRESENT**2).float())


def si_sdr_db(estimates: Tensor, answers: Tensor) -> Tensor:
    """Compute the scale-invariant signal-to-distortion ratio along the last axis, in decibels (Le Roux et al., 2019)."""
    scale = (estimates * answers).sum(-1, keepdim=True) / answers.square().sum(-1, keepdim=True).clamp(min=1e-8)
    target = scale * answers
    wrong = (estimates - target).square().sum(-1).clamp(min=1e-10)
    return 10 * (target.square().sum(-1).clamp(min=1e-10) / wrong).log10()
