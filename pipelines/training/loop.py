"""The training loop of all models, on Hugging Face accelerate."""

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer
from tqdm import tqdm

from instructme.manifests.rows import DataError
from instructme.model.checkpoint import WEIGHTS, save_weights, write_config
from instructme.model.config import ModelError, Preset, TrainingConfig
from instructme.pipelines.processes import resume
from instructme.pipelines.training import checkpoints, loss_groups, run_folder
from instructme.pipelines.training.accelerated import accelerated
from instructme.pipelines.training.ema import Average
from instructme.pipelines.training.micro_batches import NORM, MicroBatches
from instructme.pipelines.training.optimizers import schedule
from instructme.pipelines.training.stop import Stop

MOST_SKIPPED = 10
"""Batches in a row without a finite gradient that end a run: more steps would not help."""
Batch = Mapping[str, Any]
"""A rank's share of one global batch: tensors (b, ...) and lists of b. `number` (b,) int64 are the global sample numbers."""
Batches = Callable[[int, int, int], Iterable[Batch]]
"""`batches(first_step, rank, ranks)`: the share of this rank in global batches first_step, first_step + 1, ... without end."""


class Trainer(Protocol):
    """What the loop asks of the trainer of one kind of model.

    The loop wraps `modules` and `optimizers` (device, bf16, DDP or FSDP, compile) and puts the wrapped ones back under the same
    names. So a trainer builds them on the CPU in float32, looks them up by name at each use, and makes every pass that needs
    gradients by calling the module itself (`self.modules["unet"](...)`): a wrapper only sees `forward`, and
    hides other methods and attributes: reach those by `accelerator.unwrap_model(module)`. Everything random about a sample
    comes from `randomness.generators(seed, batch["number"])`, so that losses depend on neither ranks nor restarts.
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
            batch: on the device already, but for `number`; 1/accumulation of this rank's share of global batch `step`.
            step: 0 for the first.
            accelerator: `accelerate.Accelerator`; hand losses to `descend`, never to `backward()`.

        Returns:
            `loss` and other scalars, detached, each a mean over the batch; what `loss_groups.grouped` gives; and the norms that
            `descend` gives, under names that end with `gradient_norm`. The same names at every step. The loop averages them over
            ranks and stops where one is not finite although the step was taken.
        """

    def validate(self, accelerator: Any) -> dict[str, float]:
        """Return `loss` and other scalars on fixed data and fixed noise. The best weights are those of the highest `score`.

        Without a `score`, they are those of the lowest `loss`.

        Called without gradients, in eval mode, with the averaged weights in place, on every rank; the loop averages what ranks
        return, so that a trainer may validate everything on each, or an equal share.
        """

    def preview(self, run: Path, step: int, accelerator: Any) -> None:
        """Write what people look at, such as RUN/edits.html, or nothing; called after `validate`, in the same state.

        Every rank calls it, as a sharded module needs them all; only `accelerator.is_main_process` writes.
        """
        return

    def finish(self, run: Path, accelerator: Any) -> None:
        """Complete the run folder before its weights are written: at every checkpoint, in the same state as `validate`.

        For buffers that follow from the weights (set on the module in place), and for files beside weights.safetensors.
        """
        return


def descend(accelerator: Any, loss: Tensor, module: nn.Module, optimizer: Optimizer, clip_norm: float) -> Tensor:
    """Go back through a loss; where gradients are complete, clip them to CLIP_NORM (0: don't) and take the step.

    No rank takes the step where the loss or the gradient of one is not finite.

    Returns:
        The norm of the gradient before clipping; 0 where gradients are not complete.
    """
    # A loss that isn't finite makes all gradients so, and the sum over ranks shows it to each.
    accelerator.backward(loss * torch.where(loss.detach().isfinite(), 1.0, torch.nan))
    norm = loss.new_zeros(())
    if accelerator.sync_gradients:
        norm = accelerator.clip_grad_norm_(module.parameters(), clip_norm or math.inf).detach()
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        if norm.isfinite():
            optimizer.step()
    optimizer.zero_grad()
    return norm


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
    order: str = run_folder.EXACT,
    start: Mapping[str, str] | None = None,
) -> None:
    """Train until `preset.<kind>_training.steps`, from the last checkpoint of RUN if there is one.

    Args:
        trainer: see `Trainer`.
        run: the run folder.
        preset: written to config.json. A run continues only with the same preset.
        batches: see `Batches`; `training.batch_size` samples in each global batch.
        data: identity of the data (path, hash), written to config.json. A run continues only with the same data.
        seed: written to config.json.
        device: `auto` (the best one that accelerate finds: CUDA, MPS, CPU) or `cpu`.
        tracker: accelerate's trackers, such as `tensorboard` or `wandb`.
        compiled: compile modules with torch.compile.
        order: order of the data, `exact` or `sequential`, written to config.json. A run continues only with the same order.
        start: identity of the run whose weights the trainer has loaded, written to config.json. These weights are validated and
            saved before the first step, so that users get them until training makes better ones.

    Raises:
        DataError: another command writes into RUN.
        ModelError: RUN has another configuration, or many batches in a row have no finite gradient. The message names the step
            and the last checkpoint.
        SystemExit: 143 after SIGTERM or 130 after SIGINT, when a checkpoint has been saved.
    """
    training: TrainingConfig = getattr(preset, f"{trainer.kind}_training")
    values = {"data": dict(data), "seed": seed, "order": order, "start": start and dict(start)}
    run_folder.check_same(run, trainer.kind, preset, values)
    with accelerated(training, run, device, tracker, compiled) as accelerator, contextlib.ExitStack() as stack:
        if accelerator.is_main_process:
            stack.enter_context(resume.held(run))
        accelerator.wait_for_everyone()
        done = checkpoints.found(run)
        finished = bool(done) and checkpoints.state(done[-1])["step"] >= training.steps
        if accelerator.is_main_process and not finished:  # whose config.json says how many steps it was trained for
            write_config(run, trainer.kind, preset, values)
        steps = _Run(trainer, run, training, accelerator, seed)
        if start and not done:
            steps.keep_start()
        steps.train(batches)


class _Run:
    """What one call of `train` holds together: the wrapped trainer, its average, its place in the run folder."""

    def __init__(self, trainer: Trainer, run: Path, training: TrainingConfig, accelerator: Any, seed: int) -> None:
        self.trainer, self.run, self.training, self.accelerator, self.seed = trainer, run, training, accelerator, seed
        names, optimizers = list(trainer.modules), list(trainer.optimizers)
        prepared = accelerator.prepare(*trainer.modules.values(), *trainer.optimizers.values())
        trainer.modules |= dict(zip(names, prepared, strict=False))
        trainer.optimizers |= dict(zip(optimizers, prepared[len(names) :], strict=True))
        self.micro_batches = MicroBatches(trainer, training.batch_size, training.accumulation, accelerator, self._say)
        self.average = Average(trainer.modules[trainer.averaged], training.ema_decay)
        self.step = 0
        if done := checkpoints.found(run):
            self.step = checkpoints.load(done[-1], trainer, self.average)
        # A run that doesn't say how good its best weights are takes the next ones that are validated.
        self.best: tuple[bool, float] | None = checkpoints.state(done[-1])["best"] if done else None
        """Whether the best weights have a score of edits, and that, or else their negative loss."""
        self.skipped = 0
        """Batches without a finite gradient in a row."""
        self.saved, self.saved_s = bool(done), time.monotonic()
        self.metrics = run_folder.Metrics(run, self.step if done else -1) if accelerator.is_main_process else None

    def keep_start(self) -> None:
        """Validate and save the weights that the trainer began with."""
        self._save(self._validate())

    def train(self, batches: Batches) -> None:
        """Take the steps that are left."""
        steps, ranks = self.training.steps, self.accelerator.num_processes
        if self.step >= steps:
            return self._say(f"{self.run} has taken {self.step} steps already: ask for more with --steps")
        stream = iter(batches(self.step, self.accelerator.process_index, ranks))
        with Stop() as stop, self._bar() as bar:
            while self.step < steps:
                values = self._take_step(stream, stop)
                stopped, late = values.pop("stop") > 0, values.pop("late") > 0
                self._log(values)
                loss = f"{values.get('loss', math.nan):.4g}"
                bar.set_postfix(loss=loss, data=f"{values['wait_s'] / values['step_s']:.0%}", refresh=False)
                bar.update()
                validated = self._validate() if self._due(self.training.validate_every) else None
                # Weights without a checkpoint would be taken for those of a run that can't go on.
                first = validated is not None and not self.saved
                if stopped or late or first or self._due(self.training.checkpoint_every):
                    self._save(validated)
                if validated is not None:
                    self._preview()
                if stopped:
                    self._say(f"stopped and saved after step {self.step}: the same command goes on from here")
                    raise SystemExit(stop.exit_code)

    def _take_step(self, stream: Iterator[Batch], stop: Stop) -> dict[str, float]:
        """Train on the next global batch.

        Returns:
            Losses, means over the ranks, and times; without those that are not finite where the batch was `skipped`. `stop` is
            over 0 where a rank was told to stop, `late` where it is time for a checkpoint.
        """
        begin = time.perf_counter()
        batch = next(stream)
        wait_s = time.perf_counter() - begin
        rate = schedule(self.training, self.step)
        for group in (group for each in self.trainer.optimizers.values() for group in each.param_groups):
            group["lr"] = rate
        # What draws from the global generator in spite of the protocol is at least the same after a restart.
        torch.manual_seed((self.seed * 2**32 + self.step * 2**12 + self.accelerator.process_index) % 2**63)
        losses = self.micro_batches.update(batch, self.step)
        self.average.update(self.step)
        self.step += 1
        told = torch.tensor([float(stop.asked), float(self._late())], device=self.accelerator.device)
        means = self.accelerator.reduce(torch.cat([torch.stack([*losses.values()]), told]), "mean").tolist()
        values = loss_groups.means(dict(zip([*losses, "stop", "late"], means, strict=True)))
        if skipped := any(name.endswith(NORM) and not math.isfinite(value) for name, value in values.items()):
            values = self._skip(values)
        self.skipped = self.skipped + 1 if skipped else 0
        self._check_finite(values)
        times = {"learning_rate": rate, "step_s": time.perf_counter() - begin, "wait_s": wait_s}
        return values | {"skipped": float(skipped)} | times

    def _late(self) -> bool:
        """Say whether the main process has saved nothing for `checkpoint_minutes`."""
        minutes = self.training.checkpoint_minutes
        return self.accelerator.is_main_process and 0 < minutes * 60 <= time.monotonic() - self.saved_s

    def _skip(self, values: Mapping[str, float]) -> dict[str, float]:
        """Tell of a batch that was skipped, and keep its finite values; the last of many in a row ends the run."""
        if self.skipped + 1 == MOST_SKIPPED:
            self._check_finite(values)
        self._say(f"step {self.step}: the loss or its gradient is not finite, so this batch is skipped")
        return {name: value for name, value in values.items() if math.isfinite(value)}

    def _validate(self) -> float:
        """Validate the averaged weights, and write them where none before were better; returns their loss."""
        with self._finished():
            values = self.trainer.validate(self.accelerator)
            row = torch.tensor(list(values.values()), dtype=torch.float32, device=self.accelerator.device)
            means = self.accelerator.reduce(row, "mean").tolist()
            values = {f"validation_{name}": mean for name, mean in zip(values, means, strict=True)}
            self._check_finite(values)
            self._log(values)
        score = ("validation_score" in values, values.get("validation_score", -values["validation_loss"]))
        if self.best is None or score > self.best:
            self._write_weights()
            self.best = score
        return values["validation_loss"]

    def _preview(self) -> None:
        """Show what the averaged weights do; after they were saved, which is worth more."""
        with self._finished():
            try:
                self.trainer.preview(self.run, self.step, self.accelerator)
            except (DataError, ModelError) as error:
                self._say(f"nothing to show after step {self.step}: {error}")

    def _save(self, validation_loss: float | None) -> None:
        """Write a checkpoint, and weights.safetensors where nothing was validated yet."""
        main = self.accelerator.is_main_process
        self._check_weights()
        if self.best is None:
            self._write_weights()
        values = {"validation_loss": validation_loss, "best": self.best}
        checkpoints.save(self.run, self.step, values, self.trainer, self.average, main)
        if main:
            checkpoints.prune(self.run, self.training.keep)
        self.accelerator.wait_for_everyone()
        self.saved, self.saved_s = True, time.monotonic()

    def _write_weights(self) -> None:
        """Write weights.safetensors, and what belongs beside it."""
        self._check_weights()
        with self._finished():
            self.trainer.finish(self.run, self.accelerator)
            weights = checkpoints.whole_state(self.trainer.modules[self.trainer.averaged])
        if self.accelerator.is_main_process:
            save_weights(self.run, WEIGHTS, weights)

    def _check_weights(self) -> None:
        finite = all(bool(each.isfinite().all()) for module in self.trainer.modules.values() for each in module.parameters())
        self._check_finite({"weights": 0.0 if finite else math.nan})

    @contextlib.contextmanager
    def _finished(self) -> Iterator[None]:
        """Bring the modules to the state in which users have them: averaged, in eval mode, without gradients."""
        modules = self.trainer.modules.values()
        with self.average.swapped(), torch.no_grad():
            for module in modules:
                module.eval()
            yield
        for module in modules:
            module.train()

    def _due(self, every: int) -> bool:
        return self.step == self.training.steps or (every > 0 and self.step % every == 0)

    def _check_finite(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                done = checkpoints.found(self.run)
                good = f"the last good checkpoint is {done[-1]}" if done else "there is no checkpoint before it"
                raise ModelError(f"{name} is {value} at step {self.step}: try a lower learning_rate (--set); {good}")

    def _log(self, values: Mapping[str, float]) -> None:
        if self.metrics:
            self.metrics.write(self.step, values)
        self.accelerator.log(dict(values), step=self.step)

    def _bar(self) -> "tqdm[Any]":
        hidden = not self.accelerator.is_main_process
        return tqdm(total=self.training.steps, initial=self.step, unit="step", disable=hidden, file=sys.stderr)

    def _say(self, text: str) -> None:
        if self.accelerator.is_main_process:
            tqdm.write(text, file=sys.stderr)
