"""The VAE's residual blocks: what starts as the identity, what is averaged, and which frame goes where."""

import pytest
import torch
from torch.nn import functional

from instructme.model.residual import Down, MultiReceptive, Up, WaveBlock


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("dilations", [(1,), (1, 3, 5)])
@pytest.mark.parametrize("kernel", [3, 7])
def test_a_block_adds_to_its_input_and_reaches_as_far_as_its_dilations(kernel: int, dilations: tuple[int, ...]) -> None:
    block, features = WaveBlock(4, kernel, dilations), torch.randn(1, 4, 101)
    other = features.clone()
    other[..., 50] += 1
    changed = (block(features) != block(other)).any(dim=1)[0].nonzero().flatten()
    reach = sum((kernel - 1) // 2 * (dilation + 1) for dilation in dilations)
    assert (int(changed.min()), int(changed.max())) == (50 - reach, 50 + reach)
    for layer in block.plain:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    assert torch.equal(block(features), features)


def test_a_pair_of_convolutions_by_hand() -> None:
    block, features = WaveBlock(4, 3, (2,)), torch.randn(1, 4, 20)
    inner = block.wide[0](torch.where(features > 0, features, 0.1 * features))
    expected = features + block.plain[0](torch.where(inner > 0, inner, 0.1 * inner))
    torch.testing.assert_close(block(features), expected)


def test_kernel_sizes_are_averaged() -> None:
    fused, features = MultiReceptive(4, (3, 7, 11), (1, 3)), torch.randn(1, 4, 40)
    expected = torch.stack([block(features) for block in fused.blocks]).mean(dim=0)
    torch.testing.assert_close(fused(features), expected)
    assert [block.wide[0].kernel_size for block in fused.blocks] == [(3,), (7,), (11,)]


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5])
def test_down_centres_each_frame_on_those_it_stands_for(stride: int) -> None:
    """An output frame sees its own `stride` frames and half as many on each side; length 1 sees itself alone."""
    layer, features = Down(2, 3, stride), torch.randn(1, 2, 20 * stride, requires_grad=True)
    layer(features)[0, :, 10].sum().backward()
    assert features.grad is not None
    seen = features.grad[0].abs().sum(0).nonzero().flatten().tolist()
    before = stride // 2 if stride > 1 else 0
    after = stride - stride // 2 if stride > 1 else 0
    assert seen == list(range(10 * stride - before, 11 * stride + after))


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5])
def test_up_spreads_each_frame_over_those_it_stands_for(stride: int) -> None:
    layer, features = Up(2, 3, stride), torch.randn(1, 2, 20)
    assert layer(features).shape == (1, 3, 20 * stride)
    other = features.clone()
    other[..., 10] += 1
    changed = (layer(features) != layer(other)).any(dim=1)[0].nonzero().flatten().tolist()
    assert len(changed) == (2 * stride if stride > 1 else 1)
    assert abs(sum(changed) / len(changed) - (10.5 * stride - 0.5)) <= 0.5, "centred"


def test_up_softens_negative_values_first() -> None:
    layer, features = Up(2, 3, 2), -torch.rand(1, 2, 20) - 0.1
    torch.testing.assert_close(layer(features), layer.conv(functional.leaky_relu(features, 0.1)))
    assert not torch.allclose(layer(features), layer.conv(features))


def test_layers_without_bias_keep_silence() -> None:
    silence = torch.zeros(1, 4, 12)
    for layer in (WaveBlock(4, 3, (1, 3), bias=False), MultiReceptive(4, (3,), (1,), bias=False)):
        assert not layer(silence).any()
    assert not Down(4, 4, 2, bias=False)(silence).any() and not Up(4, 4, 2, bias=False)(silence).any()
    assert Down(4, 4, 2)(silence).any() and Up(4, 4, 2)(silence).any() and WaveBlock(4, 3, (1,))(silence).any()
    assert MultiReceptive(4, (3,), (1,))(silence).any()
