"""Hand batches to a trainer in parts that fit into the memory of its device."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from instructme.model.config import ModelError

if TYPE_CHECKING:
    from instructme.pipelines.training.loop import Batch, Trainer

NORM = "gradient_norm"
"""Norms are those of whole batches, under names that end so."""


class MicroBatches:
    """Cut a rank's batches into `accumulation` parts of equal size, and into more where the memory is too small for these.

    Several processes would have to agree on the number of parts, so that more are found for a single one only.
    """

    def __init__(
        self, trainer: "Trainer", batch_size: int, accumulation: int, accelerator: Any, say: Callable[[str], None]
    ) -> None:
        self.accumulation = accumulation
        self._trainer, self._accelerator, self._say = trainer, accelerator, say
        self._size = batch_size // accelerator.num_processes
        self._stepped = False
        for each in trainer.optimizers.values():
            getattr(each, "optimizer", each).register_step_pre_hook(self._note)

    def _note(self, *_: Any) -> None:
        self._stepped = True

    def update(self, batch: "Batch", step: int) -> dict[str, Tensor]:
        """Train on the batch of a step; returns the means of its losses, and the norms of gradients.

        Raises:
            ModelError: one sample is too large for the memory, or a batch is where several processes train.
        """
        self._stepped = False
        while True:
            try:
                return self._update(batch, step)
            except torch.OutOfMemoryError as error:
                reason = str(error).split(". ")[0]
            self._cut(reason)

    def _update(self, batch: "Batch", step: int) -> dict[str, Tensor]:
        from accelerate.utils import send_to_device

        size, parts = self._size // self.accumulation, []
        for first in range(0, self._size, size):
            part = {name: values[first : first + size] for name, values in batch.items()}
            with self._accelerator.accumulate(*self._trainer.modules.values()):
                # Numbers are read on the CPU, where that waits for nothing.
                moved = send_to_device(part, self._accelerator.device, non_blocking=True, skip_keys="number")
                parts.append(self._trainer.update(moved, step, self._accelerator))
        joined = {name: torch.stack([part[name].detach().float() for part in parts]) for name in parts[0]}
        return {name: values[-1] if name.endswith(NORM) else values.mean() for name, values in joined.items()}

    def _cut(self, reason: str) -> None:
        """Take the next larger number of parts, and forget the gradients of the parts that did fit."""
        more = next((count for count in range(self.accumulation + 1, self._size + 1) if self._size % count == 0), None)
        if more is None or self._stepped or self._accelerator.num_processes > 1:
            setting = f"{self._trainer.kind}_training.accumulation"
            raise ModelError(
                f"the memory is too small for a step ({reason}): set {setting} higher (--set), or --batch-size lower"
            )
        for module in self._trainer.modules.values():
            module.zero_grad()
        torch.cuda.empty_cache()
        self.accumulation = self._accelerator.gradient_accumulation_steps = more
        self._accelerator.step = 0  # counts the parts
        self._say(f"the memory is too small for {self._size // more + 1} samples or more: each step takes {more} parts now")
