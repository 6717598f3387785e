"""The average of weights: in force inside a block, and gone after it."""

import pytest
import torch
from torch import nn

from instructme.pipelines.training.ema import Average


def test_the_average_swaps_in_and_out_bit_for_bit():
    module = nn.Linear(3, 3)
    average = Average(module, 0.9)
    with torch.no_grad():
        module.weight.add_(1)
    average.update(100)
    kept = module.weight.detach().clone()
    with pytest.raises(ValueError, match="inside"), average.swapped():
        torch.testing.assert_close(module.weight, kept - 0.9)
        raise ValueError("inside")
    assert torch.equal(module.weight, kept)


def test_the_average_of_a_short_run_has_left_the_first_weights():
    module = nn.Linear(3, 3)
    average = Average(module, 0.9999)
    first = module.weight.detach().clone()
    with torch.no_grad():
        module.weight.add_(1)
    left = []
    for step in range(100):
        average.update(step)
        with average.swapped():
            left.append(float((module.weight - first).detach().mean()))
    assert left[0] == pytest.approx(0.9), "the first step replaces nine tenths"
    assert left[4] > 0.999


def test_the_average_of_a_long_run_changes_by_one_less_the_decay():
    module = nn.Linear(3, 3)
    average = Average(module, 0.9999)
    average.update(10**6)
    with torch.no_grad():
        module.weight.add_(1)
    average.update(10**6)
    kept = module.weight.detach().clone()
    with average.swapped():
        torch.testing.assert_close(module.weight.detach(), kept - 0.9999)
