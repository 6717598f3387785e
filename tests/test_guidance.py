"""Guided sampling: eq. 4, samplers that reach a known distribution, and a classifier that brings the sound closer."""

import dataclasses
from typing import Any

import pytest
import torch

from instructme.model import presets
from instructme.model.conditions import Conditions
from instructme.model.config import DiffusionConfig, ModelError
from instructme.model.diffusion import Diffusion
from instructme.model.guidance import Classifier, GuidedWindow, Scales, sample, sample_jointly

PRINTED = DiffusionConfig(learned_variance=False)
TERMINAL = dataclasses.replace(PRINTED, prediction="v", zero_terminal_snr=True)
MEAN, SPREAD = 0.7, 0.5


class Gaussian:
    """The perfect denoiser of independent numbers from N(MEAN, SPREAD^2), shifted where text is kept."""

    def __init__(self, config: DiffusionConfig, text_shift: float = 0.0) -> None:
        self.diffusion, self.text_shift = Diffusion(config), text_shift

    def __call__(self, noisy: torch.Tensor, steps: torch.Tensor, given: Conditions) -> torch.Tensor:
        """Predict from the posterior mean."""
        signal, noise = (values[steps].float().view(-1, 1, 1) for values in (self.diffusion.signal, self.diffusion.noise))
        assert given.keep_text is not None
        mean = MEAN + self.text_shift * given.keep_text.view(-1, 1, 1)
        variance = SPREAD**2 * signal**2 + noise**2
        clean = mean + SPREAD**2 * signal / variance * (noisy - signal * mean)
        return self.diffusion.predicted(clean, noisy, steps)


def conditions(batch: int, frames: int) -> Conditions:
    return Conditions(
        torch.zeros(batch, 2, 4),
        torch.ones(batch, 2, dtype=torch.bool),
        torch.zeros(batch, 1, frames),
        torch.zeros(batch, 100, frames),
    )


def made(config: DiffusionConfig, unet: Any = None, frames: int = 20000, **options: Any) -> torch.Tensor:
    noise = torch.randn(1, 1, frames, generator=torch.Generator().manual_seed(0))
    options = {"scales": Scales(1.0), **options}
    *_, latents = sample(unet or Gaussian(config), Diffusion(config), conditions(1, frames), noise, **options)
    return latents


@pytest.mark.parametrize("config", [PRINTED, TERMINAL])
@pytest.mark.parametrize(("sampler", "steps"), [("ddim", 200), ("dpm++", 25)])
def test_samplers_reach_the_distribution_of_the_data(config: DiffusionConfig, sampler: str, steps: int) -> None:
    latents = made(config, sampler=sampler, steps=steps)
    assert latents.mean().item() == pytest.approx(MEAN, abs=0.03)
    assert latents.std().item() == pytest.approx(SPREAD, rel=0.05)


def test_one_step_is_the_posterior_mean() -> None:
    latents = made(TERMINAL, steps=1)
    assert (latents - MEAN).abs().max() < 2e-3


def test_one_step_of_a_schedule_that_ends_with_signal_is_refused() -> None:
    with pytest.raises(ModelError, match="more steps"):
        made(PRINTED, steps=1)


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_the_text_scale_is_that_of_equation_4(weight: float) -> None:
    """(1 - w) e(p, z_s) + w e(T(y), p, z_s): a text that shifts the mean by 0.2 shifts the posterior mean by w times that."""
    unet = Gaussian(TERMINAL, text_shift=0.2)
    latents = made(TERMINAL, unet, steps=1, frames=50, scales=Scales(weight))
    assert latents.mean().item() == pytest.approx(MEAN + 0.2 * weight, abs=2e-3)


def test_scales_of_one_are_a_single_prediction_and_unity_of_source_and_chords_is_equation_4() -> None:
    assert Scales(1.0).weights() == [(1.0, (True, True, True))]
    assert Scales(3.0).weights() == [(-2.0, (False, True, True)), (3.0, (True, True, True))]
    general = Scales(3.0, source=1.5, chords=2.0).weights()
    assert sum(weight for weight, _ in general) == pytest.approx(1)
    assert [keep for _, keep in general] == [(False, False, False), (False, True, False), (False, True, True), (True, True, True)]


def test_the_distance_from_the_prompt_falls() -> None:
    """And rises with the sign that the paper prints."""

    def distance(latents: torch.Tensor) -> torch.Tensor:
        return (latents.mean(dim=2) - 2).square().sum(dim=1)

    distances = []
    for scale in (-0.05, 0.0, 0.05, 0.2):
        classifier = Classifier(distance, scale, every=2)
        distances.append(distance(made(TERMINAL, steps=20, frames=400, classifier=classifier)).item())
    assert distances == sorted(distances, reverse=True)
    assert distances[1] - distances[3] > 0.2


def test_the_classifier_is_asked_every_few_steps() -> None:
    asked = []

    def distance(latents: torch.Tensor) -> torch.Tensor:
        asked.append(len(latents))
        return latents.square().mean(dim=(1, 2))

    made(TERMINAL, steps=10, frames=10, classifier=Classifier(distance, 0.1, every=4))
    assert len(asked) == 3


def test_equal_noise_gives_equal_latents() -> None:
    assert torch.equal(made(TERMINAL, steps=7, frames=30), made(TERMINAL, steps=7, frames=30))


@pytest.mark.parametrize("steps", [1, 7])
def test_the_latents_are_given_after_each_step(steps: int) -> None:
    evaluations: list[int] = []

    def counted(noisy: torch.Tensor, step: torch.Tensor, given: Conditions) -> torch.Tensor:
        evaluations.append(int(step[0]))
        return Gaussian(TERMINAL)(noisy, step, given)

    noise = torch.randn(1, 1, 30)
    for done, latents in enumerate(
        sample(counted, Diffusion(TERMINAL), conditions(1, 30), noise, scales=Scales(1.0), steps=steps), 1
    ):
        assert len(evaluations) == done and not latents.requires_grad
    assert done == steps


@pytest.mark.parametrize(("options", "words"), [({"sampler": "euler"}, "choose ddim"), ({"steps": 2000}, "take fewer")])
def test_what_cannot_be_sampled_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        made(TERMINAL, frames=4, **options)


def test_every_preset_can_be_sampled() -> None:
    for preset in presets.PRESETS.values():
        config = dataclasses.replace(preset.diffusion, learned_variance=False, scale_input=False)
        assert made(config, frames=8, steps=3).isfinite().all()
        assert not preset.diffusion.single_step_tasks or made(config, frames=8, steps=1).isfinite().all()


@pytest.mark.parametrize("sampler", ["ddim", "dpm++"])
def test_sampling_begins_at_the_last_step(sampler: str) -> None:
    """Elsewhere a schedule that ends in pure noise would be told that there is a signal."""
    steps: list[int] = []

    def spy(noisy: torch.Tensor, step: torch.Tensor, given: Conditions) -> torch.Tensor:
        steps.append(int(step[0]))
        return Gaussian(TERMINAL)(noisy, step, given)

    made(TERMINAL, spy, frames=8, sampler=sampler, steps=5)
    assert steps[0] == TERMINAL.steps - 1 and steps == sorted(steps, reverse=True) and len(steps) == 5


def test_the_classifier_moves_by_its_scale_and_fades_with_the_noise() -> None:
    clean = torch.randn(2, 1, 50)
    moved = Classifier(lambda latent: 3 * latent.sum(dim=(1, 2)), scale=2.0).moved(clean, 0.25)
    torch.testing.assert_close(moved, clean - 0.5)


class Opinion(Gaussian):
    """Its mean is the source: windows with other sources have other opinions of a frame."""

    def __call__(self, noisy: torch.Tensor, steps: torch.Tensor, given: Conditions) -> torch.Tensor:
        """Predict the mean, whatever the noise."""
        return self.diffusion.predicted(given.source.expand_as(noisy), noisy, steps)


def windows(*spans: tuple[int, int], values: tuple[float, ...] = ()) -> list[GuidedWindow]:
    """Make windows (first, frames) whose sources have values."""
    made = [(first, conditions(1, frames)) for first, frames in spans]
    values = values or (0.0,) * len(spans)
    return [
        GuidedWindow(dataclasses.replace(given, source=given.source + value), first)
        for (first, given), value in zip(made, values, strict=True)
    ]


def jointly(
    unet: Any, parts: list[GuidedWindow], frames: int, config: DiffusionConfig = TERMINAL, **options: Any
) -> torch.Tensor:
    noise = torch.randn(1, 1, frames, generator=torch.Generator().manual_seed(0))
    *_, latents = sample_jointly(unet, Diffusion(config), parts, noise, scales=Scales(1.0), **options)
    return latents


@pytest.mark.parametrize(("sampler", "steps"), [("ddim", 9), ("dpm++", 9), ("dpm++", 1)])
def test_windows_that_agree_are_denoised_like_the_whole(sampler: str, steps: int) -> None:
    """A perfect denoiser of independent frames does not care where a window ends."""
    options = {"sampler": sampler, "steps": steps}
    whole = made(TERMINAL, frames=90, **options)
    torch.testing.assert_close(
        jointly(Gaussian(TERMINAL), windows((0, 50), (40, 40), (60, 30)), 90, **options), whole, atol=1e-5, rtol=1e-5
    )


def test_one_window_gives_the_same_bits() -> None:
    one = jointly(Gaussian(TERMINAL), windows((0, 30)), 30, steps=7)
    assert torch.equal(one, made(TERMINAL, frames=30, steps=7))


@pytest.mark.parametrize("steps", [1, 8])
def test_windows_that_disagree_pass_into_each_other(steps: int) -> None:
    latents = jointly(Opinion(TERMINAL), windows((0, 50), (40, 50), values=(-1.0, 1.0)), 90, steps=steps)[0, 0]
    torch.testing.assert_close(latents[:40], torch.full((40,), -1.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(latents[50:], torch.ones(40), atol=1e-3, rtol=0)
    torch.testing.assert_close(latents[40:50], 2 * torch.arange(1.0, 11) / 11 - 1, atol=1e-3, rtol=0)


@pytest.mark.parametrize("steps", [1, 8])
def test_a_stretch_continues_what_is_done(steps: int) -> None:
    """Its first frames are those, and the network sees them with the noise of each step, as in training."""
    seen: list[tuple[int, torch.Tensor]] = []
    unet, done, noise = Opinion(TERMINAL), torch.full((1, 1, 20), 5.0), torch.randn(1, 1, 60)

    def spy(noisy: torch.Tensor, step: torch.Tensor, given: Conditions) -> torch.Tensor:
        seen.append((int(step[0]), noisy.clone()))
        return unet(noisy, step, given)

    *_, latents = sample_jointly(
        spy, Diffusion(TERMINAL), windows((0, 60)), noise, scales=Scales(1.0), steps=steps, sampler="ddim", done=done
    )
    torch.testing.assert_close(latents[0, 0, :10], torch.full((10,), 5.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(latents[0, 0, 20:], torch.zeros(40), atol=1e-3, rtol=0)
    assert (latents[0, 0, 9:21].diff() < 0).all()
    step, last = seen[-1]
    process = Diffusion(TERMINAL)
    wanted = process.noisy(done[..., :10], noise[..., :10], torch.tensor([step]))
    torch.testing.assert_close(last[..., :10], wanted, atol=1e-2, rtol=0)


def test_windows_are_seen_one_by_one_and_reported() -> None:
    shapes: list[tuple[int, ...]] = []

    def spy(noisy: torch.Tensor, step: torch.Tensor, given: Conditions) -> torch.Tensor:
        shapes.append(tuple(noisy.shape))
        return Gaussian(TERMINAL)(noisy, step, given)

    noise = torch.randn(1, 1, 90)
    parts, options = windows((0, 50), (40, 50)), {"scales": Scales(2.0), "steps": 3}
    for done, latents in enumerate(sample_jointly(spy, Diffusion(TERMINAL), parts, noise, **options), 1):
        assert len(shapes) == done and latents.shape == noise.shape
    assert shapes == [(2, 1, 50)] * 6


def test_each_window_has_its_own_classifier() -> None:
    """It moves that window alone."""
    parts = windows((0, 50), (40, 50))
    parts[1] = parts[1]._replace(classifier=Classifier(lambda latents: -latents.sum(dim=(1, 2)), 0.5))
    moved, still = (jointly(Gaussian(TERMINAL), each, 90, steps=5) for each in (parts, windows((0, 50), (40, 50))))
    assert torch.equal(moved[..., :40], still[..., :40]) and (moved[..., 50:] > still[..., 50:]).all()
