"""Check devices of torch."""

import torch

from instructme.model.config import ModelError


def generator_on(source: torch.Generator, device: str | torch.device) -> torch.Generator:
    """Give a generator of the same seed on a device: the source itself where it is there. Waits for no device."""
    device = torch.device(device)
    return source if source.device.type == device.type else torch.Generator(device).manual_seed(source.initial_seed())


def check_device(device: str | torch.device) -> None:
    """Check that tensors can be made on a device of torch and read back.

    Raises:
        ModelError: no such device here.
    """
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"can't use the device {device}: take cpu, or one that torch finds ({reason})") from None
