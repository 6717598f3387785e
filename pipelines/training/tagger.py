"""Train the tagger of `evaluate`: instrument families and genres of mixes, heard by MusiCNN."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples, mono
from instructme.manifests.files import atomic
from instructme.manifests.genres import GENRES
from instructme.manifests.instruments import INSTRUMENTS
from instructme.manifests.rows import DataError
from instructme.model import tagger
from instructme.model.tagger import TagHead
from instructme.pipelines.data.readers import open_split
from instructme.pipelines.processes import engine

Embed = Callable[[Samples, int], npt.NDArray[np.float32]]
"""Samples and their rate -> embedding (patches, D); must be picklable."""
HEAD, REPORT = "tagger.csv", "tagger.json"


@dataclass(frozen=True)
class Examples:
    """Mean embeddings (n, D) of sounds, and the tags of each: instrument families, and its genre where that is known."""

    embeddings: npt.NDArray[np.float64]
    labels: Sequence[frozenset[str]]

    def families(self) -> "Examples":
        """Leave the genres out."""
        return Examples(self.embeddings, [labels.difference(GENRES) for labels in self.labels])

    def genres(self) -> "Examples":
        """Keep the sounds whose genre is known, and only that tag: an unknown genre is no evidence against one."""
        kept = [place for place, labels in enumerate(self.labels) if not labels.isdisjoint(GENRES)]
        return Examples(self.embeddings[kept], [self.labels[place].intersection(GENRES) for place in kept])


def tag(instrument: str) -> str:
    """Name the tag of an instrument: its family; pianos have one of their own among the keys."""
    return "piano" if "piano" in instrument else INSTRUMENTS[instrument].family


def tags(instruments: Iterable[str]) -> frozenset[str]:
    """Name the tags of a mix."""
    return frozenset(tag(each) for each in instruments)


def examples(data: Path, split: str, embed: Embed, count: int | None = None, workers: int | None = None) -> Examples:
    """Embed both sides of the first `count` triplets of a split of shards or recipes.

    A genre is known of the target of a remix whose instruction names it.

    Raises:
        DataError: no such split.
    """
    reader = open_split(data, split)
    rows = list(range(int(reader.sizes.sum())))[:count]
    found = dict(
        engine.run(partial(_sides, data, split, embed), rows, description=f"embed {split}", item="triplet", workers=workers)
    )
    pairs = [pair for row in rows for pair in found[row]]
    return Examples(np.array([embedding for embedding, _ in pairs]), [labels for _, labels in pairs])


def _sides(data: Path, split: str, embed: Embed, row: int) -> list[tuple[npt.NDArray[np.float64], frozenset[str]]]:
    reader = open_split(data, split)
    audio, recipe, rate_hz = reader.audio(row), reader.recipe(row), max(reader.rates_hz)
    genre = {recipe.genre} if recipe.genre else set()
    sides = ((audio.source, tags(recipe.source_instruments)), (audio.target, tags(recipe.target_instruments) | genre))
    return [(embed(mono(samples.T), rate_hz).mean(axis=0, dtype=np.float64), labels) for samples, labels in sides]


def train(train_set: Examples, validation: Examples, others: dict[str, Examples]) -> tuple[TagHead, dict[str, Any]]:
    """Fit a head on one set, calibrate it on another, and measure it on further ones.

    The penalty of all families, and that of all genres, is the one with the best mean AUC on the set that calibrates.

    The AUC of a tag in the head is the lowest over `others`, which are unseen songs and, if given, another soundfont.

    Returns:
        The head, and AUC and F1 of each tag on each set.

    Raises:
        DataError: no instrument family has enough examples.
    """
    head = _fitted(train_set.families(), validation.families())
    if not head.names:
        raise DataError("no instrument family has enough examples: take more triplets, or data with more instruments")
    head = head.beside(_fitted(train_set.genres(), validation.genres(), exclusive=True))
    report = {label: measured(head, each) for label, each in {"validation": validation, **others}.items()}
    lowest = [min((report[label][name]["auc"] or 0.0 for label in others), default=0.0) for name in head.names]
    return replace(head, auc=np.array(lowest)), report


def _fitted(train_set: Examples, validation: Examples, *, exclusive: bool = False) -> TagHead:
    """Fit one head a tag, and calibrate those that some of the validation set have and some have not.

    Of exclusive tags, a sound has one. They are calibrated together, so that their order stays.
    """
    heads = [tagger.train_heads(train_set.embeddings, train_set.labels, penalty) for penalty in tagger.PENALTIES]
    names, weights, bias = max(heads, key=lambda head: _mean_auc(validation, *head))
    each = [slice(None)] if exclusive and names else [slice(place, place + 1) for place in range(len(names))]
    for places in each:
        has = np.array([_has(validation, name) for name in names[places]])
        if 0 < has.sum() < has.size:
            logits = weights[places] @ validation.embeddings.T + bias[places, None]
            scale, shift = tagger.calibrate(logits.ravel(), has.ravel())
            weights[places], bias[places] = weights[places] * scale, bias[places] * scale + shift
    return TagHead(names, weights, bias, np.zeros(len(names)))


def _mean_auc(examples: Examples, names: Sequence[str], weights: tagger.Doubles, bias: tagger.Doubles) -> float:
    """Average the AUC of the tags that some examples have and some have not; 0 if there are none."""
    found = [tagger.auc(examples.embeddings @ weights[at] + bias[at], _has(examples, name)) for at, name in enumerate(names)]
    known = [value for value in found if not np.isnan(value)]
    return float(np.mean(known)) if known else 0.0


def _has(examples: Examples, name: str) -> npt.NDArray[np.bool_]:
    return np.array([name in labels for labels in examples.labels], dtype=bool)


def measured(head: TagHead, examples: Examples) -> dict[str, dict[str, Any]]:
    """Measure AUC, F1 and the number of sounds that have it, for each tag; None where there are none or all have it.

    A genre is measured on the sounds whose genre is known. It is found where it is the likeliest one.
    """
    families, genres = examples.families(), examples.genres()
    values_of: dict[str, dict[str, Any]] = {}
    for place, name in enumerate(head.names):
        heard = genres if name in GENRES else families
        has, logits = _has(heard, name), heard.embeddings @ head.weights[place] + head.bias[place]
        others = [at for at, other in enumerate(head.names) if name in GENRES and other in GENRES and other != name]
        bar = (heard.embeddings @ head.weights[others].T + head.bias[others]).max(axis=1) if others else 0.0
        values = {"auc": tagger.auc(logits, has), "f1": tagger.f1(logits - bar, has)}
        values_of[name] = {key: None if np.isnan(value) else round(value, 4) for key, value in values.items()}
        values_of[name] |= {"positive": int(has.sum()), "sounds": len(has)}
    return values_of


def save(run: Path, head: TagHead, report: dict[str, Any], stated: dict[str, Any]) -> None:
    """Write RUN/tagger.csv, and RUN/tagger.json with what was measured and trained on."""
    run.mkdir(parents=True, exist_ok=True)
    with atomic(run / HEAD) as temporary:
        head.write(temporary)
    with atomic(run / REPORT) as temporary:
        temporary.write_text(json.dumps({**stated, "measured": report}, indent=1) + "\n")
