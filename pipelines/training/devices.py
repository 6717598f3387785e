"""Devices, precision and processes of a training run, by Hugging Face accelerate."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model.config import ModelError, TrainingConfig


@contextlib.contextmanager
def accelerated(training: TrainingConfig, run: Path, device: str, tracker: str | None, compiled: bool) -> Iterator[Any]:
    """Start accelerate as the preset and the launcher (accelerate launch, torchrun) say, and end it.

    Raises:
        ModelError: the batch can't be shared equally, or the tracker's package is missing.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.tracking import get_available_trackers

    known = [str(getattr(each, "value", each)) for each in get_available_trackers()]
    if tracker and tracker not in known:
        raise ModelError(f"tracker {tracker!r} can't be used: install its package; installed here: {', '.join(known) or 'none'}")
    accelerator = Accelerator(
        cpu=device == "cpu",
        mixed_precision=training.precision,
        gradient_accumulation_steps=training.accumulation,
        dynamo_backend="inductor" if compiled else "no",
        log_with=tracker,
        project_dir=run,
    )
    try:
        if training.batch_size % (accelerator.num_processes * training.accumulation):
            raise ModelError(
                f"batch_size {training.batch_size} can't be cut into {accelerator.num_processes} processes x accumulation "
                f"{training.accumulation}: choose a multiple (--batch-size)"
            )
        if tracker:
            accelerator.init_trackers("instructme")
        yield accelerator
    finally:
        accelerator.end_training()
        AcceleratorState._reset_state(reset_partial_state=True)  # So that the next run in this process may choose otherwise.
