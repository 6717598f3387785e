"""Set up devices, precision and processes of a training run with Hugging Face accelerate."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructme.model.config import ModelError, TrainingConfig


@contextlib.contextmanager
def accelerated(training: TrainingConfig, run: Path, device: str, tracker: str | None, compiled: bool) -> Iterator[Any]:
    """Start accelerate as the preset and the launcher (accelerate launch, torchrun) say, and end it.

    Raises:
        ModelError: the processes don't work together or not as configured, the batch can't be shared equally, or the tracker's
            package is missing.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.tracking import get_available_trackers

    known = [str(getattr(each, "value", each)) for each in get_available_trackers()]
    if tracker is not None and tracker not in known:
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
        _check_launch(accelerator)
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


def _check_launch(accelerator: Any) -> None:
    """Refuse processes that accelerate left apart, each of which would write the run folder, and sharding that it left out."""
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != accelerator.num_processes:
        raise ModelError(f"{started} processes were started, but there are no GPUs for them: add --device cpu, or start one")
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true" and accelerator.distributed_type != "FSDP":
        raise ModelError("accelerate is configured for FSDP, which needs several GPUs: choose another configuration, or none")
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if plugin is not None and plugin.fsdp_version != 2:
        raise ModelError(f"FSDP {plugin.fsdp_version} flattens weights, so that none can be read alone: set FSDP_VERSION=2")
