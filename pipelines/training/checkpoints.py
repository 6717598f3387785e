"""Read and write RUN/checkpoints/step-XXXXXXXX/: all that training needs to continue bit for bit, without pickle.

A checkpoint holds <module>.safetensors, <module>.optimizer.safetensors (`<parameter>/<name>`: momenta), average.safetensors
(of the module that is averaged) and state.json (step, validation loss, score of the best weights so far, names of the
modules). No random state: training draws from (seed, sample number).
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.distributed.checkpoint import state_dict as sharded
from torch.optim import Optimizer

from instructme.manifests.files import atomic_folder
from instructme.model.checkpoint import load_weights, save_weights
from instructme.model.config import ModelError
from instructme.pipelines.training.ema import Average

if TYPE_CHECKING:
    from instructme.pipelines.training.loop import Trainer

AVERAGE = "average"
_WHOLE = sharded.StateDictOptions(full_state_dict=True, cpu_offload=True)
"""Gathers DDP's and FSDP's modules into plain tensors under plain names on the main process, and takes such back."""


def found(run: Path) -> list[Path]:
    """List the finished checkpoints of a run, oldest first."""
    return sorted((run / "checkpoints").glob("step-????????"))


def state(checkpoint: Path) -> dict[str, Any]:
    """Read a checkpoint's `step`, `validation_loss` (None where that step was not validated), `best` and names of `modules`.

    `best` says whether the best weights so far have a score of edits, and that, or else their negative loss; None where nothing
    was validated yet, and in runs of older versions.

    Raises:
        ModelError: missing or damaged.
    """
    try:
        values: dict[str, Any] = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
        best = (bool(values["best"][0]), float(values["best"][1])) if values.get("best") else None
        known = {"step": int(values["step"]), "modules": list(values["modules"]), "best": best}
        return {**known, "validation_loss": values["validation_loss"]}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        raise _damaged(checkpoint, "no readable state.json") from None


def whole_state(module: nn.Module) -> dict[str, Tensor]:
    """Gather a copy of a wrapped module's tensors under its own names; every rank calls it, the main process gets them."""
    whole: Any = sharded.get_model_state_dict(module, options=_WHOLE)
    # On the CPU they are the live parameters, which change as soon as the average leaves the module.
    return {name: value.clone() for name, value in whole.items()}


def save(
    run: Path,
    step: int,
    values: Mapping[str, float | tuple[bool, float] | None],
    trainer: "Trainer",
    average: Average,
    main: bool,
) -> None:
    """Write the checkpoint after STEP steps into a hidden folder, then rename it; every rank calls it, MAIN writes.

    VALUES are the `validation_loss` and `best` of `state`.
    """
    final = run / "checkpoints" / f"step-{step:08d}"
    modules = trainer.modules
    with average.swapped():
        states = {AVERAGE: whole_state(modules[trainer.averaged])}
    states |= {each: whole_state(module) for each, module in modules.items()}
    states |= {f"{each}.optimizer": _momenta(modules[each], optimizer) for each, optimizer in trainer.optimizers.items()}
    if not main:
        return
    with atomic_folder(final) as hidden:
        for each, tensors in states.items():
            save_weights(hidden, each, tensors)
        told = {"step": step, **values, "modules": list(modules)}
        (hidden / "state.json").write_text(json.dumps(told) + "\n", encoding="utf-8")


def load(checkpoint: Path, trainer: "Trainer", average: Average) -> int:
    """Bring everything to the state of a checkpoint; returns the steps that it has taken.

    A module that it doesn't hold stays as it was built: more steps may bring discriminators into a run that had none.

    Raises:
        ModelError: damaged, or written by another version of the models.
    """
    values, modules, optimizers = state(checkpoint), trainer.modules, trainer.optimizers
    _set_weights(checkpoint, AVERAGE, modules[trainer.averaged])
    average.reset()
    for each in filter(values["modules"].__contains__, modules):
        _set_weights(checkpoint, each, modules[each])
        if each in optimizers:
            _set_momenta(modules[each], optimizers[each], _read(checkpoint, f"{each}.optimizer"))
    step: int = values["step"]
    return step


def prune(run: Path, keep: int) -> None:
    """Remove all but the last KEEP checkpoints, and what killed runs left half-written."""
    for hidden in (run / "checkpoints").glob(".step-*"):
        shutil.rmtree(hidden, ignore_errors=True)
    for each in found(run)[: -max(keep, 1)]:
        shutil.rmtree(each)


def _momenta(module: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Gather an optimiser's tensors as `<parameter>/<name>`; learning rates and the like follow from the preset."""
    if not optimizer.state:  # Asking would make them, by a step that a run without this checkpoint doesn't take.
        return {}
    whole: Any = sharded.get_optimizer_state_dict(module, _plain(optimizer), options=_WHOLE)
    return {f"{key}/{name}": value for key, values in whole.get("state", {}).items() for name, value in values.items()}


def _read(checkpoint: Path, name: str) -> dict[str, Tensor]:
    try:
        return load_weights(checkpoint, name)
    except ModelError as error:
        raise _damaged(checkpoint, str(error).split(":")[0]) from None


def _set_weights(checkpoint: Path, name: str, module: nn.Module) -> None:
    tensors = _read(checkpoint, name)
    if wrong := sorted(set(tensors) ^ set(sharded.get_model_state_dict(module))):
        raise ModelError(f"{checkpoint} is of another version of the models ({wrong[0]} differs): choose another folder (-o)")
    sharded.set_model_state_dict(module, {**tensors}, options=_WHOLE)


def _set_momenta(module: nn.Module, optimizer: Optimizer, momenta: Mapping[str, Tensor]) -> None:
    if not momenta:
        return
    states: dict[str, dict[str, Tensor]] = {}
    for key, value in momenta.items():
        parameter, _, name = key.rpartition("/")
        states.setdefault(parameter, {})[name] = value
    # Without _WHOLE: that gives the groups to the main process only.
    groups = sharded.get_optimizer_state_dict(module, _plain(optimizer))["param_groups"]
    values: Any = {"state": states, "param_groups": groups}
    sharded.set_optimizer_state_dict(module, _plain(optimizer), values, options=_WHOLE)


def _plain(optimizer: Optimizer) -> Optimizer:
    """Take off accelerate's wrapper."""
    plain: Optimizer = getattr(optimizer, "optimizer", optimizer)
    return plain


def _damaged(checkpoint: Path, why: str) -> ModelError:
    return ModelError(f"{checkpoint} is damaged ({why}): remove this folder, and the run goes on from the checkpoint before it")
