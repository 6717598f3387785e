"""Losses of the VAE against what they are by definition."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from instructme.model import losses
from instructme.model.config import VaeConfig
from instructme.model.presets import PAPER, SMALL
from instructme.model.vae import Posterior


def noise(seed: int, *shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


AUDIO, OTHER = noise(0, 3, 1, 4000), noise(1, 3, 1, 4000)
NO_DISTORTION = dataclasses.replace(SMALL.vae, distortion_weight=0.0)


def test_mse_is_the_papers() -> None:
    config = VaeConfig(reconstruction_weight=2.0)
    assert losses.reconstruction(OTHER, AUDIO, config) == pytest.approx(2 * float((OTHER - AUDIO).square().mean()))
    assert PAPER.vae.reconstruction == "mse" and PAPER.vae.distortion_weight == 0


@given(gain=st.floats(0.05, 20))
def test_level_changes_no_spectral_loss(gain: float) -> None:
    one = losses.reconstruction(OTHER, AUDIO, NO_DISTORTION)
    assert losses.reconstruction(gain * OTHER, gain * AUDIO, NO_DISTORTION) == pytest.approx(float(one), rel=1e-4)


def test_nothing_wrong_costs_nothing() -> None:
    assert losses.reconstruction(AUDIO, AUDIO, NO_DISTORTION) == 0
    assert losses.reconstruction(AUDIO, AUDIO, VaeConfig()) == 0


def test_spectral_distance_hears_what_is_missing() -> None:
    """White noise at half the amplitude: convergence 1/2, log magnitudes log 2 apart."""
    expected = 0.5 + torch.tensor(2.0).log()
    assert losses.spectral_distance(5 * AUDIO, 10 * AUDIO) == pytest.approx(float(expected), rel=0.02)


def test_phases_cost_samples_but_no_magnitudes() -> None:
    assert losses.spectral_distance(-AUDIO, AUDIO) < 1e-6 < losses.reconstruction(-AUDIO, AUDIO, NO_DISTORTION)


@pytest.mark.parametrize("snr_db", [0, 10, 25])
def test_distortion_is_minus_the_snr_in_bels(snr_db: float) -> None:
    error = OTHER / OTHER.square().mean(dim=(1, 2), keepdim=True).sqrt() * AUDIO.square().mean(dim=(1, 2), keepdim=True).sqrt()
    assert losses.distortion(AUDIO + 10 ** (-snr_db / 20) * error, AUDIO) == pytest.approx(-snr_db / 10, abs=0.01)


def test_silence_costs_nothing_and_breaks_no_gradient() -> None:
    silence = torch.zeros(2, 1, 3000)
    for config in (SMALL.vae, PAPER.vae):
        decoded = torch.zeros(2, 1, 3000, requires_grad=True)
        loss = losses.reconstruction(decoded, silence, config)
        loss.backward()
        assert loss == 0 and decoded.grad is not None and decoded.grad.isfinite().all()
        assert losses.reconstruction(0.01 * AUDIO, torch.zeros_like(AUDIO), config) > 0


def test_noise_in_silence_costs_no_more_than_the_same_noise_alone() -> None:
    """A clip of silence among others doesn't decide the step."""
    faint = 1e-4 * AUDIO / AUDIO.square().mean().sqrt()
    assert losses.reconstruction(faint, torch.zeros_like(AUDIO), NO_DISTORTION) < losses.reconstruction(
        torch.zeros_like(AUDIO), AUDIO, NO_DISTORTION
    )


@pytest.mark.parametrize("length", [1, 100, 257])
def test_short_clips_are_compared(length: int) -> None:
    loss = losses.reconstruction(OTHER[..., :length], AUDIO[..., :length], SMALL.vae)
    assert loss.isfinite()


def test_kl_is_that_of_torch() -> None:
    mean, log_variance = noise(2, 2, 3, 5), 10 * noise(3, 2, 3, 5)
    normal = torch.distributions.Normal
    truth = torch.distributions.kl_divergence(normal(mean, torch.exp(0.5 * log_variance)), normal(0.0, 1.0)).mean()
    assert losses.kl_divergence(Posterior(mean, log_variance)) == pytest.approx(float(truth), rel=1e-5)


def judged(*scores: float) -> list:
    return [(torch.full((2, 1, 3, 1), score), [torch.full((2, 4), abs(score) + 1)]) for score in scores]


def test_adversarial_losses_by_hand() -> None:
    real, fake = judged(0.5, 2.0), judged(-0.5, 0.0)
    assert losses.discriminator_loss(real, fake, "hinge") == pytest.approx(((0.5 + 0.5) + (0 + 1)) / 2)
    assert losses.discriminator_loss(real, fake, "least_squares") == pytest.approx(((0.25 + 0.25) + (1 + 0)) / 2)
    assert losses.adversarial_loss(fake, "hinge") == pytest.approx(0.25)
    assert losses.adversarial_loss(fake, "least_squares") == pytest.approx((2.25 + 1) / 2)
    assert losses.feature_distance(real, fake) == pytest.approx((0 + 2 / 3) / 2)


def test_judgements_of_a_joined_batch_come_apart() -> None:
    joined = [(torch.tensor([[1.0], [2.0]]), [torch.tensor([[3.0], [4.0]])])]
    real, fake = losses.split_judgements(joined, 1)
    assert (real[0][0].item(), real[0][1][0].item(), fake[0][0].item(), fake[0][1][0].item()) == (1, 3, 2, 4)


def test_losses_of_judgements_in_half_precision_are_computed_in_full() -> None:
    real, fake = losses.split_judgements([(torch.ones(2, 1).bfloat16(), [torch.full((2, 1), 1 / 3).bfloat16()])], 1)
    found = losses.adversarial_loss(fake, "hinge"), losses.feature_distance(real, fake)
    assert {each.dtype for each in found} == {torch.float32}


@given(gain=st.floats(0.01, 100))
def test_si_sdr_ignores_the_gain(gain: float) -> None:
    noisy = AUDIO + 0.3 * OTHER
    assert torch.allclose(losses.si_sdr_db(gain * noisy, AUDIO), losses.si_sdr_db(noisy, AUDIO), atol=1e-3)


def test_si_sdr_of_known_errors() -> None:
    along = (OTHER * AUDIO).sum(-1, keepdim=True) / AUDIO.square().sum(-1, keepdim=True) * AUDIO
    error = (OTHER - along) / (OTHER - along).norm(dim=-1, keepdim=True) * AUDIO.norm(dim=-1, keepdim=True)
    assert torch.allclose(losses.si_sdr_db(AUDIO + 0.1 * error, AUDIO), torch.full((3,), 20.0), atol=1e-3)
    assert losses.si_sdr_db(AUDIO, torch.zeros_like(AUDIO)).isnan().all()


def test_features_of_real_audio_are_not_taught() -> None:
    real, decoded = (torch.randn(2, 3, 5, requires_grad=True) for _ in range(2))
    losses.feature_distance([(real, [real])], [(decoded, [decoded])]).backward()
    assert real.grad is None and decoded.grad is not None
