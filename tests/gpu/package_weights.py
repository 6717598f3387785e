"""Turn what train_separator.py wrote into the run of the package.

python tests/gpu/package_weights.py OUT model/weights --data "what it was trained on"
"""

import argparse
import dataclasses
import json
import shutil
from pathlib import Path

from safetensors.torch import load_file

from instructme.model.checkpoint import WEIGHTS, save_weights, write_config
from instructme.model.config import SeparatorConfig, from_dict
from instructme.model.presets import SMALL


def main() -> None:
    """Write config.json, weights.safetensors in float16, and log.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trained", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", required=True)
    options = parser.parse_args()
    sizes = from_dict(SeparatorConfig, json.loads((options.trained / "separator.json").read_text(encoding="utf-8")))
    write_config(options.run, "separator", dataclasses.replace(SMALL, separator=sizes), {"data": {"description": options.data}})
    save_weights(options.run, WEIGHTS, load_file(options.trained / "separator.safetensors"))
    shutil.copy(options.trained / "log.jsonl", options.run / "log.jsonl")


if __name__ == "__main__":
    main()
