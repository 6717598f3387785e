"""Guided sampling: from noise to latents (paper: eq. 4 to 6), with the samplers of diffusers."""

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from instructme.model.conditions import Conditions, stack
from instructme.model.config import ModelError
from instructme.model.diffusion import Denoiser, Diffusion
from instructme.model.joint_windows import JointWindows, continued

Distance = Callable[[Tensor], Tensor]
"""Latents (B, C, F) -> distance (B,) of what they sound like from what is asked for (eq. 5); differentiable."""
Weight = tuple[float, tuple[bool, bool, bool]]
"""Of a prediction, and whether the prediction keeps text, source and chords."""


@dataclass(frozen=True)
class Scales:
    """How far predictions are pushed towards each condition; 1 takes it as it is, 0 ignores it.

    With `source` and `chords` 1 this is eq. 4, w being `text`.
    """

    text: float
    source: float = 1.0
    chords: float = 1.0

    def weights(self) -> list[Weight]:
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


class GuidedWindow(NamedTuple):
    """A window of music: what steers it, its first frame in the stretch, and what guides it besides."""

    conditions: Conditions
    first: int = 0
    classifier: Classifier | None = None


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
    """Yield latents (B, C, F) after each step of the sampler; the last ones are the result. See `sample_jointly`."""
    windows = [GuidedWindow(conditions, 0, classifier)]
    return sample_jointly(unet, diffusion, windows, noise, scales=scales, sampler=sampler, steps=steps)


@torch.no_grad()
def sample_jointly(
    unet: Denoiser,
    diffusion: Diffusion,
    windows: Sequence[GuidedWindow],
    noise: Tensor,
    *,
    scales: Scales,
    sampler: str | None = None,
    steps: int | None = None,
    done: Tensor | None = None,
) -> Iterator[Tensor]:
    """Denoise the windows of a stretch together: yield its latents (B, C, F) after each window of each step.

    After a step, the estimates of all windows are averaged where they overlap. The network sees one window at a time. The latents
    change after the last window of a step; the last ones are the result. One step gives the estimate from pure noise. If the
    schedule ends without signal, this is the posterior mean.

    Args:
        unet: the network.
        diffusion: its process.
        windows: cover the stretch.
        noise: has the shape of the latents, and is the only source of chance.
        scales: of the conditions.
        sampler: defaults to that of the preset.
        steps: default to those of the preset.
        done: latents (B, C, n) of the first frames that another stretch has made; see `continued`.

    Raises:
        ModelError: no such sampler, more steps than the schedule has, or a single step of a schedule that ends with signal.
    """
    config = diffusion.config
    steps = steps or config.sampling_steps
    weights = scales.weights()
    places = JointWindows([(window.first, window.conditions.source.shape[-1]) for window in windows])

    def estimates(noisy: Tensor, step: int, guided: bool) -> Generator[Tensor, None, Tensor]:
        made: list[Tensor] = []
        for window, own in zip(windows, places.cut(noisy), strict=True):
            if made:
                yield noisy
            clean = _estimate(unet, diffusion, window.conditions, own, step, weights)
            if guided and window.classifier:
                clean = window.classifier.moved(clean, float(diffusion.noise[step]))
            made.append(clean)
        return continued(places.join(made), done)

    if steps == 1:
        if not (config.zero_terminal_snr and config.prediction == "v"):
            raise ModelError("one step needs diffusion.zero_terminal_snr and diffusion.prediction=v: take more steps")
        yield (yield from estimates(noise, config.steps - 1, False))
        return
    every = next((window.classifier.every for window in windows if window.classifier), 1)
    scheduler = _scheduler(diffusion, sampler or config.sampler, steps)
    noisy: Tensor = noise * scheduler.init_noise_sigma
    for number, step in enumerate(scheduler.timesteps.tolist()):
        clean = yield from estimates(noisy, step, number % every == 0)
        at = torch.full((len(noisy),), step, device=noisy.device)
        noisy = scheduler.step(diffusion.predicted(clean, noisy, at), step, noisy).prev_sample
        yield noisy


def _estimate(
    unet: Denoiser, diffusion: Diffusion, conditions: Conditions, noisy: Tensor, step: int, weights: Sequence[Weight]
) -> Tensor:
    """Estimate the clean latents (B, C, F) by a weighted sum of predictions; see `Scales.weights`."""
    at = torch.full((len(noisy),), step, device=noisy.device)
    variants = stack([conditions.keeping(*keep) for _, keep in weights])
    entering = diffusion.entering(noisy, at)
    output = unet(entering.repeat(len(weights), 1, 1), at.repeat(len(weights)), variants)[:, : noisy.shape[1]].float()
    predictions = output.chunk(len(weights))
    predicted = sum((weight * each for (weight, _), each in zip(weights, predictions, strict=True)), torch.zeros_like(noisy))
    return diffusion.clean(predicted, noisy, at)


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
