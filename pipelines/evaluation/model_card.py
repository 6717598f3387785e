"""Write RUN/README.md, a model card as the Hugging Face hub reads it: training data, licences, scores with intervals, limits."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from instructme.manifests import tables
from instructme.manifests.files import atomic, written_by_hand
from instructme.manifests.rows import Sample
from instructme.pipelines.evaluation.metrics import metric_modules
from instructme.pipelines.evaluation.score_tables import ARROWS, BELOW, Key, Scores, cell

README = "README.md"
MARK = "<!-- Written by instructme evaluate. Delete this line to keep your own words. -->"


def write(run: Path, system: str, scores: Scores, shards: Path | None) -> str:
    """Write the card of a run, unless somebody else wrote one; a line for the user.

    Args:
        run: its folder.
        system: its name in the scores.
        scores: of this and other systems.
        shards: what was scored; their licences are named if the run was trained on them.
    """
    path = run / README
    if written_by_hand(path, MARK):
        return f"{path} was kept: it is not by 'evaluate'"
    config = json.loads((run / "config.json").read_text("utf-8"))
    with atomic(path) as temporary:
        temporary.write_text("\n".join(_lines(run, system, config, scores, shards)) + "\n", encoding="utf-8")
    return f"wrote the model card {path}"


def _lines(run: Path, system: str, config: Mapping[str, Any], scores: Scores, shards: Path | None) -> Iterator[str]:
    data = config.get("data") or {}
    licences = _licences(shards, data.get("hash"))
    yield from ("---", "library_name: instructme", "pipeline_tag: audio-to-audio", "tags:", "- music", "- music-editing")
    yield from ("license: other", "license_name: that of the training data, see below", "---", MARK, "")
    yield from (
        f"# {run.resolve().name}",
        "",
        f"A model of the kind {config.get('kind')} that edits music by text instructions.",
        "",
    )
    yield from ("```sh", 'instructme edit song.wav "remove drums" --run RUN -o out.wav', "```", "")
    yield from ("## Training data", "")
    yield (
        f"Dataset `{data['hash']}`, split {data['split']}."
        if data.get("hash")
        else "The run does not say what it was trained on."
    )
    for name in ("tasks", "instruments", "genres"):
        if data.get(name):
            yield f"- {name}: {', '.join(data[name])}"
    yield ""
    if licences:
        yield from ("| source | licence | triplets |", "|---|---|---:|")
        yield from (f"| {dataset} | {licence} | {count:,} |" for (dataset, licence), count in sorted(licences.items()))
    else:
        yield "Licences: see the card of the training data."
    yield from ("", "## Scores", "", "Means with 95 % intervals, drawn by song. `identity` is the unchanged source.", "")
    yield from _scores(system, scores)
    yield from ("", "## Limits", "", *_limits(system, scores))


def _licences(shards: Path | None, trained_on: str | None) -> Counter[tuple[str, str]]:
    """Count the licences of the training triplets if the run was trained on these shards."""
    if shards is None or trained_on is None:
        return Counter()
    index = json.loads((shards / "index.json").read_text())
    if index["hash"] != trained_on:
        return Counter()
    names = [each["name"] for each in index["shards"] if each["name"].startswith("train-")]
    rows = [row for name in names for row in tables.read(shards / f"{name}.parquet", Sample, ["dataset", "licence"]).to_pylist()]
    return Counter((row["dataset"], row["licence"]) for row in rows)


def _scores(system: str, scores: Scores) -> Iterator[str]:
    yield from ("| dataset: task | metric | this model | identity |", "|---|---|---:|---:|")
    for dataset, task in scores.groups:
        for name, module in metric_modules().items():
            found = scores.interval(Key(dataset, task, system, name))
            if found:
                below = scores.below_identity(Key(dataset, task, system, name))
                identity = cell(scores.interval(Key(dataset, task, "identity", name)), module.UNIT)
                ours = cell(found, module.UNIT, below)
                yield f"| {dataset}: {task} | `{name}` {ARROWS[module.BETTER]} | {ours} | {identity} |"


def _limits(system: str, scores: Scores) -> Iterator[str]:
    worse = [
        f"- {dataset}: {task}: `{name}` is worse than doing nothing ({BELOW})."
        for dataset, task in scores.groups
        for name in metric_modules()
        if scores.below_identity(Key(dataset, task, system, name))
    ]
    refused: Counter[str] = Counter()
    for (name, metric, reason), count in scores.reasons.items():
        refused[metric] += count if name == system and reason.startswith("refused") else 0
    yield from worse
    if most := max(refused.values(), default=0):
        yield f"- Refused edits: {most}. The model cannot do their task."
    yield "- The scores hold for music like the one that was scored. Sounds of other instruments and recordings may fail."
