"""The diffusion process against diffusers and torch.distributions."""

import dataclasses
from typing import Any

import diffusers
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from instructme.model.conditions import Conditions
from instructme.model.config import DiffusionConfig, ModelError
from instructme.model.diffusion import Diffusion, Draw, betas
from instructme.model.guidance import Scales

PRINTED = DiffusionConfig()
TERMINAL = DiffusionConfig(prediction="v", zero_terminal_snr=True, learned_variance=False, terminal_share=0.25)
SHAPE = (4, 3, 16)


def generators(count: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed * 1000 + number) for number in range(count)]


def oracle(config: DiffusionConfig) -> diffusers.DDPMScheduler:
    return diffusers.DDPMScheduler(
        config.steps,
        config.beta_start,
        config.beta_end,
        "linear",
        rescale_betas_zero_snr=config.zero_terminal_snr,
        prediction_type="v_prediction" if config.prediction == "v" else "epsilon",
    )


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return torch.randn(SHAPE, generator=random), torch.randn(SHAPE, generator=random), torch.tensor([0, 1, 500, 999])


def fixed(output: torch.Tensor) -> Any:
    """Make a denoiser that answers the same whatever it is asked."""
    return lambda noisy, step, conditions: output


@pytest.mark.parametrize("config", [PRINTED, TERMINAL])
def test_schedule_noise_and_velocity_are_those_of_diffusers(config: DiffusionConfig) -> None:
    clean, noise, steps = batch()
    ours, theirs = Diffusion(config), oracle(config)
    assert torch.allclose(betas(config)[:-1].float(), theirs.betas[:-1], atol=1e-4, rtol=1e-4)
    assert torch.allclose(ours.noisy(clean, noise, steps), theirs.add_noise(clean, noise, steps), atol=2e-3)
    wanted = theirs.get_velocity(clean, noise, steps) if config.prediction == "v" else noise
    assert torch.allclose(ours.wanted(clean, noise, steps), wanted, atol=2e-3)


def test_the_last_step_of_a_terminal_schedule_is_noise() -> None:
    kept = (1 - betas(TERMINAL)).cumprod(0)
    assert kept[-1] < 1e-9 and kept[0] == pytest.approx(1 - 1e-4)
    assert (1 - betas(PRINTED)).cumprod(0)[-1] > 3e-5


@pytest.mark.parametrize("config", [PRINTED, TERMINAL])
def test_predictions_and_clean_latents_are_two_views_of_one_thing(config: DiffusionConfig) -> None:
    clean, noise, steps = batch()
    diffusion = Diffusion(config)
    clean, noise = clean.double(), noise.double()
    noisy, wanted = diffusion.noisy(clean, noise, steps), diffusion.wanted(clean, noise, steps)
    assert torch.allclose(diffusion.clean(wanted, noisy, steps), clean, atol=1e-9)
    assert torch.allclose(diffusion.predicted(clean, noisy, steps), wanted, atol=1e-9)


def test_the_bound_is_the_divergence_of_the_two_posteriors() -> None:
    clean, noise, steps = batch()
    config = dataclasses.replace(PRINTED, learned_variance=True)
    diffusion = Diffusion(config)
    clean, noise = clean.double(), noise.double()
    predicted, share = noise + 0.1 * clean, torch.tanh(clean.flip(0))
    losses = diffusion.losses(fixed(torch.cat([predicted, share], dim=1).float()), clean, conditions(), draw(steps, noise))
    theirs = oracle(config)
    kept = theirs.alphas_cumprod.double()
    for number, step in enumerate(steps.tolist()):
        before = kept[step - 1] if step else torch.tensor(1.0)
        beta = 1 - kept[step] / before
        noisy = kept[step].sqrt() * clean[number] + (1 - kept[step]).sqrt() * noise[number]
        estimate = (noisy - (1 - kept[step]).sqrt() * predicted[number].float()) / kept[step].sqrt()
        posterior = beta * (1 - before) / (1 - kept[step])
        if step == 0:  # the variance is clipped to that of the next step
            posterior = diffusion.betas[1] * (1 - kept[0]) / (1 - kept[1])
        variance = (((share[number].float() + 1) / 2) * beta.log() + ((1 - share[number].float()) / 2) * posterior.log()).exp()

        def mean(x0: torch.Tensor) -> torch.Tensor:
            return (beta * before.sqrt() * x0 + (1 - before) * (1 - beta).sqrt() * noisy) / (1 - kept[step])  # noqa: B023

        made = Normal(mean(estimate), variance.sqrt())
        if step:
            expected = kl_divergence(Normal(mean(clean[number]), posterior.sqrt()), made).mean()
        else:
            expected = -made.log_prob(clean[number]).mean()
        assert losses["bound"][number].item() == pytest.approx(expected.item(), rel=2e-3, abs=1e-4)
    assert torch.allclose(losses["loss"], losses["simple"] + losses["bound"] * PRINTED.variance_weight * 1000)


def test_the_bound_trains_the_variance_alone() -> None:
    clean, noise, steps = batch()
    output = torch.randn(len(clean), 2 * clean.shape[1], clean.shape[2], requires_grad=True)
    diffusion = Diffusion(dataclasses.replace(PRINTED, learned_variance=True))
    diffusion.losses(fixed(output), clean, conditions(), draw(steps, noise))["bound"].sum().backward()
    assert output.grad is not None
    of_mean, of_variance = output.grad.chunk(2, dim=1)
    assert not of_mean.any() and of_variance.any()


def conditions() -> Conditions:
    return Conditions(torch.zeros(4, 1, 1), torch.ones(4, 1, dtype=torch.bool), torch.zeros(SHAPE))


def draw(steps: torch.Tensor, noise: torch.Tensor) -> Draw:
    drawn = Diffusion(PRINTED).draw(generators(4), SHAPE[1:])
    return dataclasses.replace(drawn, steps=steps, noise=noise)


def test_a_perfect_denoiser_has_no_loss() -> None:
    clean, noise, steps = batch()
    diffusion = Diffusion(TERMINAL)
    losses = diffusion.losses(fixed(diffusion.wanted(clean, noise, steps)), clean, conditions(), draw(steps, noise))
    assert losses["loss"].max() < 1e-10


def test_the_logarithm_of_a_loss_weighs_soft_and_loud_samples_alike() -> None:
    clean, noise, steps = batch()
    output = torch.zeros(SHAPE, requires_grad=True)
    loud = clean * torch.tensor([1.0, 1.0, 1.0, 10.0])[:, None, None]
    diffusion = Diffusion(dataclasses.replace(TERMINAL, loss="log"))
    last = torch.full_like(steps, 999)
    losses = diffusion.losses(fixed(output), loud, conditions(), draw(last, noise))["loss"]
    squares = Diffusion(TERMINAL).losses(fixed(output), loud, conditions(), draw(last, noise))["loss"]
    assert torch.allclose(losses, squares.log(), atol=2e-3)
    losses.sum().backward()
    assert output.grad is not None
    pushed = (output.grad * diffusion.wanted(loud, noise, last)).sum(dim=(1, 2))
    assert torch.allclose(pushed, pushed[:1].expand(4), rtol=2e-3), "each sample pulls as hard"


def test_pure_noise_says_nothing_where_the_input_is_scaled() -> None:
    _, noise, steps = batch()
    scaled = Diffusion(dataclasses.replace(TERMINAL, scale_input=True))
    entering = scaled.entering(noise, steps)
    assert entering[-1].abs().max() < 1e-4 and torch.allclose(entering[0], noise[0], rtol=1e-3)
    assert torch.equal(Diffusion(TERMINAL).entering(noise, steps), noise)


def test_a_draw_depends_on_each_generator_alone() -> None:
    diffusion = Diffusion(TERMINAL)
    together = diffusion.draw(generators(6), (3, 16))
    apart = [diffusion.draw([generator], (3, 16)) for generator in generators(6)]
    for field in dataclasses.fields(together):
        joined = torch.cat([getattr(each, field.name) for each in apart])
        assert torch.equal(getattr(together, field.name), joined)


def test_shares_of_the_draw_are_those_of_the_preset() -> None:
    drawn = Diffusion(dataclasses.replace(TERMINAL, text_dropout=0.3)).draw(generators(3000), (1, 1))
    assert (drawn.steps == 999).float().mean() == pytest.approx(0.25, abs=0.03)
    assert drawn.keep_text.float().mean() == pytest.approx(0.7, abs=0.03)
    assert drawn.keep_source.float().mean() == pytest.approx(0.95, abs=0.02)
    assert drawn.keep_chords.float().mean() == pytest.approx(0.9, abs=0.02)
    assert drawn.steps.min() < 5 and drawn.noise.std() == pytest.approx(1, abs=0.05)


def test_joint_dropout_trains_each_prediction_that_guidance_takes() -> None:
    """The shares of the preset are those of samples with no condition, the source alone, and source and chords."""
    joint = dataclasses.replace(TERMINAL, joint_dropout=True, source_dropout=0.1, chord_dropout=0.2, text_dropout=0.3)
    drawn = Diffusion(joint).draw(generators(3000), (1, 1))
    kept = torch.stack([drawn.keep_text, drawn.keep_source, drawn.keep_chords], dim=1).tolist()
    shares = {keep: kept.count(list(keep)) / 3000 for _, keep in Scales(2.0, 3.0, 4.0).weights()}
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.03)


@pytest.mark.parametrize(("steps", "sampling_steps"), [(1, 1), (10, 11)])
def test_too_few_steps_are_explained(steps: int, sampling_steps: int) -> None:
    with pytest.raises(ModelError, match=r"set diffusion\.steps to 2 or more"):
        Diffusion(dataclasses.replace(TERMINAL, steps=steps, sampling_steps=sampling_steps))
