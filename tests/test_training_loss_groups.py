"""Losses by task and noise level."""

import pytest
import torch

from instructme.pipelines.training import loss_groups


def test_losses_of_groups_are_means_over_their_members():
    """Over micro-batches of one size; the oracle averages the samples themselves."""
    losses, tasks = torch.arange(1.0, 7.0), ["add", "add", "remove", "add", "remove", "remove"]
    members = {name: [each == name for each in tasks] for name in ("add", "remove", "replace")}
    parts = [
        loss_groups.grouped(losses[first : first + 3], {name: each[first : first + 3] for name, each in members.items()})
        for first in (0, 3)
    ]
    averaged = {name: float(sum(part[name] for part in parts) / 2) for name in parts[0]}
    assert loss_groups.means({"loss": 3.5, **averaged}) == pytest.approx({"loss": 3.5, "add": 7 / 3, "remove": 14 / 3})
