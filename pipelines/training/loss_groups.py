"""Losses of groups of samples, such as the tasks in a batch, that are averaged right over micro-batches and ranks."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_TOTAL, _SHARE = "total of ", "share of "


def grouped(losses: Tensor, groups: Mapping[str, Sequence[bool]]) -> dict[str, Tensor]:
    """Sum the losses (b,) of the members of each group, and count them, both over b; `means` makes means of these averages."""
    members = torch.tensor([*groups.values()], dtype=losses.dtype).to(losses.device, non_blocking=True)
    totals, shares = members @ losses.detach() / len(losses), members.mean(dim=1)
    values = {f"{_TOTAL}{name}": total for name, total in zip(groups, totals, strict=True)}
    return values | {f"{_SHARE}{name}": share for name, share in zip(groups, shares, strict=True)}


def means(values: Mapping[str, float]) -> dict[str, float]:
    """Put the mean loss of each group that has members in place of what `grouped` gave."""
    other = {name: value for name, value in values.items() if not name.startswith((_TOTAL, _SHARE))}
    shares = {name.removeprefix(_SHARE): value for name, value in values.items() if name.startswith(_SHARE)}
    return other | {name: values[f"{_TOTAL}{name}"] / share for name, share in shares.items() if share}
