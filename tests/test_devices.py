"""Devices: what torch has is taken, anything else is one line."""

from types import SimpleNamespace

import pytest
import torch

from instructme.model.config import ModelError
from instructme.model.devices import check_device, generator_on


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_the_processor_is_always_there(device) -> None:
    check_device(device)


@pytest.mark.parametrize("device", ["gpu", "cuda:77", "meta"])
def test_what_torch_cannot_use_is_one_line(device: str) -> None:
    with pytest.raises(ModelError, match=f"can't use the device {device}: take cpu, or one that torch finds") as raised:
        check_device(device)
    assert "\n" not in str(raised.value)


def test_a_generator_that_is_on_the_device_is_used_itself() -> None:
    source = torch.Generator().manual_seed(3)
    torch.rand(5, generator=source)
    assert generator_on(source, "cpu") is source


@pytest.mark.parametrize("elsewhere", ["cuda", "mps"])
def test_a_generator_of_another_device_gives_its_seed(elsewhere: str) -> None:
    source = SimpleNamespace(device=torch.device(elsewhere), initial_seed=lambda: 3)
    made = generator_on(source, "cpu")  # type: ignore[arg-type]
    assert made.device.type == "cpu" and made.initial_seed() == 3
    assert torch.equal(torch.rand(4, generator=made), torch.rand(4, generator=torch.Generator().manual_seed(3)))
