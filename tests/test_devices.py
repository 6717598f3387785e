"""Devices: what torch has is taken, anything else is one line."""

import pytest
import torch

from instructme.model.config import ModelError
from instructme.model.devices import check_device


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_the_processor_is_always_there(device) -> None:
    check_device(device)


@pytest.mark.parametrize("device", ["gpu", "cuda:77", "meta"])
def test_what_torch_cannot_use_is_one_line(device: str) -> None:
    with pytest.raises(ModelError, match=f"can't use the device {device}: take cpu, or one that torch finds") as raised:
        check_device(device)
    assert "\n" not in str(raised.value)
