"""A trainer of a few numbers, for tests of the loop; run as a script to train in a process that a test can kill."""

import argparse
import dataclasses
import itertools
import os
import signal
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from instructme.model.config import Preset
from instructme.model.presets import TINY
from instructme.pipelines.training.loop import Batch, descend, train
from instructme.pipelines.training.micro_batches import NORM
from instructme.pipelines.training.optimizers import optimizer
from instructme.pipelines.training.randomness import generators, normal

SAMPLES = 24


def preset(**training: Any) -> Preset:
    values = {"steps": 20, "batch_size": 4, "validate_every": 5, "warmup_steps": 3, "decay": "cosine"}
    values |= {"checkpoint_every": 5, "checkpoint_minutes": 0.0}
    return dataclasses.replace(TINY, editor_training=dataclasses.replace(TINY.editor_training, **values | training))


def batches(batch_size: int = 4, poison: Collection[int] = ()) -> Any:
    """Serve x -> sin(x) in an order that each epoch draws anew; NaN in the last sample of the global batches POISON."""

    def sample(number: int) -> Tensor:
        order = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(number // SAMPLES))
        return torch.linspace(-3, 3, SAMPLES)[order[number % SAMPLES]]

    def share(first_step: int, rank: int, ranks: int) -> Iterator[Batch]:
        size = batch_size // ranks
        for step in itertools.count(first_step):
            numbers = torch.arange(size) + step * batch_size + rank * size
            x = torch.stack([sample(int(number)) for number in numbers])[:, None]
            if step in poison and rank == ranks - 1:
                x[-1] = torch.nan
            yield {"number": numbers, "x": x, "text": ["sine"] * size}

    return share


class Net(nn.Module):
    """A curve, with a buffer that follows from the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
        self.register_buffer("sum", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (b, 1) to y (b, 1)."""
        return self.layers(x)


class Toy:
    """Fit a sine with one network while a second one, that starts late, fits its negative: two optimisers as in a GAN."""

    kind, averaged = "editor", "net"

    def __init__(self, preset: Preset, seed: int = 0, second_from: int = 8) -> None:
        torch.manual_seed(seed)
        self.training, self.seed, self.second_from = preset.editor_training, seed, second_from
        self.modules: dict[str, nn.Module] = {"net": Net(), "second": Net()}
        self.optimizers = {name: optimizer(module.parameters(), self.training) for name, module in self.modules.items()}

    def update(self, batch: Batch, step: int, accelerator: Any) -> dict[str, Tensor]:
        """Train both networks."""
        noise = normal(generators(self.seed, batch["number"]), (1,)).to(accelerator.device)
        losses = {}
        for name, sign in (("net", 1), ("second", -1)):
            if name == "net" or step >= self.second_from:
                loss = nn.functional.mse_loss(self.modules[name](batch["x"] + 0.01 * noise), sign * torch.sin(batch["x"]))
                norm = descend(accelerator, loss, self.modules[name], self.optimizers[name], self.training.clip_norm)
                losses |= {name: loss.detach(), f"{name}_{NORM}": norm}
        return {"loss": losses.pop("net"), "second": torch.zeros(()), f"second_{NORM}": torch.zeros(()), **losses}

    def validate(self, accelerator: Any) -> dict[str, float]:
        """Compare with the sine."""
        x = torch.linspace(-3, 3, 50)[:, None]
        return {"loss": nn.functional.mse_loss(self.modules["net"](x), torch.sin(x)).item()}

    def preview(self, run: Path, step: int, accelerator: Any) -> None:
        """Write the step."""
        if accelerator.is_main_process:
            (run / "edits.html").write_text(f"<p>{step}</p>")

    def finish(self, run: Path, accelerator: Any) -> None:
        """Set the buffer."""
        net = accelerator.unwrap_model(self.modules["net"])
        whole = [each.full_tensor() if isinstance(each, DTensor) else each for each in net.parameters()]
        net.sum.fill_(sum(each.sum() for each in whole))


def run(folder: Path, poison: Collection[int] = (), tracker: str | None = None, device: str = "cpu", **training: Any) -> Toy:
    """Train a toy."""
    made = preset(**training)
    toy = Toy(made)
    train(
        toy,
        folder,
        preset=made,
        batches=batches(made.editor_training.batch_size, poison),
        data={"hash": "0"},
        device=device,
        tracker=tracker,
    )
    return toy


def shard(accelerator: Any, *prepared: Any) -> list[Any]:
    """Stand in for `Accelerator.prepare`: shard each network over CPU ranks with FSDP 2, which accelerate does on GPUs only."""
    networks = [each for each in prepared if isinstance(each, nn.Module)]
    mesh = init_device_mesh("cpu", (accelerator.num_processes,))
    for network in networks:
        fully_shard(network, mesh=mesh)
        assert all(
            isinstance(each, DTensor) and each.to_local().numel() < each.numel() for each in network.layers[0].parameters()
        )
    return [*networks, *(optimizer(network.parameters(), preset().editor_training) for network in networks)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--die-after", type=int, help="kill -9 the process when this many steps are taken")
    parser.add_argument("--signal-after", type=int, help="send SIGTERM then")
    parser.add_argument("--sigint-after", type=int, help="send SIGINT then")
    parser.add_argument("--sharded", action="store_true", help="shard the networks over the ranks")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--minutes", type=float, help="minutes between checkpoints, in place of steps")
    parser.add_argument("--poison", type=int, nargs="*", default=[], help="global batches with a NaN")
    chosen = parser.parse_args()
    update = Toy.update

    def counted(self: Toy, batch: Batch, step: int, accelerator: Any) -> dict[str, Tensor]:
        asked = {signal.SIGKILL: chosen.die_after, signal.SIGTERM: chosen.signal_after, signal.SIGINT: chosen.sigint_after}
        for number, after in asked.items():
            if step == after:
                os.kill(os.getpid(), number)
        return update(self, batch, step, accelerator)

    Toy.update = counted  # type: ignore[method-assign]
    torch.set_num_threads(1)
    if chosen.sharded:
        Accelerator.prepare = shard  # type: ignore[method-assign]
    by_clock = {"checkpoint_every": 0, "checkpoint_minutes": chosen.minutes} if chosen.minutes else {}
    run(chosen.folder, poison=chosen.poison, device=chosen.device, **by_clock)
