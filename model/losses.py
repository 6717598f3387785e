"""Losses of the VAE (paper: eq. 11), and the SI-SDR that it is judged by. Waveforms are (B, 1, T); losses are scalars."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from instructme.model.config import VaeConfig
from instructme.model.discriminator import Judgement
from instructme.model.vae import Posterior

FFT_SAMPLES = (2048, 512, 128)
QUIETEST = 1e-3
"""RMS (-60 dBFS) below which a clip counts as silence: its errors are not scaled up further."""
_FLOOR = 1e-3
"""Smallest magnitude, relative to the clip's level, whose logarithm matters."""


_LEAST_POWER = 0.25
"""Power of a clip, of those scaled to 1, under which its errors are not scaled up further."""


def reconstruction(decoded: Tensor, audio: Tensor, config: VaeConfig) -> Tensor:
    """Compare the decoded audio with the original as the preset says."""
    if config.reconstruction == "mse":
        likeness = functional.mse_loss(decoded, audio)
    else:
        level = audio.square().mean(dim=(1, 2), keepdim=True).sqrt().clamp_min(QUIETEST)
        likeness = functional.l1_loss(decoded / level, audio / level) + spectral_distance(decoded / level, audio / level)
    return config.reconstruction_weight * likeness + config.distortion_weight * distortion(decoded, audio)


def spectral_distance(decoded: Tensor, audio: Tensor) -> Tensor:
    """Average spectral convergence and L1 of log magnitudes over STFT sizes (arXiv 1910.11480, eq. 3 to 5).

    Both are scaled so that the audio has a power of 1; what is left far under that is silence.
    """
    total = audio.new_zeros(())
    for size in FFT_SAMPLES:
        ours, theirs = _magnitudes(decoded, size), _magnitudes(audio, size)
        power = theirs.square().mean(dim=(1, 2)).clamp_min(_LEAST_POWER)
        convergence = (ours - theirs).norm(dim=(1, 2)) / (power * theirs[0].numel()).sqrt()
        logs = (ours + _FLOOR).log() - (theirs + _FLOOR).log()
        total = total + convergence.mean() + logs.abs().mean()
    return total / len(FFT_SAMPLES)


def distortion(decoded: Tensor, audio: Tensor) -> Tensor:
    """Average log10 of error energy over signal energy: minus the SNR in bels, near 0 where silence stays silent."""
    error, signal = ((decoded - audio).square().mean(dim=(1, 2)), audio.square().mean(dim=(1, 2)))
    return ((error + 0.1 * QUIETEST**2) / (signal + 0.1 * QUIETEST**2)).log10().mean()


def kl_divergence(posterior: Posterior) -> Tensor:
    """Average the divergence from the standard normal over the latent's numbers, in nats."""
    mean, log_variance = posterior
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


def split_judgements(judged: Sequence[Judgement], size: int) -> tuple[list[Judgement], list[Judgement]]:
    """Take judgements of a batch of real and decoded audio, SIZE of each, apart; in float32, whatever their precision."""
    wide = [(score.float(), [feature.float() for feature in features]) for score, features in judged]
    real = [(score[:size], [feature[:size] for feature in features]) for score, features in wide]
    fake = [(score[size:], [feature[size:] for feature in features]) for score, features in wide]
    return real, fake


def discriminator_loss(real: Sequence[Judgement], fake: Sequence[Judgement], kind: str) -> Tensor:
    """Teach discriminators to tell real from decoded: `hinge`, or `least_squares` (1 and 0)."""
    losses = []
    for (of_real, _), (of_fake, _) in zip(real, fake, strict=True):
        if kind == "hinge":
            losses.append(functional.relu(1 - of_real).mean() + functional.relu(1 + of_fake).mean())
        else:
            losses.append((1 - of_real).square().mean() + of_fake.square().mean())
    return torch.stack(losses).mean()


def adversarial_loss(fake: Sequence[Judgement], kind: str) -> Tensor:
    """Teach the VAE to pass for real."""
    losses = [-score.mean() if kind == "hinge" else (1 - score).square().mean() for score, _ in fake]
    return torch.stack(losses).mean()


def feature_distance(real: Sequence[Judgement], fake: Sequence[Judgement]) -> Tensor:
    """Average the L1 distance of feature maps, each relative to the real one's size (feature matching)."""
    losses = []
    for (_, of_real), (_, of_fake) in zip(real, fake, strict=True):
        for ours, theirs in zip(of_fake, of_real, strict=True):
            size = theirs.detach().abs().flatten(1).mean(dim=1)
            losses.append(((ours - theirs.detach()).abs().flatten(1).mean(dim=1) / size.clamp_min(1e-6)).mean())
    return torch.stack(losses).mean()


def si_sdr_db(decoded: Tensor, audio: Tensor) -> Tensor:
    """Compute scale-invariant SDR (B,) in dB (arXiv 1811.02508); NaN where the audio is silent."""
    decoded, audio = decoded.flatten(1).double(), audio.flatten(1).double()
    energy = audio.square().sum(1, keepdim=True)
    scaled = (decoded * audio).sum(1, keepdim=True) / energy * audio
    ratio = scaled.square().sum(1) / (decoded - scaled).square().sum(1)
    silent = energy[:, 0] < QUIETEST**2 * audio.shape[1]
    return (10 * ratio.log10()).masked_fill(silent, torch.nan).float()


def _magnitudes(audio: Tensor, size: int) -> Tensor:
    """Map (B, 1, T) to (B, bins, frames): of unit mean square for white noise of unit variance."""
    window = torch.hann_window(size, device=audio.device)
    short = max(0, size - audio.shape[-1])
    bins = torch.stft(
        functional.pad(audio[:, 0].float(), (0, short)), size, size // 4, window=window, return_complex=True, pad_mode="constant"
    )
    # The gradient of abs() at zero is zero in PyTorch, so that silence does no harm.
    return bins.abs() / window.square().sum().sqrt()
