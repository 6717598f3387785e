"""Resampling inside a graph of gradients: pitch, level, length, and what it must not let through."""

import math

import pytest
import torch

from instructme.model.resample import resample

RATES = [(24000, 16000), (16000, 24000), (24000, 48000), (44100, 24000), (8000, 11025)]


def sine(hz: float, seconds: float, rate_hz: int) -> torch.Tensor:
    time = torch.arange(round(seconds * rate_hz), dtype=torch.float64) / rate_hz
    return torch.sin(2 * math.pi * hz * time).float()


@pytest.mark.parametrize(("old", "new"), RATES)
@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.25])
def test_a_tone_keeps_its_pitch_level_and_phase(old: int, new: int, seconds: float) -> None:
    heard = resample(sine(1000, seconds, old)[None, None], old, new)[0, 0]
    expected = sine(1000, seconds + 0.01, new)
    assert abs(len(heard) - seconds * new) < 1
    inner = slice(len(heard) // 8, -len(heard) // 8)
    assert float((heard - expected[: len(heard)])[inner].abs().max()) < 0.03


@pytest.mark.parametrize(("samples", "expected"), [(24000, 16000), (24001, 16001), (3, 2), (4, 3)])
def test_the_length_is_rounded_up(samples: int, expected: int) -> None:
    assert resample(torch.randn(2, 1, samples), 24000, 16000).shape == (2, 1, expected)


def test_what_the_lower_rate_cannot_hold_is_gone_and_what_it_can_stays() -> None:
    for hz, left in ((7500, 1.0), (8500, 0.0)):
        heard = resample(sine(hz, 1.0, 24000), 24000, 16000)[2000:-2000]
        assert float(heard.square().mean()) == pytest.approx(left / 2, abs=0.01)
    up = torch.fft.rfft(resample(torch.randn(16000), 16000, 24000)).abs()
    assert float(up[8200:].square().mean()) < 0.01 * float(up[:7800].square().mean())


def test_the_end_does_not_ring_into_the_beginning() -> None:
    loud = torch.zeros(23000)
    loud[-1] = 1.0
    assert float(resample(loud, 24000, 16000)[:5000].abs().max()) < 1e-3


def test_one_rate_is_no_change_and_any_precision_comes_out_as_float32() -> None:
    audio = torch.randn(1, 1, 100, dtype=torch.float64)
    assert torch.equal(resample(audio, 24000, 24000), audio.float())
    assert resample(audio, 24000, 16000).dtype == torch.float32


def test_gradients_go_through() -> None:
    audio = torch.randn(1, 1, 1000, requires_grad=True)
    resample(audio, 24000, 16000).square().sum().backward()
    assert audio.grad is not None and (audio.grad != 0).float().mean() > 0.99
