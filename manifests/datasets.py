"""Read WORK/datasets.json: where each dataset of a working folder lies."""

import json
from pathlib import Path

from instructme.manifests.rows import DataError


def read_datasets(work: Path) -> dict[str, dict[str, str]]:
    """Read WORK/datasets.json: dataset -> root, layout, and the file of a table; empty if there is none.

    Raises:
        DataError: the file is damaged.
    """
    path = work / "datasets.json"
    try:
        values = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return {name: {"root": entry["root"], "layout": entry["layout"], **entry} for name, entry in values.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise DataError(f"damaged: {path}: delete it and scan all roots again") from None
