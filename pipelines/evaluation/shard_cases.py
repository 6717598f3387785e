"""List triplets of shards to score: single edits or chains of rounds, by task, length and instrument."""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.manifests.rows import DataError, Triplet
from instructme.pipelines.data.shard_reader import ShardReader
from instructme.pipelines.evaluation.cases import Case, Follows, drawn, edit_file, with_strangers
from instructme.pipelines.evaluation.made_edits import check_shards
from instructme.pipelines.evaluation.spectra import RATE_HZ
from instructme.pipelines.training.tagger import tags

ROUND = "round_"
"""Task of an edit of a chain, before the number of its round."""


@dataclasses.dataclass(frozen=True)
class ShardRow:
    """A row of a split of shards."""

    shards: Path
    split: str
    row: int

    def read(self, rate_hz: int = RATE_HZ) -> tuple[Samples, Samples]:
        """Read source and target, (T,).

        Raises:
            DataError: a shard is missing or damaged.
        """
        reader = ShardReader(self.shards, self.split)
        heard, held_hz = reader.audio(self.row), int(reader.values(self.row)["sample_rate_hz"])
        source, target = (audio.resample(audio.mono(side.T), held_hz, rate_hz) for side in (heard.source, heard.target))
        return source, target


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which triplets of shards are scored.

    split: such as test.
    count: most triplets of a task and length, or most chains; None for all.
    seconds: lengths; none for all.
    rounds: chains of edits in place of single edits.
    tasks: none for all.
    families: tags of the only instruments that an instruction may name; none for all.
    seed: of the draw; each draws others.
    rate_hz: of the waveforms that SI-SDR compares.
    """

    split: str = "test"
    count: int | None = None
    seconds: tuple[int, ...] = ()
    rounds: bool = False
    tasks: tuple[str, ...] = ()
    families: frozenset[str] = frozenset()
    seed: int | None = None
    rate_hz: int = RATE_HZ

    def takes(self, recipe: Triplet) -> bool:
        """Say whether a triplet is one of those, whatever its length."""
        named = tags((*recipe.named, *recipe.added))
        return (
            (recipe.chain_id is not None) == self.rounds
            and (not self.tasks or recipe.task in self.tasks)
            and (not self.families or named <= self.families)
        )


def from_shards(shards: Path, choice: Choice, edits: Mapping[str, Path]) -> list[Case]:
    """List triplets of shards, chosen by the hashes of their keys, with edits from folders of files named by key.

    Triplets of each length are a dataset of their own if there are several lengths.

    Args:
        shards: a folder that `shard` has finished.
        choice: which triplets.
        edits: system -> folder.

    Raises:
        DataError: no such shards or split, or no such triplets; or a folder holds edits of other shards.
    """
    reader = ShardReader(shards, choice.split)
    for folder in edits.values():
        check_shards(folder, reader.state())
    rows = [_Row(row, reader.values(row), reader.recipe(row)) for row in range(int(reader.sizes.sum()))]
    rows = [each for each in rows if choice.takes(each.recipe)]
    if not rows:
        draw_chains = "draw chains with 'instructme pair WORK --rounds 3', and run 'instructme shard' again"
        advice = draw_chains if choice.rounds else "choose another split, or draw other triplets with 'instructme pair'"
        raise DataError(f"{shards} has no such triplets in split {choice.split}: {advice}")
    held = sorted({each.seconds for each in rows})
    if gone := [each for each in choice.seconds if each not in held]:
        lengths = ", ".join(f"{each:g}" for each in held)
        raise DataError(
            f"{shards} has no triplets of {gone[0]} s, only of {lengths} s: run 'pair WORK --seconds {gone[0]}' first"
        )
    wanted = choice.seconds or held
    rows = [each for each in rows if each.seconds in wanted]
    found = _rounds(rows, choice) if choice.rounds else _singles(rows, choice)
    cases = []
    for each, before in found:
        dataset = f"{each.values['dataset']}, {each.seconds:g} s" if len(wanted) > 1 else str(each.values["dataset"])
        cases.append(_case(ShardRow(shards, choice.split, each.row), dataset, each, before, edits))
    return with_strangers(cases)


def below_rate(shards: Path, choice: Choice) -> Iterator[str]:
    """Tell of shards that lack the highest octave which a protocol hears."""
    held_hz = max(ShardReader(shards, choice.split).rates_hz)
    if held_hz < choice.rate_hz:
        yield (
            f"{shards} is at {held_hz} Hz, but this protocol compares waveforms at {choice.rate_hz} Hz, so do not compare "
            f"SI-SDR with published tables: run 'prepare WORK --sample-rate {choice.rate_hz}', and make the shards again"
        )


class _Row(NamedTuple):
    row: int
    values: Mapping[str, Any]
    recipe: Triplet

    @property
    def key(self) -> str:
        return str(self.values["triplet_id"])

    @property
    def seconds(self) -> float:
        return float(self.values["length_samples"] / self.values["sample_rate_hz"])


def _singles(rows: Sequence[_Row], choice: Choice) -> list[tuple[_Row, None]]:
    """Choose `count` of each task and length."""
    groups: dict[tuple[str, float], list[_Row]] = defaultdict(list)
    for each in rows:
        groups[each.recipe.task, each.seconds].append(each)
    chosen = [drawn(groups[group], choice.count, lambda each: each.key, choice.seed) for group in sorted(groups)]
    return [(each, None) for group in chosen for each in group]


def _rounds(rows: Sequence[_Row], choice: Choice) -> list[tuple[_Row, _Row | None]]:
    """Choose `count` chains, and pair each round with the one before: all first rounds, then all second ones."""
    chains: dict[str, list[_Row]] = defaultdict(list)
    for each in sorted(rows, key=lambda each: each.recipe.round):
        chains[str(each.recipe.chain_id)].append(each)
    chosen = [chains[name] for name in drawn(chains, choice.count, str, choice.seed)]
    steps = [(each, chain[number - 1] if number else None) for chain in chosen for number, each in enumerate(chain)]
    return sorted(steps, key=lambda step: step[0].recipe.round)


def _case(triplet: ShardRow, dataset: str, row: _Row, before: _Row | None, edits: Mapping[str, Path]) -> Case:
    recipe, values = row.recipe, row.values
    return Case(
        key=row.key,
        task=f"{ROUND}{recipe.round}" if recipe.chain_id else recipe.task,
        dataset=dataset,
        song=recipe.source_track,
        instruction=recipe.instruction,
        triplet=triplet,
        edits={system: edit_file(folder, row.key) for system, folder in edits.items()},
        named=tuple(recipe.named),
        added=tuple(recipe.added),
        sounding=tuple(recipe.source_instruments),
        genre=recipe.genre,
        gain_db=_decibels(values["target_gain"] / values["gain"]),
        follows=Follows(before.key, _decibels(values["gain"] / before.values["target_gain"])) if before else None,
    )


def _decibels(ratio: float) -> float:
    return 20 * math.log10(ratio)


def out_of_domain(cases: Sequence[Case]) -> list[Case]:
    """Mark the datasets of cases, so that their tables stand beside those of other cases."""
    return [dataclasses.replace(case, dataset=f"{case.dataset} (out of domain)") for case in cases]
