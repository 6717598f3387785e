"""Turn a trained separator into the run of the package.

python tests/gpu/package_weights.py TRAINED... model/weights

TRAINED is a run folder of `train separator`, or what train_separator.py wrote on a bare machine. The weights of
several are averaged.
"""

import dataclasses
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from instructme.model.checkpoint import CONFIG, WEIGHTS, read_config, save_weights, write_config
from instructme.model.config import SeparatorConfig, from_dict
from instructme.model.presets import SMALL


def main(several: Sequence[Path], run: Path) -> None:
    """Write config.json, weights.safetensors in float16, and log.jsonl, those of the first run."""
    trained = several[0]
    if (trained / CONFIG).exists():
        preset, _ = read_config(trained, "separator")
        log = next(name for name in ("metrics.jsonl", "log.jsonl") if (trained / name).exists())
    else:
        sizes = from_dict(SeparatorConfig, json.loads((trained / "separator.json").read_text(encoding="utf-8")))
        preset, log = dataclasses.replace(SMALL, separator=sizes), "log.jsonl"
    write_config(run, "separator", preset, {"data": {"description": "see README.md"}})
    runs = [_weights(each) for each in several]
    save_weights(run, WEIGHTS, {name: torch.stack([each[name] for each in runs]).mean(dim=0).half() for name in runs[0]})
    shutil.copy(trained / log, run / "log.jsonl")


def _weights(trained: Path) -> dict[str, torch.Tensor]:
    name = f"{WEIGHTS}.safetensors" if (trained / CONFIG).exists() else "separator.safetensors"
    return {name: each.float() for name, each in load_file(trained / name).items()}


if __name__ == "__main__":
    main([*map(Path, sys.argv[1:-1])], Path(sys.argv[-1]))
