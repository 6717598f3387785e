"""Guided sampling: from noise to latents (paper: eq. 4 to 6), with the samplers of diffusers."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from instructme.model.conditions import Conditions, stack
from instructme.model.config import DiffusionConfig, ModelError
from instructme.model.diffusion import Denoiser, Diffusion

Distance = Callable[[Tensor], Tensor]
"""Latents (B, C, F) -> distance (B,) of what they sound like from what is asked for (eq. 5); differentiable."""


@dataclass(frozen=True)
class Scales:
    """How far predictions are pushed towards each condition; 1 takes it as it is, 0 ignores it.

    With `source` and `chords` 1 this is eq. 4, w being `text`.
    """

    text: float
    source: float = 1.0
    chords: float = 1.0

    def weights(self) -> list[tuple[float, tuple[bool, bool, bool]]]:
        """List the predictions that are summed: weight, and whether text, source and chords are kept.

        Conditions join one by one: nothing, the source, the chords, the text; each scale weighs the step that its
        condition makes. Predictions without weight are left out.
        """
        scales = [1.0, self.source, self.chords, self.text, 0.0]
        kept = [(False, False, False), (False, True, False), (False, True, True), (True, True, True)]
        steps = [scale - following for scale, following in itertools.pairwise(scales)]
        return [(weight, keep) for weight, keep in zip(steps, kept, strict=True) if weight]


@dataclass(frozen=True)
class Classifier:
    """Guidance by a distance (eq. 6): every few steps the estimate of the clean latent moves down its gradient.

    The printed sign of eq. 6 would move away from the prompt. The gradient has unit RMS, so that `scale` is in standard
    deviations of the latent; it fades with the noise.
    """

    distance: Distance
    scale: float
    every: int = 1

    def moved(self, clean: Tensor, noise_level: float) -> Tensor:
        """Move latents (B, C, F) towards a smaller distance."""
        with torch.enable_grad():
            position = clean.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.distance(position).sum(), position)
        size = gradient.square().mean(dim=(1, 2), keepdim=True).sqrt().clamp(min=1e-12)
        return clean - self.scale * noise_level * gradient / size


@torch.no_grad()
def sample(
    unet: Denoiser,
    diffusion: Diffusion,
    conditions: Conditions,
    noise: Tensor,
    *,
    scales: Scales,
    sampler: str | None = None,
    steps: int | None = None,
    classifier: Classifier | None = None,
) -> Iterator[Tensor]:
    """Yield latents (B, C, F) after each step of the sampler; the last ones are the result.

    `noise` has their shape and is the only source of chance. `sampler` and `steps` default to those of the preset. One step
    gives the estimate from pure noise. If the schedule ends without signal, this is the posterior mean.

    Raises:
        ModelError: no such sampler, more steps than the schedule has, or a single step of a schedule that ends with signal.
    """
    config = diffusion.config
    steps = steps or config.sampling_steps
    weights = scales.weights()

    def estimate(noisy: Tensor, step: int) -> Tensor:
        at = torch.full((len(noisy),), step, device=noisy.device)
        variants = stack([conditions.keeping(*keep) for _, keep in weights])
        entering = diffusion.entering(noisy, at)
        output = unet(entering.repeat(len(weights), 1, 1), at.repeat(len(weights)), variants)[:, : noisy.shape[1]].float()
        predictions = output.chunk(len(weights))
        predicted = sum((weight * each for (weight, _), each in zip(weights, predictions, strict=True)), torch.zeros_like(noisy))
        return diffusion.clean(predicted, noisy, at)

    if steps == 1:
        yield _single(config, estimate, noise)
        return
    scheduler = _scheduler(diffusion, sampler or config.sampler, steps)
    noisy: Tensor = noise * scheduler.init_noise_sigma
    for number, step in enumerate(scheduler.timesteps.tolist()):
        clean = estimate(noisy, step)
        at = torch.full((len(noisy),), step, device=noisy.device)
        if classifier is not None and number % classifier.every == 0:
            clean = classifier.moved(clean, float(diffusion.noise[step]))
        noisy = scheduler.step(diffusion.predicted(clean, noisy, at), step, noisy).prev_sample
        yield noisy


def _single(config: DiffusionConfig, estimate: Callable[[Tensor, int], Tensor], noise: Tensor) -> Tensor:
    if not (config.zero_terminal_snr and config.prediction == "v"):
        raise ModelError("one step needs diffusion.zero_terminal_snr and diffusion.prediction=v: take more steps")
    return estimate(noise, config.steps - 1)


def _scheduler(diffusion: Diffusion, sampler: str, steps: int) -> Any:
    """Make one of diffusers' schedulers for our noise schedule; it starts at the last step."""
    config = diffusion.config
    if steps > config.steps:
        raise ModelError(f"{steps} sampling steps are more than the {config.steps} of the schedule: take fewer")
    import diffusers

    shared: dict[str, Any] = {
        "num_train_timesteps": config.steps,
        "trained_betas": diffusion.betas.numpy(),
        "prediction_type": "v_prediction" if config.prediction == "v" else "epsilon",
        "timestep_spacing": "trailing",
    }
    scheduler: Any
    if sampler == "ddim":
        scheduler = diffusers.DDIMScheduler(clip_sample=False, set_alpha_to_one=True, **shared)
    elif sampler == "dpm++":
        scheduler = diffusers.DPMSolverMultistepScheduler(algorithm_type="dpmsolver++", euler_at_final=True, **shared)
    else:
        raise ModelError(f"no such sampler: {sampler}: choose ddim or dpm++")
    scheduler.set_timesteps(steps)
    return scheduler
