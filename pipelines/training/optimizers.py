"""Build optimisers and the schedule of the learning rate."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from instructme.model.config import TrainingConfig


def optimizer(parameters: Iterable[nn.Parameter], training: TrainingConfig) -> torch.optim.Optimizer:
    """Build Adam or AdamW, as `training.optimizer` says, over the parameters that need gradients."""
    kind = torch.optim.Adam if training.optimizer == "adam" else torch.optim.AdamW
    trained = [each for each in parameters if each.requires_grad]
    return kind(trained, lr=training.learning_rate, betas=training.betas, weight_decay=training.weight_decay)


def schedule(training: TrainingConfig, step: int) -> float:
    """Return the learning rate of a step: linear warm-up, then constant or half a cosine down to 0 at `training.steps`."""
    if step < training.warmup_steps:
        return training.learning_rate * (step + 1) / training.warmup_steps
    if training.decay == "constant":
        return training.learning_rate
    share = (step - training.warmup_steps) / max(training.steps - training.warmup_steps, 1)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
