"""Optimizers and learning rates as a preset asks for them, beside torch's own."""

import pytest
import torch
import toy_training as toy
from torch import nn

from instructme.pipelines.training.optimizers import optimizer, schedule


def test_the_learning_rate_warms_up_and_decays():
    training = toy.preset(steps=100, warmup_steps=10, decay="cosine", learning_rate=1.0).editor_training
    rates = [schedule(training, step) for step in range(101)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    # torch's own cosine is the oracle.
    weight = nn.Parameter(torch.zeros(1))
    peer = torch.optim.SGD([weight], lr=1.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(peer, T_max=90)
    for rate in rates[10:]:
        assert rate == pytest.approx(peer.param_groups[0]["lr"], abs=1e-6)
        peer.step()
        cosine.step()
    constant = toy.preset(steps=100, warmup_steps=0, decay="constant", learning_rate=0.25).editor_training
    assert {schedule(constant, step) for step in range(100)} == {0.25}


def test_the_optimizer_leaves_frozen_parameters_out():
    module = nn.Linear(2, 2)
    module.bias.requires_grad_(False)
    training = toy.preset(optimizer="adam", betas=(0.5, 0.6), weight_decay=0.1).editor_training
    made = optimizer(module.parameters(), training)
    assert type(made) is torch.optim.Adam and made.param_groups[0]["params"] == [module.weight]
    assert made.param_groups[0]["betas"] == (0.5, 0.6) and made.param_groups[0]["weight_decay"] == 0.1
