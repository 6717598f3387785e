"""A run folder: config.json, weights as safetensors. Nothing in it is pickled; files appear whole or not at all."""

import json
import os
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from instructme.model.config import ModelError, Preset, from_dict, to_dict

CONFIG = "config.json"
DEFAULT_RUN = Path(__file__).with_name("weights")
"""The run in the package: a separator. Its README.md says what it was trained on."""
WEIGHTS = "weights"
"""Name of the weights that users use (the average over the last steps)."""


def write_config(run: Path, kind: str, preset: Preset, values: Mapping[str, Any] | None = None) -> None:
    """Write RUN/config.json: what is trained, its preset and the tool's version, then VALUES such as data and seed."""
    run.mkdir(parents=True, exist_ok=True)
    config = {"kind": kind, "preset": to_dict(preset), "tool_version": metadata.version("instructme"), **(values or {})}
    _replace(run / CONFIG, json.dumps(config, indent=2) + "\n")


def read_config(run: Path, kind: str | None = None) -> tuple[Preset, dict[str, Any]]:
    """Read RUN/config.json: the preset, and the whole file.

    Raises:
        ModelError: no run folder, damaged, of another version's fields, or not of KIND.
    """
    path = Path(run) / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        found, values = config["kind"], config["preset"]
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{run} is not a run folder, it has no {CONFIG}: give a folder that 'instructme train' wrote") from None
    except (ValueError, KeyError, TypeError):
        raise ModelError(f"{path} is damaged: copy the run folder again, or train it again") from None
    if kind is not None and found != kind:
        raise ModelError(f"{run} holds a run of kind {found!r}, not {kind!r}: give a folder that 'train {kind}' wrote")
    try:
        return from_dict(Preset, values), config
    except (ModelError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} doesn't describe a preset of this version ({error}): train it again") from None


def save_weights(run: Path, name: str, state: Mapping[str, Tensor]) -> None:
    """Write tensors of any device to RUN/NAME.safetensors, replacing an older file at once.

    Raises:
        OSError: the disk refuses it.
    """
    run.mkdir(parents=True, exist_ok=True)
    path = run / f"{name}.safetensors"
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        hidden.touch()
        mode = hidden.stat().st_mode  # safetensors would let nobody else read it
        save_file({key: value.detach().to("cpu", copy=False).contiguous() for key, value in state.items()}, hidden)
        hidden.chmod(mode)
        hidden.replace(path)
    except SafetensorError as error:
        refused = re.search(r"os error (\d+)", str(error))
        if refused is None:
            raise
        number = int(refused[1])
        raise OSError(number, os.strerror(number), str(path)) from None
    finally:
        hidden.unlink(missing_ok=True)


def load_weights(run: Path, name: str = WEIGHTS) -> dict[str, Tensor]:
    """Read RUN/NAME.safetensors to the CPU.

    Raises:
        ModelError: missing or damaged.
    """
    path = Path(run) / f"{name}.safetensors"
    try:
        return load_file(path)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing: let 'instructme train' reach a checkpoint, or copy the run folder again") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged ({error}): copy the run folder again, or train it again") from None


def restore(module: nn.Module, run: Path, name: str = WEIGHTS) -> None:
    """Load RUN/NAME.safetensors into a module built from the run's preset.

    Raises:
        ModelError: missing, damaged, or the weights of another preset.
    """
    state, own = load_weights(run, name), module.state_dict()
    wrong = sorted(set(state) ^ set(own)) or [key for key in own if state[key].shape != own[key].shape]
    if wrong:
        path = Path(run) / f"{name}.safetensors"
        raise ModelError(f"{path} are weights of another preset ({wrong[0]} differs): use the config.json they were trained with")
    module.load_state_dict(state)


def _replace(path: Path, text: str) -> None:
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        hidden.write_text(text, encoding="utf-8")
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)
