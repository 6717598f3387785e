"""The layers that the denoiser and the source's encoder share: what passes unchanged, what each input does."""

import math

import pytest
import torch

from instructme.model.blocks import ResidualBlock, StepEmbedding, Upsample, conv, norm, silent


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (32, 32), (48, 1), (7, 1)])
def test_norm_levels_each_group_over_time(channels: int, groups: int) -> None:
    levelled = norm(channels)(5 + 3 * torch.randn(2, channels, 50)).unflatten(1, (groups, -1))
    torch.testing.assert_close(levelled.mean(dim=(2, 3)), torch.zeros(2, groups), atol=1e-5, rtol=0)
    torch.testing.assert_close(levelled.std(dim=(2, 3), correction=0), torch.ones(2, groups), atol=1e-4, rtol=0)


def test_norm_keeps_very_soft_features_apart_from_silence() -> None:
    soft = 1e-2 * torch.randn(1, 64, 50)
    assert float(norm(64)(soft).detach().std()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("stride", "frames"), [(1, 20), (2, 10)])
def test_conv_keeps_or_halves_the_frames(stride: int, frames: int) -> None:
    assert conv(4, 6, stride)(torch.randn(1, 4, 20)).shape == (1, 6, frames)


def test_conv_sees_one_frame_on_each_side() -> None:
    layer, features = conv(4, 4), torch.randn(1, 4, 20)
    other = features.clone()
    other[..., 10] += 1
    assert (layer(features) != layer(other)).any(dim=1)[0].nonzero().flatten().tolist() == [9, 10, 11]


def test_a_new_block_is_its_shortcut() -> None:
    features = torch.randn(2, 32, 20)
    assert torch.equal(ResidualBlock(32, 32)(features), features)
    wider = ResidualBlock(32, 64, step_width=8)
    assert torch.equal(wider(features, torch.randn(2, 8)), wider.shortcut(features))
    narrower = ResidualBlock(32, 8)
    assert torch.equal(narrower(features), narrower.shortcut(features)) and narrower(features).shape == (2, 8, 20)
    assert not silent(conv(3, 3)).bias.any()


def test_the_step_scales_and_shifts_what_lies_between_the_convolutions() -> None:
    block, features = ResidualBlock(32, 32, step_width=8), torch.randn(2, 32, 20)
    torch.nn.init.normal_(block.leave.weight)
    one, other = torch.randn(2, 2, 8)
    assert not torch.allclose(block(features, one), block(features, other), atol=1e-3)
    torch.nn.init.zeros_(block.step.weight)
    torch.nn.init.zeros_(block.step.bias)
    torch.testing.assert_close(block(features, one), block(features))
    block.step.bias.data[:32] = 1.0
    doubled = ResidualBlock(32, 32)
    doubled.load_state_dict({name: values for name, values in block.state_dict().items() if "step" not in name})
    doubled.leave_norm.weight.data *= 2
    torch.testing.assert_close(block(features, one), doubled(features))
    block.step.bias.data = torch.cat([torch.zeros(32), torch.ones(32)])
    doubled.leave_norm.weight.data /= 2
    doubled.leave_norm.bias.data += 1
    torch.testing.assert_close(block(features, one), doubled(features))


def test_upsampling_repeats_each_frame() -> None:
    layer, features = Upsample(4), torch.randn(1, 4, 10)
    assert layer(features).shape == (1, 4, 20)
    torch.testing.assert_close(layer(features), layer.conv(features.repeat_interleave(2, dim=-1)))


def test_steps_are_told_apart_from_the_first_to_the_last() -> None:
    """Slow waves tell far steps apart, fast ones near steps: wavelengths from 2 pi to nearly 20,000 pi."""
    embedding, waves = StepEmbedding(64), []
    embedding.layers.register_forward_pre_hook(lambda _, inputs: waves.append(inputs[0]))
    embedded = embedding(torch.arange(1000))
    assert embedded.shape == (1000, 256)
    fastest, slowest = waves[0][:, 32], waves[0][:, 63]
    torch.testing.assert_close(fastest, torch.arange(1000).float().sin())
    torch.testing.assert_close(slowest, (torch.arange(1000) * 10000 ** (-31 / 32)).float().sin(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(waves[0][:, :32].square() + waves[0][:, 32:].square(), torch.ones(1000, 32))
    assert (torch.cdist(waves[0], waves[0]) + 9 * torch.eye(1000)).min() > 0.1
    assert math.isclose(float(waves[0][0, :32].sum()), 32)
