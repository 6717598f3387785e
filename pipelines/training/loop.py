"""The training loop that the VAE, the editor and the embedding share, on Hugging Face accelerate."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from model.config import Preset

Batch = Mapping[str, Any]
"""A rank's share of one global batch: tensors (b, ...) and lists of b. `number` (b,) int64 are the global sample numbers."""
Batches = Callable[[int, int, int], Iterable[Batch]]
"""`batches(first_step, rank, ranks)`: the share of this rank in global batches first_step, first_step + 1, ... without end."""


class Trainer(Protocol):
    """What the loop asks of the trainer of one kind of model.

    The loop wraps `modules` and `optimizers` (device, bf16, DDP or FSDP, compile) and puts the wrapped ones back under the same
    names. So a trainer builds them on the CPU in float32, looks them up by name at each use, and makes every pass that needs
    gradients by calling the module itself (`self.modules["unet"](...)`): a wrapper only sees `forward`. Everything random about
    a sample comes from `randomness.generators(seed, batch["number"])`, so that losses depend on neither ranks nor restarts.
    """

    kind: str
    """`vae`, `editor` or `embedding`: of the run folder; `preset.<kind>_training` says how it is trained."""
    modules: dict[str, nn.Module]
    """All that is trained; saved in checkpoints by name. Frozen networks (a text encoder, the editor's VAE) stay outside."""
    optimizers: dict[str, Optimizer]
    """`optimizers[name]` holds the parameters of `modules[name]`. The loop sets their learning rates."""
    averaged: str
    """Name of the module that users use: the loop averages its weights (EMA) and writes them to weights.safetensors."""

    def update(self, batch: Batch, step: int, accelerator: Any) -> dict[str, Tensor]:
        """Take one optimiser step, or add to its gradients where they accumulate.

        Args:
            batch: on the device already; 1/accumulation of this rank's share of global batch `step`.
            step: 0 for the first.
            accelerator: `accelerate.Accelerator`; hand losses to `descend`, never to `backward()`.

        Returns:
            `loss` and other scalars, detached, each a mean over the batch; the same names at every step. The loop averages them
            over ranks and stops where one is not finite.
        """

    def validate(self, accelerator: Any) -> dict[str, float]:
        """Return `loss` (lower is better: it chooses the best checkpoint) and other scalars on fixed data and fixed noise.

        Called without gradients, in eval mode, with the averaged weights in place, on every rank; the loop averages what ranks
        return, so that a trainer may validate everything on each, or an equal share.
        """

    def preview(self, run: Path, step: int, accelerator: Any) -> None:
        """Write what people look at, such as RUN/edits.html; called after `validate`, in the same state.

        Every rank calls it, as a sharded module needs them all; only `accelerator.is_main_process` writes.
        """

    def finish(self, run: Path, accelerator: Any) -> None:
        """Complete the run folder before its weights are written: at every checkpoint, in the same state as `validate`.

        For buffers that follow from the weights (set on the module in place), and for files beside weights.safetensors.
        """


def descend(accelerator: Any, loss: Tensor, module: nn.Module, optimizer: Optimizer, clip_norm: float) -> None:
    """Go back through a loss; where gradients are complete, clip them to CLIP_NORM (0: don't) and take the step."""
    accelerator.backward(loss)
    if accelerator.sync_gradients and clip_norm:
        accelerator.clip_grad_norm_(module.parameters(), clip_norm)
    optimizer.step()
    optimizer.zero_grad()


def train(
    trainer: Trainer,
    run: Path,
    *,
    preset: Preset,
    batches: Batches,
    data: Mapping[str, Any],
    seed: int = 0,
    device: str = "auto",
    tracker: str | None = None,
    compiled: bool = False,
) -> None:
    """Train until `preset.<kind>_training.steps`, going on from RUN's last checkpoint where there is one.

    Args:
        trainer: see `Trainer`.
        run: the run folder.
        preset: written to config.json; a run goes on only with the same one.
        batches: see `Batches`; `training.batch_size` samples in each global batch.
        data: what identifies the data (path, hash), written to config.json; a run goes on only with the same.
        seed: written to config.json.
        device: `auto` (what accelerate finds: CUDA, MPS, CPU) or `cpu`.
        tracker: accelerate's trackers, such as `tensorboard` or `wandb`.
        compiled: compile modules with torch.compile.

    Raises:
        ModelError: RUN holds a run of another configuration, or a loss is not finite: names the step and the last checkpoint.
        SystemExit: 143 or 130, after SIGTERM or SIGINT and a checkpoint.
    """
    raise NotImplementedError
