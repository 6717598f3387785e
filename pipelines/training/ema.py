"""The exponential moving average of a module's weights, which users get instead of the last ones.

diffusers' EMAModel is not used: its first decay is 0 instead of 0.1, which changes the averages, and it imports all of diffusers.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class Average:
    """Average the parameters of a module over steps, on its device and in its sharding; buffers stay the module's own.

    The decay warms up as (1 + n) / (10 + n) over n updates, as in TensorFlow's ExponentialMovingAverage, so that short runs
    don't keep their first weights.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self._parameters: list[torch.Tensor] = list(module.parameters())
        self._averages = [each.detach().clone() for each in self._parameters]

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Take in the parameters after an optimiser step; UPDATES came before, none at the first."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        torch._foreach_lerp_(self._averages, self._parameters, 1 - decay)

    @torch.no_grad()
    def reset(self) -> None:
        """Take the module's parameters as the average, as when a checkpoint's average was loaded into it."""
        for average, parameter in zip(self._averages, self._parameters, strict=True):
            average.copy_(parameter)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Put the average into the module for a while; its own parameters come back bit for bit."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for parameter, average in zip(self._parameters, self._averages, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)
