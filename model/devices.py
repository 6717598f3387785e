"""Check devices of torch."""

import torch

from instructme.model.config import ModelError


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
