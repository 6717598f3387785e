"""Put data, trainer and loop together for each kind of model of `instructme train`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from instructme.manifests.tables import sha256
from instructme.model.checkpoint import WEIGHTS
from instructme.model.config import ModelError, Preset, override
from instructme.model.presets import PRESETS
from instructme.pipelines.data.sequential import sequential_batches
from instructme.pipelines.data.stream import Triplets, batches
from instructme.pipelines.editing.run_folders import find_run
from instructme.pipelines.processes import engine
from instructme.pipelines.training import loop, run_folder
from instructme.pipelines.training.data_card import describe
from instructme.pipelines.training.validation_edits import Score

PACKAGE = "package"
"""Says `train separator --start` that the run is the one in the package."""


@dataclass(frozen=True)
class Choices:
    """Options that all kinds share. None means the value of the preset."""

    run: Path
    preset: str = "small"
    settings: tuple[str, ...] = ()
    steps: int | None = None
    batch_size: int | None = None
    precision: str | None = None
    seed: int = 0
    device: str = "auto"
    workers: int | None = None
    tracker: str | None = None
    compiled: bool = False
    order: str = run_folder.EXACT

    def read_preset(self, kind: str) -> Preset:
        """Make the preset with all settings.

        Raises:
            ModelError: no such field, or a value of another type.
        """
        named = {"steps": self.steps, "batch_size": self.batch_size, "precision": self.precision}
        chosen = [f"{kind}_training.{name}={value}" for name, value in named.items() if value is not None]
        return override(PRESETS[self.preset], [*self.settings, *chosen])


def vae(data: Path, choices: Choices) -> None:
    """Train a VAE on both sides of triplets.

    Raises:
        DataError, ModelError: see `Triplets` and `loop.train`.
    """
    from instructme.pipelines.training.vae import VaeTrainer

    preset = choices.read_preset("vae")
    seconds = preset.vae_training.segment_seconds
    triplets, validation = (
        Triplets(data, split, preset, segment_seconds=seconds, seed=choices.seed) for split in ("train", "validation")
    )
    _train(VaeTrainer(preset, triplets, validation, choices.seed), preset, triplets, describe(data), choices)


def editor(
    data: Path, vae_run: Path, work: Path | None, latents: Path | None, on_the_fly: bool, score: Score, choices: Choices
) -> None:
    """Train a denoiser in the latent space of a trained VAE; `score` tells how good its edits are.

    Raises:
        DataError, ModelError: see `open_triplets` and `loop.train`; or chords would be found in audio without `on_the_fly`.
    """
    from instructme.pipelines.training.editor import EditorTrainer, open_triplets, with_vae_of

    preset = with_vae_of(choices.read_preset("editor"), vae_run)
    triplets, validation = (
        open_triplets(data, split, preset, vae_run, work=work, latents=latents, seed=choices.seed)
        for split in ("train", "validation")
    )
    if preset.unet.chords and not triplets.encoded and not on_the_fly:
        raise ModelError(
            f"without latents, each step must find the chords in its audio, which is slow (reads {triplets.note}): "
            "run 'instructme train latents' on shards first, or add --on-the-fly"
        )
    about = {**describe(data), "vae": sha256(vae_run / f"{WEIGHTS}.safetensors")}
    trainer = EditorTrainer(preset, vae_run, validation, choices.seed, data=about, score=score)
    _train(trainer, preset, triplets, about, choices)


def embedding(data: Path, captions: Path | None, choices: Choices) -> None:
    """Train the joint embedding of text and music.

    Raises:
        DataError, ModelError: see `EmbeddingTrainer` and `loop.train`.
    """
    from instructme.pipelines.training.embedding import EmbeddingTrainer, Mixes

    preset = choices.read_preset("embedding")
    triplets, validation = (Mixes(data, split, preset, seed=choices.seed) for split in ("train", "validation"))
    trainer = EmbeddingTrainer(preset, validation, captions, choices.seed)
    about = describe(data) | ({"captions": sha256(captions)} if captions else {})
    _train(trainer, preset, triplets, about, choices)


def separator(work: Path, first: str | None, score: Score, choices: Choices) -> None:
    """Train a separator on the parts of a working folder.

    Args:
        work: the working folder.
        first: the run that gives the first weights: `package`, a folder, or OWNER/NAME on the Hugging Face hub.
        score: tells how good edits are.
        choices: shared options.

    Raises:
        DataError, ModelError: see `read_bank`, `SeparatorTrainer` and `loop.train`.
    """
    from instructme.pipelines.training.separator import SeparatorTrainer, batches, read_bank, with_instruments

    preset = with_instruments(choices.read_preset("separator"))
    training, validation = (read_bank(work, split, preset) for split in ("train", "validation"))
    size, count = preset.separator_training.batch_size, len(training.parts)
    _say(f"separator, preset {preset.name}: {preset.separator_training.steps} steps of {size} mixes of {count} parts")
    share = partial(batches, training, size, choices.seed)
    about = {"hash": sha256(work / "parts.parquet"), "split": "train", "instruments": sorted(training.by_instrument)}
    folder = find_run(None if first == PACKAGE else first) if first else None
    trainer = SeparatorTrainer(preset, validation, choices.seed, folder, score)
    start = None
    if first and folder:
        _say(f"starts with the weights of {first}")
        start = {"run": Path(first).name, "weights": sha256(folder / f"{WEIGHTS}.safetensors")}
    _loop(trainer, preset, share, about, choices, start)


def _train(trainer: loop.Trainer, preset: Preset, triplets: Triplets, about: Mapping[str, Any], choices: Choices) -> None:
    training = getattr(preset, f"{trainer.kind}_training")
    workers = min(4, engine.cores() - 1) if choices.workers is None else choices.workers
    read = batches if choices.order == run_folder.EXACT else sequential_batches
    share = partial(read, triplets, batch_size=training.batch_size, seed=choices.seed, workers=workers)
    _say(f"{trainer.kind}, preset {preset.name}: {training.steps} steps of {training.batch_size} on {len(triplets)} triplets")
    _say(f"reads {triplets.note}")
    _loop(trainer, preset, share, about, choices)


def _loop(
    trainer: loop.Trainer,
    preset: Preset,
    share: loop.Batches,
    about: Mapping[str, Any],
    choices: Choices,
    start: Mapping[str, str] | None = None,
) -> None:
    loop.train(
        trainer,
        choices.run,
        preset=preset,
        batches=share,
        data=about,
        seed=choices.seed,
        device=choices.device,
        tracker=choices.tracker,
        compiled=choices.compiled,
        order=choices.order,
        start=start,
    )
    _say(f"trained: {choices.run}")


def _say(text: str) -> None:
    """Tell the user, once for all processes that torchrun or accelerate has started."""
    if os.environ.get("RANK", "0") == "0":
        click.echo(text, err=True)
