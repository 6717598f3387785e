"""Write RUN/README.md, a model card as the Hugging Face hub reads it: training data, licences, scores with intervals, limits."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from instructme.manifests import tables
from instructme.manifests.files import atomic, written_by_hand
from instructme.manifests.rows import Sample
from instructme.pipelines.evaluation.markdown_tables import markdown_table, metric_column
from instructme.pipelines.evaluation.metrics import metric_modules
from instructme.pipelines.evaluation.score_tables import BELOW, Key, Scores, cell

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
    about = f"A model of the kind {config.get('kind')} that edits music by text instructions."
    yield from (f"# {run.resolve().name}", "", about, "")
    yield from ("```sh", 'instructme edit song.wav "remove drums" --run RUN -o out.wav', "```", "", "## Training data", "")
    unknown = "The run does not say what it was trained on."
    yield f"Dataset `{data['hash']}`, split {data['split']}." if data.get("hash") else unknown
    yield from (f"- {name}: {', '.join(data[name])}" for name in ("tasks", "instruments", "genres") if data.get(name))
    yield ""
    if licences:
        rows = [(*names, f"{count:,}") for names, count in sorted(licences.items())]
        yield from markdown_table(("source", "licence", "triplets"), rows, 2)
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
    rows = []
    for dataset, task in scores.groups:
        for name, module in metric_modules().items():
            key = Key(dataset, task, system, name)
            if found := scores.interval(key):
                identity = cell(scores.interval(key._replace(system="identity")), module.UNIT)
                ours = cell(found, module.UNIT, scores.below_identity(key))
                rows.append((f"{dataset}: {task}", metric_column(name), ours, identity))
    yield from markdown_table(("dataset: task", "metric", "this model", "identity"), rows, 2)


def _limits(system: str, scores: Scores) -> Iterator[str]:
    for dataset, task in scores.groups:
        worse = [name for name in metric_modules() if scores.below_identity(Key(dataset, task, system, name))]
        yield from (f"- {dataset}: {task}: `{name}` is worse than doing nothing ({BELOW})." for name in worse)
    refused: Counter[str] = Counter()
    for (name, metric, reason), count in scores.reasons.items():
        refused[metric] += count if name == system and reason.startswith("refused") else 0
    if most := max(refused.values(), default=0):
        yield f"- Refused edits: {most}. The model cannot do their task."
    yield "- The scores hold for music like the one that was scored. Sounds of other instruments and recordings may fail."
