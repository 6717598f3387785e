"""The VAE: the paper's size, any length, a linear path that is an MDCT, silence and level, chunks, the scaled latent."""

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from instructme.model.config import ModelError, VaeConfig
from instructme.model.presets import PAPER, PRESETS, SMALL
from instructme.model.residual import Down, Up
from instructme.model.spectrum import EMPHASIS_START, Spectrum, lapped_transform
from instructme.model.vae import Posterior, Vae, parameter_counts

WAVEFORM = VaeConfig(strides=(4, 3, 2), encoder_channels=(4, 4, 4), decoder_channels=(8, 4, 4), kernels=(3, 5), latent_channels=3)
HOP = 16
SPECTRAL = dataclasses.replace(
    SMALL.vae, fft_samples=2 * HOP, hop_samples=HOP, latent_channels=6, encoder_channels=(8,), decoder_channels=(8,)
)
STRIDED = dataclasses.replace(SPECTRAL, linear_path=False, strides=(2, 3), encoder_channels=(8, 4), decoder_channels=(4, 8))


def trained(config: VaeConfig) -> Vae:
    """Build a VAE whose every weight matters, as after training."""
    torch.manual_seed(0)
    vae = Vae(config).eval()
    for parameter in vae.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return vae


def music(length: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(1, 1, length, generator=torch.Generator().manual_seed(seed))


def test_paper_has_the_printed_size() -> None:
    counts = parameter_counts(PAPER)
    assert sum(counts.values()) == pytest.approx(69.8e6, rel=0.02)
    assert counts["encoder"] == pytest.approx(2.8e6, rel=0.02)
    assert counts["decoder"] == pytest.approx(25.9e6, rel=0.02)
    assert counts["period"] == pytest.approx(41.1e6, rel=0.02)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_presets_fit_together(preset) -> None:
    with torch.device("meta"):
        vae = Vae(preset.vae)
    assert vae.hop_samples == preset.hop_samples
    assert sum(each.numel() for each in vae.parameters()) == sum(
        count for name, count in parameter_counts(preset).items() if name in ("encoder", "decoder", "linear path")
    )
    assert preset.sample_rate_hz / preset.hop_samples * preset.vae.latent_channels >= 1000


@pytest.mark.parametrize("config", [WAVEFORM, SPECTRAL, STRIDED], ids=["waveform", "stft", "strided stft"])
@settings(max_examples=25)
@given(length=st.integers(1, 500))
def test_any_length_comes_back(config: VaeConfig, length: int) -> None:
    vae = trained(config)
    with torch.no_grad():
        latent = vae.to_latent(music(length))
        assert latent.shape == (1, config.latent_channels, -(-length // vae.hop_samples))
        assert vae.from_latent(latent, length).shape == (1, 1, length)
        decoded, posterior = vae(music(length), torch.randn_like(latent))
    assert decoded.isfinite().all() and posterior.log_variance.shape == latent.shape


@given(stride=st.integers(1, 7), frames=st.integers(1, 9))
def test_resampling_keeps_the_ratio(stride: int, frames: int) -> None:
    assert Down(2, 3, stride)(torch.randn(1, 2, frames * stride)).shape == (1, 3, frames)
    assert Up(2, 3, stride)(torch.randn(1, 2, frames)).shape == (1, 3, frames * stride)


def test_spectrum_is_that_of_scipy_and_inverts() -> None:
    audio = music(7 * HOP)
    spectrum = Spectrum(2 * HOP, HOP)
    window = np.sin(np.pi * (np.arange(2 * HOP) + 0.5) / (2 * HOP))
    padded = np.pad(audio[0, 0].numpy(), HOP // 2)
    frames = [scipy.fft.rfft(window * padded[start : start + 2 * HOP], norm="ortho") for start in range(0, 7 * HOP, HOP)]
    expected = np.stack([np.concatenate([frame.real, frame.imag]) for frame in frames], axis=1)
    assert np.allclose(spectrum(audio)[0].numpy(), expected, atol=1e-6)
    assert torch.allclose(spectrum.inverse(spectrum(audio)), audio, atol=1e-6)


def test_longer_windows_invert_too() -> None:
    audio = music(9 * HOP)
    spectrum = Spectrum(4 * HOP, HOP)
    assert torch.allclose(spectrum.inverse(spectrum(audio)), audio, atol=1e-5)


def test_linear_path_starts_as_an_mdct() -> None:
    """Fold each windowed frame and take scipy's DCT-IV: the textbook way to an MDCT."""
    audio, half = music(5 * HOP), HOP // 2
    analysis, _ = lapped_transform(HOP, HOP)
    window = np.sin(np.pi * (np.arange(2 * HOP) + 0.5) / (2 * HOP))
    padded = np.pad(audio[0, 0].double().numpy(), half)
    expected = []
    for start in range(0, 5 * HOP, HOP):
        a, b, c, d = np.split(window * padded[start : start + 2 * HOP], 4)
        expected.append(scipy.fft.dct(np.concatenate([-c[::-1] - d, a - b[::-1]]), type=4, norm="ortho"))
    lifted = np.sqrt(1 + np.arange(HOP) / EMPHASIS_START)[:, None] * np.stack(expected, axis=1)
    assert np.allclose((analysis @ Spectrum(2 * HOP, HOP)(audio))[0].numpy(), lifted, atol=1e-5)


@given(length=st.integers(1, 300))
def test_linear_path_with_all_channels_loses_nothing(length: int) -> None:
    vae = Vae(dataclasses.replace(SPECTRAL, latent_channels=HOP))
    audio = music(length)
    assert torch.allclose(vae(audio)[0], audio, atol=1e-5)


def test_small_keeps_what_lies_in_its_band_before_any_training() -> None:
    vae = Vae(SMALL.vae)
    time = torch.arange(24000) / 24000
    for hz, kept in ((440, True), (2000, True), (5000, False)):
        tone = 0.3 * torch.sin(2 * torch.pi * hz * time)[None, None]
        error = (vae(tone)[0] - tone).square().mean() / tone.square().mean()
        assert (error < 1e-3) == kept


def test_silence_stays_silent_and_level_does_not_matter() -> None:
    vae = trained(SPECTRAL)
    audio = music(20 * HOP)
    with torch.no_grad():
        assert vae(torch.zeros(1, 1, 100))[0].abs().max() == 0
        assert vae.to_latent(torch.zeros(1, 1, 100)).abs().max() == 0
        assert torch.allclose(vae(0.01 * audio)[0], 0.01 * vae(audio)[0], atol=1e-7, rtol=1e-3)


@pytest.mark.parametrize("config", [WAVEFORM, SPECTRAL], ids=["waveform", "stft"])
def test_chunks_join_to_the_whole(config: VaeConfig) -> None:
    """Overlapping chunks, encoded and decoded each by itself, agree with the whole away from their edges."""
    vae = trained(config)
    chunk, margin = 80 * vae.hop_samples, 30 * vae.hop_samples
    audio = music(200 * vae.hop_samples)
    with torch.no_grad():
        whole = vae(audio)[0]
        for start in range(0, audio.shape[-1] - chunk + 1, 40 * vae.hop_samples):
            part = vae(audio[..., start : start + chunk])[0]
            inner = slice(start + margin, start + chunk - margin)
            assert torch.allclose(part[..., margin:-margin], whole[..., inner], atol=1e-5)


@pytest.mark.parametrize("config", [WAVEFORM, SPECTRAL], ids=["waveform", "stft"])
def test_reach_of_a_frame_is_bounded(config: VaeConfig) -> None:
    """A change reaches a fixed neighbourhood only, so that time and memory grow with the length and no faster."""
    vae = trained(config)
    audio = music(200 * vae.hop_samples)
    changed = audio.clone()
    changed[..., 100 * vae.hop_samples] += 1
    with torch.no_grad():
        moved = (vae.to_latent(audio) - vae.to_latent(changed))[0].abs().amax(dim=0)
    frames = (moved > 0).nonzero()[:, 0]
    assert 0 < len(frames) < 60 and abs(float(frames.float().mean()) - 100) < 3


def test_latent_is_fitted_to_unit_variance() -> None:
    vae = trained(dataclasses.replace(WAVEFORM, strides=(2, 2, 1)))
    audio = torch.cat([music(400, seed) for seed in range(8)])
    with torch.no_grad():
        z = vae.encode(audio).mean
        vae.fit_latent(z)
        latent = vae.to_latent(audio)
        assert torch.allclose(latent.mean(dim=(0, 2)), torch.zeros(3), atol=1e-4)
        assert float(latent.square().mean()) == pytest.approx(1, rel=1e-3)
        assert torch.allclose(vae.from_latent(latent, 400), vae.decode(z, 400), atol=1e-6)
    state = vae.state_dict()
    assert {"latent_mean", "latent_scale"} <= set(state) and "spectrum.window" not in state


def test_posterior_draws_what_it_says() -> None:
    posterior = Posterior(torch.full((1, 1, 20000), 2.0), torch.full((1, 1, 20000), 0.5).log() * 2)
    drawn = posterior.sample(torch.randn(1, 1, 20000, generator=torch.Generator().manual_seed(0)))
    assert float(drawn.mean()) == pytest.approx(2, abs=0.02) and float(drawn.std()) == pytest.approx(0.5, rel=0.02)


def test_gradients_reach_every_weight() -> None:
    for config in (WAVEFORM, SPECTRAL, STRIDED):
        vae = trained(config)
        decoded, posterior = vae(music(200), torch.ones(1, config.latent_channels, -(-200 // vae.hop_samples)))
        (decoded.square().sum() + posterior.log_variance.sum()).backward()
        missing = [name for name, each in vae.named_parameters() if each.grad is None or not each.grad.any()]
        assert not missing


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strides": (4, 4)}, "equal lengths"),
        ({"discriminators": ("mel",)}, "choose from period, band"),
        ({"hop_samples": 2}, "transform=stft"),
        ({"linear_path": True}, "linear_path needs"),
        ({"transform": "stft", "fft_samples": 7, "hop_samples": 5}, "doesn't fit"),
    ],
)
def test_sizes_that_do_not_fit_are_one_line(changes: dict, said: str) -> None:
    with pytest.raises(ModelError, match=said) as error:
        Vae(dataclasses.replace(VaeConfig(), **changes))
    assert "\n" not in str(error.value)


def test_a_latent_that_is_too_short_is_one_line() -> None:
    with pytest.raises(ModelError, match="can't make 100 samples"):
        trained(SPECTRAL).decode(torch.zeros(1, 6, 2), 100)


def test_paper_mirrors_its_channels() -> None:
    assert all(after == 2 * before for before, after in pairwise(PAPER.vae.encoder_channels))
    assert all(before == 2 * after for before, after in pairwise(PAPER.vae.decoder_channels))


def test_the_latent_lifts_high_frequencies_by_3_db_after_8_coefficients_and_6_db_after_24() -> None:
    """Music's spectrum falls about so; unlifted, its high coefficients would drown in the latent's noise."""
    noise = torch.randn(1, 1, 4000 * HOP, generator=torch.Generator().manual_seed(0))
    analysis, _ = lapped_transform(HOP, HOP)
    power = (analysis @ Spectrum(2 * HOP, HOP)(noise))[0].square().mean(dim=1)
    octaves = 10 * torch.log10(power / power[0])
    for coefficient in range(HOP):
        assert octaves[coefficient] == pytest.approx(10 * math.log10(1 + coefficient / 8), abs=0.5)
