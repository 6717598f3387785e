"""Score one edit by all metrics."""

from collections.abc import Collection, Mapping
from typing import Any

from instructme.pipelines.evaluation import features
from instructme.pipelines.evaluation.embeddings import Networks
from instructme.pipelines.evaluation.features import Features
from instructme.pipelines.evaluation.metrics import Score, inputs, metric_modules

Options = Mapping[str, Mapping[str, float]]
"""Metric -> its options, such as {"joint": {"least_done": 0.6}}."""


def usable(networks: Networks | None = None) -> tuple[list[str], dict[str, str]]:
    """List the metrics that can be computed here, and say for each other one what is missing.

    Metrics of networks that only the user can give are left out without these.
    """
    not_given = {name for name, path in vars(networks or Networks()).items() if path is None}
    names = [name for name in metric_modules() if not _needs(name) & not_given]
    missing = {name: advice for name, (available, advice) in features.RECOGNISERS.items() if not available()}
    lacking = {name: missing[max(needed)] for name in names if (needed := _needs(name) & set(missing))}
    return [name for name in names if name not in lacking], lacking


def _needs(name: str) -> set[str]:
    """Name the properties of sounds that a metric takes, itself or through other metrics."""
    taken = inputs(name)
    return features.properties(taken).union(*(_needs(other) for other in taken if other in metric_modules()))


def score_edit(values: Features, names: Collection[str], options: Options | None = None) -> dict[str, Score]:
    """Compute metrics by name; those that others take are computed first."""
    return {name: _score(name, values, options or {}) for name in names}


def _score(name: str, values: Features, options: Options) -> Score:
    if name not in values:
        arguments: dict[str, Any] = {}
        for each in inputs(name):
            arguments[each] = _score(each, values, options) if each in metric_modules() else values[each]
        values[name] = metric_modules()[name].score(**arguments, **options.get(name, {}))
    value: Score = values[name]
    return value
