"""Check whether a run may continue in a run folder, and write its metrics.jsonl."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from instructme.manifests.files import atomic, naming
from instructme.model.checkpoint import CONFIG, WEIGHTS, read_config
from instructme.model.config import ModelError, Preset, to_dict
from instructme.pipelines.training import checkpoints

FREE = (
    *("steps", "accumulation", "validate_every", "validation_triplets", "validation_edits"),
    *("checkpoint_every", "checkpoint_minutes", "keep"),
)
"""Fields of `TrainingConfig` that may change when a run goes on."""

PARTS = {
    "vae": ("vae",),
    "editor": ("vae", "text", "unet", "diffusion"),
    "embedding": ("text", "embedding"),
    "separator": ("text", "separator"),
}
"""Parts of a preset that each kind of model is made of."""

EXACT = "exact"
BEFORE = {"order": EXACT, "start": None}
"""Values of runs whose config.json was written before it held them."""


def check_same(run: Path, kind: str, preset: Preset, values: Mapping[str, Any]) -> None:
    """Check that RUN holds no checkpoint, or those of the same kind, preset and VALUES (but for `FREE`).

    Raises:
        ModelError: naming the first field that differs.
    """
    if not checkpoints.found(run):
        if (run / f"{WEIGHTS}.safetensors").exists():
            raise ModelError(f"{run} holds weights but no checkpoints to go on from: choose another folder (-o)")
        return
    if not (run / CONFIG).exists():
        raise ModelError(
            f"{run} holds checkpoints but no {CONFIG} that describes them: put it back, or choose another folder (-o)"
        )
    other, config = read_config(run)
    then = {
        "kind": config["kind"],
        "preset": to_dict(_fixed(other, kind)),
        **{each: config.get(each, BEFORE.get(each)) for each in values},
    }
    now = {"kind": kind, "preset": to_dict(_fixed(preset, kind)), **values}
    before, after = dict(_leaves(json.loads(json.dumps(then)))), dict(_leaves(json.loads(json.dumps(now))))
    for name in sorted(before.keys() | after.keys(), key=lambda name: (name != "kind", name != "preset.name", name)):
        if before.get(name) != after.get(name):
            what = "preset" if name == "preset.name" else name.removeprefix("preset.")
            raise ModelError(
                f"{run} was trained with {what}={before.get(name)}, not {after.get(name)}: "
                "choose another folder (-o), or the first settings"
            )


class Metrics:
    """RUN/metrics.jsonl: a line of JSON for each training step and each validation, in the order of steps."""

    def __init__(self, run: Path, step: int) -> None:
        """Open it to go on after STEP, -1 without a checkpoint; lines of later steps, which no checkpoint holds, are dropped."""
        self.path = run / "metrics.jsonl"
        lines = [line for line in _lines(self.path) if line["step"] <= step]
        with atomic(self.path) as hidden:
            hidden.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        self._file: TextIO = self.path.open("a", encoding="utf-8", buffering=1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add a line."""
        with naming(self.path):
            self._file.write(json.dumps({"step": step, **values}) + "\n")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read whole lines; a killed run may leave half a line at the end."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            values = json.loads(line)
            if isinstance(values.get("step"), int):
                yield values
        except (ValueError, AttributeError):
            continue


def _fixed(preset: Preset, kind: str) -> Preset:
    """Set the free fields of a kind's training to nothing, and drop the parts of the preset that only other kinds have."""
    every = {part for each, parts in PARTS.items() for part in (*parts, f"{each}_training")}
    parts = dict.fromkeys(every - {*PARTS[kind], f"{kind}_training"})
    training = dataclasses.replace(getattr(preset, f"{kind}_training"), **dict.fromkeys(FREE, 0))
    return dataclasses.replace(preset, **parts, **{f"{kind}_training": training})  # type: ignore[arg-type]


def _leaves(values: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(values, dict):
        yield name, values
        return
    for key, value in values.items():
        yield from _leaves(value, f"{name}.{key}" if name else key)
