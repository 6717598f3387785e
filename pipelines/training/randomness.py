"""Random numbers of training: a generator for each sample, so that ranks, accumulation and restarts change nothing."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from instructme.model.devices import generator_on


def generators(seed: int, numbers: Sequence[int] | Tensor) -> list[torch.Generator]:
    """Make a CPU generator for each global sample number (b,): a pure function of both arguments."""
    numbers = numbers.tolist() if isinstance(numbers, Tensor) else numbers
    seeds = [np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] for number in numbers]
    return [torch.Generator().manual_seed(int(each)) for each in seeds]


def normal(sources: Sequence[torch.Generator], shape: Sequence[int], device: str | torch.device = "cpu") -> Tensor:
    """Draw standard normal noise (b, *SHAPE) on a device, sample by sample from a generator of the same seed."""
    return torch.stack([torch.randn(*shape, generator=generator_on(each, device), device=device) for each in sources])


def uniform(sources: Sequence[torch.Generator]) -> Tensor:
    """Draw one number in [0, 1) for each sample: (b,) on the CPU."""
    return torch.cat([torch.rand(1, generator=source) for source in sources])
