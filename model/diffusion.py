"""The diffusion process: noise schedule, prediction of the denoiser, and training loss (paper: eq. 1 to 3).

diffusers' schedulers only sample: they have no loss for a learned variance. Tests compare noise and schedule with theirs.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from instructme.model.conditions import Conditions
from instructme.model.config import DiffusionConfig, ModelError
from instructme.model.devices import generator_on

_FLOOR = 1e-3
"""Added to the mean square of an error before its logarithm: -30 dB of a usual latent, whose variance is 1."""
Denoiser = Callable[[Tensor, Tensor, Conditions], Tensor]
"""Noisy latent (B, C, F), steps (B,), conditions -> prediction, as `Unet` gives it."""


def betas(config: DiffusionConfig) -> Tensor:
    """Make the linear noise schedule (steps,), float64; rescaled to end without signal where the preset says so.

    Zero terminal SNR: S. Lin et al., Common Diffusion Noise Schedules and Sample Steps are Flawed, 2024. The last step keeps a
    16th of the signal power before it, about 1e-10, because samplers divide by it.
    """
    linear = torch.linspace(config.beta_start, config.beta_end, config.steps, dtype=torch.float64)
    if not config.zero_terminal_snr:
        return linear
    signal = (1 - linear).cumprod(0).sqrt()
    signal = (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])
    kept = signal**2
    kept[-1] = kept[-2] / 16
    return 1 - kept / torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])


@dataclass(frozen=True)
class Draw:
    """What chance decides about a batch: steps (B,), noise like the latents, and which conditions are kept, (B,) bool."""

    steps: Tensor
    noise: Tensor
    keep_text: Tensor
    keep_source: Tensor
    keep_chords: Tensor


class Diffusion:
    """The process of a preset, on the device of the tensors it is given."""

    def __init__(self, config: DiffusionConfig) -> None:
        """Compute the schedule.

        Raises:
            ModelError: too few steps, or fewer than sampling takes.
        """
        if not max(2, config.sampling_steps) <= config.steps:
            raise ModelError(
                f"can't sample in {config.sampling_steps} steps of {config.steps}: set diffusion.steps to 2 or more, "
                "and diffusion.sampling_steps to no more than it"
            )
        self.config = config
        self.betas = betas(config)
        kept = (1 - self.betas).cumprod(0)
        before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
        posterior = self.betas * (1 - before) / (1 - kept)
        self.signal, self.noise = kept.sqrt(), (1 - kept).sqrt()
        self.log_beta = self.betas.log()
        self.log_posterior = torch.cat([posterior[1:2], posterior[1:]]).log()  # that of the first step is zero
        self.mean_clean = self.betas * before.sqrt() / (1 - kept)

    def draw(self, generators: Sequence[torch.Generator], shape: Sequence[int], device: str | torch.device = "cpu") -> Draw:
        """Draw for a batch, each sample from a CPU generator of its own, so that batches don't matter.

        `shape` is that of one latent, (C, F). The noise is made on `device`; it is the same on all devices of a type.
        """
        config = self.config
        chances = torch.stack([torch.rand(4, generator=generator) for generator in generators])
        steps = torch.stack([torch.randint(config.steps, (), generator=generator) for generator in generators])
        steps = steps.where(chances[:, 3] >= config.terminal_share, config.steps - 1)
        sources = [generator_on(generator, device) for generator in generators]
        noise = torch.stack([torch.randn(tuple(shape), generator=source, device=device) for source in sources])
        return Draw(steps, noise, *self._kept(chances))

    def _kept(self, chances: Tensor) -> tuple[Tensor, ...]:
        """Decide by chances (B, 3 or more) which samples keep text, source and chords."""
        config = self.config
        least = torch.tensor([config.text_dropout, config.source_dropout, config.chord_dropout])
        if config.joint_dropout:
            text, source, chords = least
            least = torch.stack([source + chords + text, source, source + chords])
            chances = chances[:, :1].expand(-1, 3)
        return (chances[:, :3] >= least).unbind(dim=1)

    def noisy(self, clean: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
        """Add noise to latents (B, C, F) (eq. 1)."""
        return _at(self.signal, steps, clean) * clean + _at(self.noise, steps, clean) * noise

    def entering(self, noisy: Tensor, steps: Tensor) -> Tensor:
        """Scale a noisy latent as the denoiser takes it."""
        return _at(self.signal, steps, noisy) * noisy if self.config.scale_input else noisy

    def wanted(self, clean: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
        """Say what the denoiser shall predict: the noise, or the velocity signal x noise - noise x clean."""
        if self.config.prediction == "epsilon":
            return noise
        return _at(self.signal, steps, clean) * noise - _at(self.noise, steps, clean) * clean

    def clean(self, predicted: Tensor, noisy: Tensor, steps: Tensor) -> Tensor:
        """Estimate the clean latent from a prediction."""
        signal, noise = _at(self.signal, steps, noisy), _at(self.noise, steps, noisy)
        if self.config.prediction == "epsilon":
            return (noisy - noise * predicted) / signal
        return signal * noisy - noise * predicted

    def predicted(self, clean: Tensor, noisy: Tensor, steps: Tensor) -> Tensor:
        """Say which prediction stands for a clean latent: the inverse of `clean`."""
        signal, noise = _at(self.signal, steps, noisy), _at(self.noise, steps, noisy)
        if self.config.prediction == "epsilon":
            return (noisy - signal * clean) / noise
        return (signal * noisy - clean) / noise

    def losses(self, unet: Denoiser, clean: Tensor, conditions: Conditions, draw: Draw) -> dict[str, Tensor]:
        """Compute the loss of each sample, `loss` (B,) (eq. 2, 3); where the variance is learned, what it sums, too.

        That is `simple`, and `bound`, by which the variance alone is trained (A. Nichol, P. Dhariwal: Improved Denoising
        Diffusion, eq. 15 and 16).
        """
        steps, noise = draw.steps.to(clean.device), draw.noise.to(clean)
        noisy = self.noisy(clean, noise, steps)
        output = unet(self.entering(noisy, steps), steps, conditions).float()
        predicted = output[:, : clean.shape[1]]
        simple = (predicted - self.wanted(clean, noise, steps)).square().mean(dim=(1, 2))
        if self.config.loss == "log":
            simple = (simple + _FLOOR).log()
        if not self.config.learned_variance:
            return {"loss": simple}
        bound = self._bound(clean, noisy, steps, predicted.detach(), output[:, clean.shape[1] :])
        return {"loss": simple + self.config.variance_weight * self.config.steps * bound, "simple": simple, "bound": bound}

    def _bound(self, clean: Tensor, noisy: Tensor, steps: Tensor, predicted: Tensor, share: Tensor) -> Tensor:
        """Compute the term of the variational bound of each step, in nats for each number: (B,)."""
        estimate = self.clean(predicted, noisy, steps)
        distance = _at(self.mean_clean, steps, clean) * (
            clean - estimate
        )  # of the means: what they take from the noisy latent is equal
        least, most = _at(self.log_posterior, steps, clean), _at(self.log_beta, steps, clean)
        log_variance = least + (share + 1) / 2 * (most - least)
        divergence = 0.5 * (log_variance - least - 1 + (least - log_variance).exp() + distance.square() * (-log_variance).exp())
        likelihood = 0.5 * (log_variance + math.log(2 * math.pi) + distance.square() * (-log_variance).exp())
        return torch.where(steps == 0, likelihood.mean(dim=(1, 2)), divergence.mean(dim=(1, 2)))


def _at(values: Tensor, steps: Tensor, like: Tensor) -> Tensor:
    """Look up a value for each sample, shaped to multiply its latent."""
    return values.to(like.dtype).to(like.device, non_blocking=True)[steps].view(-1, 1, 1)
