"""Make tests/presets_golden.json: every field of every preset.

The numbers in docs/results.md belong to these presets, and old runs were trained with them. Where a preset changes on purpose,
say so in CHANGELOG.md and run this again:

    python tests/presets_golden.py
"""

import dataclasses
import json
from pathlib import Path

from instructme.model.presets import PRESETS

FILE = Path(__file__).with_suffix(".json")


def fields() -> dict[str, object]:
    """List the presets as JSON does."""
    listed: dict[str, object] = json.loads(json.dumps({name: dataclasses.asdict(preset) for name, preset in PRESETS.items()}))
    return listed


if __name__ == "__main__":
    FILE.write_text(json.dumps(fields(), indent=1, sort_keys=True) + "\n")
