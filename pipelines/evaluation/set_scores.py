"""Score sets of edits by dataset, task and system, and write them as a table."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from tqdm import tqdm

from instructme.manifests.rows import SetScore
from instructme.pipelines.evaluation.cases import Case
from instructme.pipelines.evaluation.controls import CONTROLS
from instructme.pipelines.evaluation.markdown_tables import label, markdown_table
from instructme.pipelines.evaluation.score_cases import CaseScores
from instructme.pipelines.evaluation.set_distances import (
    DISTANCES,
    Doubles,
    Frames,
    FrameSet,
    SetDifference,
    common,
    difference,
    distance,
    resample,
)

FEWEST_FRAMES = 3
SMALL = 50
"""Edits below which a table warns of a small set."""
Group = tuple[str, str]
"""Dataset and task."""


class Embedded:
    """One embedding of all sounds, such as musicnn, by dataset and task, system and key."""

    def __init__(self, scored: Sequence[tuple[Case, CaseScores]], name: str) -> None:
        self.distances = [each for each in DISTANCES if each.endswith(f"_{name}")]
        self.frames: dict[Group, dict[str, dict[str, Frames]]] = {}
        self.songs: dict[Group, dict[str, str]] = {}
        self._resampled: dict[tuple[Group, str, str, tuple[str, ...]], Doubles] = {}
        for case, scores in scored:
            group = case.dataset, case.task
            self.songs.setdefault(group, {})[case.key] = case.song
            for system, frames in scores.frames.get(name, {}).items():
                self.frames.setdefault(group, {}).setdefault(system, {})[case.key] = frames

    def sets(self, group: Group, *systems: str) -> list[FrameSet]:
        """Give the sets of several systems over the keys that all have."""
        held = [self.frames[group].get(system, {}) for system in systems]
        keys = common(*held)
        return [FrameSet({key: each[key] for key in keys}, self.songs[group]) for each in held]

    def difference(self, group: Group, name: str, one: str, other: str) -> SetDifference | None:
        """Compare the distances of two systems to the targets, over the keys that both have; None if they are too few."""
        first, second, target = self.sets(group, one, other, "target")
        if len(first.frames) < FEWEST_FRAMES:
            return None
        return difference(self._resample(group, name, one, first, target), self._resample(group, name, other, second, target))

    def _resample(self, group: Group, name: str, system: str, edits: FrameSet, target: FrameSet) -> Doubles:
        """Resample a system once for all that it is compared with, if they have the same keys."""
        key = group, name, system, tuple(edits.keys)
        if key not in self._resampled:
            self._resampled[key] = resample(name, edits, target)
        return self._resampled[key]

    def systems(self, group: Group) -> list[str]:
        """List the systems and controls that have embeddings, systems first."""
        held = [system for system in self.frames[group] if system not in ("target", *CONTROLS)]
        return [*held, *(control for control in CONTROLS if control in self.frames[group])]


def score_sets(embedded: Embedded) -> list[SetScore]:
    """Compute every distance of every set to the targets of the same keys, and its difference to that of the sources."""
    sets = [(group, system) for group in sorted(embedded.frames) for system in embedded.systems(group)]
    # Resampled distances take minutes where there are many systems.
    shown = tqdm(sets, desc="distances", unit="set", dynamic_ncols=True, disable=not sets)
    return [_score(embedded, group, system, name) for group, system in shown for name in embedded.distances]


def _score(embedded: Embedded, group: Group, system: str, name: str) -> SetScore:
    edits, _, target = embedded.sets(group, system, "identity", "target")
    dataset, task = group
    counts = len(edits.keys), len(edits.frames)
    if len(edits.frames) < FEWEST_FRAMES:
        return SetScore(task, dataset, system, name, None, "too_few_frames", *counts, None, None)
    value = distance(name, edits.frames, target.frames)
    ends: tuple[float | None, float | None] = (None, None)
    if system not in CONTROLS:
        found = embedded.difference(group, name, system, "identity")
        ends = (found.low, found.high) if found and np.isfinite(found.low) else ends
    return SetScore(task, dataset, system, name, value, None, *counts, *ends)


def markdown_of_sets(embedded: Sequence[Embedded], rows: Sequence[SetScore]) -> Iterator[str]:
    """Write the distances of sets, and the differences between systems whose intervals do not hold 0."""
    if not rows:
        return
    yield from ("## Distances of sets", "")
    yield "Frechet distance (FAD) and kernel distance (KAD) of the edits' embeddings to those of the targets: lower is better."
    yield "The interval is that of the difference to `identity`. Compare only rows with the same number of edits."
    names = [name for each in embedded if each.frames for name in each.distances]
    by_row: dict[tuple[object, ...], dict[str, SetScore]] = {}
    for row in rows:
        by_row.setdefault((f"{row.dataset}: {row.task}", label(row.system)), {})[row.metric] = row
    cells = [(*place, held[names[0]].edits, *(_cell(held[name]) for name in names)) for place, held in by_row.items()]
    columns = ("dataset: task", "system", "edits", *(f"`{name}` ↓" for name in names))
    yield from ("", *markdown_table(columns, cells, 2), "")
    if any(row.edits < SMALL for row in rows):
        yield f"Sets of fewer than {SMALL} edits are small for such distances: take the differences, not the values."
        yield ""
    yield from _between_systems(embedded)


def _cell(score: SetScore) -> str:
    if score.value is None:
        return "–"
    digits = 3 if score.metric.startswith("fad") else 2
    if score.low is None or score.high is None:
        return f"{score.value:.{digits}f}"
    mark = " ▼" if score.low > 0 else ""
    return f"{score.value:.{digits}f} [{score.low:+.{digits}f}, {score.high:+.{digits}f}]{mark}"


def _between_systems(every: Sequence[Embedded]) -> Iterator[str]:
    pairs = [
        (embedded, group, one, other)
        for embedded in every
        for group in sorted(embedded.frames)
        for one, other in combinations([each for each in embedded.systems(group) if each not in CONTROLS], 2)
    ]
    rows = []
    shown = tqdm(pairs, desc="compare systems", unit="pair", dynamic_ncols=True, disable=not pairs)
    for embedded, group, one, other in shown:
        for name in embedded.distances:
            if found := embedded.difference(group, name, one, other):
                mean, low, high = found
                verdict = f"{one} is better" if high < 0 else f"{other} is better" if low > 0 else "="
                interval = f"{mean:.3f} [{low:.3f}, {high:.3f}]"
                rows.append((": ".join(group), f"`{name}` {one} less {other}", interval, verdict))
    if rows:
        yield from (*markdown_table(("dataset: task", "distance", "difference", ""), rows, 2), "")
