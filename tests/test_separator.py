"""The separator's network: shapes, questions by name and by words, level, silence."""

import pytest
import torch
from torch.nn import functional

from instructme.model.config import SeparatorConfig
from instructme.model.separator import Separator, _convolved

NAMES = ("drums", "electric bass", "piano")
FRAMES = SeparatorConfig(instruments=NAMES, width=24, encoder_layers=1, decoder_layers=2, condition_width=8, text_width=6)
BANDS = SeparatorConfig(
    instruments=NAMES,
    network="bands",
    width=32,
    head_channels=16,
    encoder_layers=1,
    decoder_layers=1,
    condition_width=8,
    text_width=6,
)
BOTH = pytest.mark.parametrize("config", [FRAMES, BANDS], ids=["frames", "bands"])


def network(config: SeparatorConfig) -> Separator:
    torch.manual_seed(0)
    return Separator(config).eval()


def separate(separator: Separator, mix: torch.Tensor, asked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Estimate parts (B, Q, T) of mixes (B, T), and logits of their presence."""
    spectrum = separator.stft(mix)
    mask, presence = separator(spectrum, asked)
    return separator.istft(spectrum[:, None] * mask, mix.shape[-1]), presence


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@BOTH
@pytest.mark.parametrize("length", [1, 511, 2048, 24_001])
@torch.no_grad()
def test_estimates_are_as_long_as_the_mix(config: SeparatorConfig, length: int) -> None:
    estimates, presence = separate(network(config), noise(2, length), torch.tensor([[0, 2, 1], [1, 1, 0]]))
    assert estimates.shape == (2, 3, length)
    assert presence.shape[:2] == (2, 3)
    assert estimates.isfinite().all()


@BOTH
@torch.no_grad()
def test_an_estimate_does_not_depend_on_the_other_questions(config: SeparatorConfig) -> None:
    separator, mix = network(config), noise(1, 12_000)
    both, _ = separate(separator, mix, torch.tensor([[0, 2]]))
    alone, _ = separate(separator, mix, torch.tensor([[2]]))
    torch.testing.assert_close(both[:, 1:], alone, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(both[:, 0], both[:, 1], atol=1e-4)


@BOTH
@torch.no_grad()
def test_an_estimate_follows_the_level_of_the_mix(config: SeparatorConfig) -> None:
    separator, mix, asked = network(config), noise(1, 12_000), torch.tensor([[1]])
    loud, _ = separate(separator, mix, asked)
    soft, _ = separate(separator, 0.01 * mix, asked)
    torch.testing.assert_close(100 * soft, loud, rtol=0.02, atol=2e-3)


@BOTH
@torch.no_grad()
def test_silence_stays_silent(config: SeparatorConfig) -> None:
    estimates, _ = separate(network(config), torch.zeros(1, 5000), torch.tensor([[0]]))
    assert not estimates.any()


@torch.no_grad()
def test_a_mask_of_frames_never_makes_a_bin_louder() -> None:
    separator = network(FRAMES)
    mask, _ = separator(separator.stft(noise(1, 9000)), torch.tensor([[0]]))
    assert mask.min() >= 0 and mask.max() <= 1


def test_words_and_names_are_added_and_each_can_be_left_out() -> None:
    separator, text = network(FRAMES), noise(1, 1, 6)
    name, nothing = torch.tensor([[1]]), torch.tensor([[-1]])
    both = separator.condition(name, text)
    torch.testing.assert_close(both, separator.condition(name) + separator.condition(nothing, text))
    torch.testing.assert_close(separator.condition(name, text * torch.nan), separator.condition(name))
    assert not separator.condition(nothing).any()


@BOTH
def test_every_parameter_learns(config: SeparatorConfig) -> None:
    separator = network(config)
    mask, presence = separator(separator.stft(noise(1, 9000)), torch.tensor([[0, 1]]), noise(1, 2, 6))
    (mask.abs().mean() + presence.mean()).backward()
    assert [name for name, each in separator.named_parameters() if each.grad is None] == []


@pytest.mark.parametrize("dilation", [1, 2, 16])
def test_frames_are_convolved_as_torch_does(dilation: int) -> None:
    layer, x = torch.nn.Conv1d(5, 7, 3, dilation=dilation), torch.randn(2, 20, 5)
    expected = functional.conv1d(x.mT, layer.weight, layer.bias, padding=dilation, dilation=dilation).mT
    torch.testing.assert_close(_convolved(x, layer), expected)
