"""Turn a trained separator into the run of the package.

python tests/gpu/package_weights.py TRAINED model/weights

TRAINED is a run folder of `train separator`, or what train_separator.py wrote on a bare machine.
"""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file

from instructme.model.checkpoint import CONFIG, WEIGHTS, read_config, save_weights, write_config
from instructme.model.config import SeparatorConfig, from_dict
from instructme.model.presets import SMALL


def main(trained: Path, run: Path) -> None:
    """Write config.json, weights.safetensors in float16, and log.jsonl."""
    if (trained / CONFIG).exists():
        preset, _ = read_config(trained, "separator")
        weights, log = f"{WEIGHTS}.safetensors", "metrics.jsonl"
    else:
        sizes = from_dict(SeparatorConfig, json.loads((trained / "separator.json").read_text(encoding="utf-8")))
        preset, weights, log = dataclasses.replace(SMALL, separator=sizes), "separator.safetensors", "log.jsonl"
    write_config(run, "separator", preset, {"data": {"description": "see README.md"}})
    save_weights(run, WEIGHTS, {name: each.half() for name, each in load_file(trained / weights).items()})
    shutil.copy(trained / log, run / "log.jsonl")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
