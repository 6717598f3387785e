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
