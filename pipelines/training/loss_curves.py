"""Read metrics.jsonl as curves to draw."""

import json
from pathlib import Path

Curves = dict[str, dict[str, list[tuple[float, float]]]]
"""Heading of a chart -> name of a series -> (step, value) points."""
SILENT = {"step", "step_s", "wait_s", "learning_rate", "skipped", "gradient_norm", "discriminator_gradient_norm"}


def curves(run: Path) -> Curves:
    """Make charts of RUN/metrics.jsonl: one of training and one of validation, with a series for each loss."""
    found: Curves = {"training": {}, "validation": {}}
    for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        for name in values.keys() - SILENT:
            heading = "validation" if name.startswith("validation_") else "training"
            points = found[heading].setdefault(name.removeprefix("validation_"), [])
            points.append((values["step"], values[name]))
    return {heading: dict(sorted(series.items())) for heading, series in found.items() if series}
