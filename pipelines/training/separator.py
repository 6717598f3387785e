"""Train a separator on mixes that are drawn from the parts of a working folder."""

import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from instructme.dataset_tools import audio
from instructme.dataset_tools.sharding import part_files
from instructme.manifests.rows import DataError, Part, Track
from instructme.manifests.tables import broken_chain, read_rows
from instructme.model.checkpoint import read_config, restore
from instructme.model.conditions.text import TextEncoder
from instructme.model.config import ModelError, Preset
from instructme.model.production import produce
from instructme.model.separation_loss import separation_loss, separation_scores_db, total
from instructme.model.separator import Separator
from instructme.pipelines.training.drawn_mixes import NAMES, DrawnMixes, ask, draw, dry_parts
from instructme.pipelines.training.loop import Batch, Trainer, descend
from instructme.pipelines.training.micro_batches import NORM
from instructme.pipelines.training.optimizers import optimizer
from instructme.pipelines.training.part_bank import PartBank
from instructme.pipelines.training.validation_edits import Score, ScoredTask, means

_TASKS = ("extract", "remove")
QUESTIONS = 2
"""Instruments that are asked for in each mix."""


def with_instruments(preset: Preset) -> Preset:
    """Fill in the names of the separator's table."""
    return dataclasses.replace(preset, separator=dataclasses.replace(preset.separator, instruments=NAMES))


def read_bank(work: Path, split: str, preset: Preset) -> PartBank:
    """Read the parts of the tracks of a split into memory.

    Raises:
        DataError: no parts, parts of another rate than the preset's, of another scan than the tracks and their splits, or changed
            since.
    """
    if problems := broken_chain(work / "parts.parquet"):
        what = problems[0].rpartition(": ")[0]
        raise DataError(f"{work}: {what}: run 'instructme prepare {work}' again")
    rate_hz = preset.separator.sample_rate_hz
    splits = {track.track_id: track.split for track in read_rows(work / "tracks.parquet", Track)}
    rows = [row for row in read_rows(work / "parts.parquet", Part) if splits.get(row.track_id) == split]
    if not rows:
        raise DataError(f"{work} has no parts of the split {split}: run 'instructme prepare {work}' first")
    if wrong := next((row for row in rows if row.sample_rate_hz != rate_hz), None):
        raise DataError(f"{work / wrong.path} has {wrong.sample_rate_hz} Hz, the preset wants {rate_hz}: prepare at this rate")
    bank = PartBank(round(preset.separator_training.segment_seconds * rate_hz))
    by_track: dict[str, list[Part]] = {}
    for row in rows:
        part_files.check(work / row.path, row.rms_db)
        by_track.setdefault(row.track_id, []).append(row)
    for own in by_track.values():
        bank.add([(row.instrument, audio.to_int16(audio.read(work / row.path))) for row in own])
    return bank


def batches(bank: PartBank, batch_size: int, seed: int, first_step: int, rank: int, ranks: int) -> Iterator[Batch]:
    """Yield this rank's share of the mixes of each step, without end. Each mix follows from the seed and its number."""
    for step in itertools.count(first_step):
        yield _batch(bank, np.arange(step * batch_size + rank, (step + 1) * batch_size, ranks), seed)


def _batch(bank: PartBank, numbers: np.ndarray, seed: int) -> Batch:
    drawn = [draw(bank, 1, QUESTIONS, np.random.default_rng([seed, number])) for number in numbers.tolist()]
    mixes = DrawnMixes(*(np.concatenate(each) for each in zip(*drawn, strict=True)))
    return {
        "number": torch.from_numpy(numbers),
        "parts": dry_parts(bank, mixes),
        "covered": torch.from_numpy(mixes.covered).float(),
        "asked": torch.from_numpy(mixes.asked),
    }


class SeparatorTrainer(Trainer):
    """The trainer of a separator. It writes no page and no further files: the curves are in metrics.jsonl."""

    kind = "separator"
    averaged = "separator"

    def __init__(
        self, preset: Preset, validation: PartBank, seed: int = 0, start: Path | None = None, score: Score | None = None
    ) -> None:
        """Build the network; its words are scaled by those of all names.

        Args:
            preset: with the names of the table; see `with_instruments`.
            validation: parts of the validation split.
            seed: of weights and mixes.
            start: a run whose weights are the first ones.
            score: scores edits of the validation mixes.

        Raises:
            ModelError: `start` is no run of a separator, is damaged, or has other sizes or names.
        """
        torch.manual_seed(seed)
        self.preset, self.seed, self._started, self._score = preset, seed, start is not None, score
        network = Separator(preset.separator)
        self._words = TextEncoder(preset.text.encoder, preset.separator.text_width).mean(NAMES)
        network.text_mean.copy_(self._words.mean(dim=0))
        network.text_deviation.copy_(self._words.std(dim=0) + 1e-4)
        if start is not None:
            _begin_with(network, preset, start)
        self.modules = {"separator": network}
        self.optimizers = {"separator": optimizer(network.parameters(), preset.separator_training)}
        size = preset.separator_training.batch_size
        count = max(1, preset.separator_training.validation_triplets // size)
        self._validation = [_batch(validation, np.arange(size) + size * each, 2**31 + 1) for each in range(count)]

    def update(self, batch: Batch, step: int, accelerator: Any) -> dict[str, Tensor]:
        """Produce the parts, mix them, ask, and go down the loss."""
        generator = torch.Generator(batch["parts"].device).manual_seed(self.seed * 2**32 + int(batch["number"][0]))
        parts = batch["parts"].flatten(0, 1)
        parts = produce(parts, self.preset.separator.sample_rate_hz, generator).view_as(batch["parts"])
        # Wrappers hide the transform of the network.
        stft = accelerator.unwrap_model(self.modules["separator"], keep_torch_compile=False).stft
        mix, answers = stft(parts.sum(dim=1)), stft(torch.einsum("bqp,bpt->bqt", batch["covered"], parts))
        chance = torch.rand(batch["asked"].shape, generator=generator, device=parts.device)
        questions = ask(batch["asked"], self._words.to(parts.device)[batch["asked"]], chance)
        mask, presence = self.modules["separator"](mix, *questions)
        # A network that knows its answers already needs no high floor.
        progress = 1.0 if self._started else step / self.preset.separator_training.steps
        values = separation_loss(mask, presence, answers, mix, progress)
        loss = total(values)
        training = self.preset.separator_training
        norm = descend(accelerator, loss, self.modules["separator"], self.optimizers["separator"], training.clip_norm)
        return {"loss": loss.detach()} | {name: value.detach() for name, value in values.items()} | {NORM: norm}

    def validate(self, accelerator: Any) -> dict[str, float]:
        """Measure loss and SI-SDR of extract and remove on dry mixes of the validation split, beside those of the mix itself.

        Returns:
            Also `edit_done` and `kept_error_db` by task, of the first batch; and `score`, the mean improvement of the SI-SDR.
        """
        scores: dict[str, list[Tensor]] = {"loss": []}
        scored: list[ScoredTask] = []
        network = accelerator.unwrap_model(self.modules["separator"])
        for batch in self._validation:
            parts, covered = batch["parts"].to(accelerator.device), batch["covered"].to(accelerator.device)
            mix, answers = parts.sum(dim=1), torch.einsum("bqp,bpt->bqt", covered, parts)
            spectrum = network.stft(mix)
            mask, presence = network(spectrum, batch["asked"].to(accelerator.device))
            losses = separation_loss(mask, presence, network.stft(answers), spectrum)
            estimates = network.istft(spectrum[:, None] * mask, mix.shape[-1])
            scores["loss"].append(losses["error"][None])
            for name, value in separation_scores_db(estimates, answers, mix).items():
                scores.setdefault(name, []).append(value)
            scored = scored or self._scored(mix, answers, estimates)
        values = {name: float(torch.cat(each).mean()) for name, each in scores.items() if torch.cat(each).numel()}
        values |= {name: value for name, value in means(scored).items() if name.endswith(("edit_done", "kept_error_db"))}
        gains = {task: values[f"{task}_db"] - values[f"{task}_identity_db"] for task in _TASKS if f"{task}_db" in values}
        values |= {f"{task}_si_sdri_db": gain for task, gain in gains.items()}
        return values | ({"score": sum(gains.values()) / len(gains)} if gains else {})

    def _scored(self, mix: Tensor, answers: Tensor, estimates: Tensor) -> list[ScoredTask]:
        """Score each answer as an edit of extract, and the rest as one of remove."""
        if self._score is None:
            return []
        rate_hz, whole = self.preset.separator.sample_rate_hz, mix[:, None].expand_as(answers)
        scored = []
        for task, target, edit in (("extract", answers, estimates), ("remove", whole - answers, whole - estimates)):
            rows = (each.flatten(0, 1).float().cpu().numpy() for each in (whole, target, edit))
            scored += [
                ScoredTask(task, self._score(source, one, other, rate_hz)) for source, one, other in zip(*rows, strict=True)
            ]
        return scored


def _begin_with(network: Separator, preset: Preset, run: Path) -> None:
    """Load the weights of another run into a network of the same sizes and names."""
    other, _ = read_config(run, "separator")
    ours, theirs = ({**vars(each.separator), "encoder": each.text.encoder} for each in (preset, other))
    if theirs.pop("instruments") != ours.pop("instruments"):
        raise ModelError(f"can't start from {run}: its table of instruments is that of another version. Train without --start")
    for name, value in theirs.items():
        if value != ours[name]:
            setting = f"{'text' if name == 'encoder' else 'separator'}.{name}={json.dumps(value)}"
            raise ModelError(f"can't start from {run}: it has other sizes than this preset. Add --set '{setting}'")
    restore(network, run)
