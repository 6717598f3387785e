"""Train the denoiser of the editor in the latent space of a trained VAE (paper: eq. 2 and 3)."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from instructme.dataset_tools.tasks import task_names
from instructme.manifests.rows import DataError
from instructme.manifests.tables import sha256
from instructme.model.checkpoint import WEIGHTS, load_weights, read_config, restore, save_weights
from instructme.model.conditions import Conditions
from instructme.model.conditions.text import TextEncoder
from instructme.model.config import DiffusionConfig, ModelError, Preset
from instructme.model.diffusion import Diffusion, Draw
from instructme.model.unet import Unet
from instructme.model.vae import Vae
from instructme.pipelines.data.latent_reader import CHANGES
from instructme.pipelines.data.stream import Triplets, load
from instructme.pipelines.editing.denoiser import Denoiser
from instructme.pipelines.editing.editor import Editor
from instructme.pipelines.pages import PageClip, Row, training_page
from instructme.pipelines.training import checkpoints
from instructme.pipelines.training.conditioning import keep_examples
from instructme.pipelines.training.loop import Batch, Trainer, descend
from instructme.pipelines.training.loss_curves import curves
from instructme.pipelines.training.loss_groups import grouped
from instructme.pipelines.training.micro_batches import NORM
from instructme.pipelines.training.optimizers import optimizer
from instructme.pipelines.training.randomness import generators
from instructme.pipelines.training.validation_edits import Score, ScoredTask, ValidationEdit, edits, first_of_each, means

VALIDATION_BATCH = 8


def open_triplets(data: Path, split: str, preset: Preset, vae_run: Path, **options: Any) -> Triplets:
    """Open a split as the editor needs it: changes and chords where the preset asks for them, latents where they fit the VAE.

    Raises:
        DataError: see `Triplets`.
        ModelError: no VAE in `vae_run`.
    """
    weights = vae_run / f"{WEIGHTS}.safetensors"
    load_weights(vae_run)  # a missing or damaged file is told in one line
    return Triplets(
        data,
        split,
        preset,
        segment_seconds=preset.editor_training.segment_seconds,
        changes=preset.diffusion.makes_changes,
        named=preset.diffusion.predict == "named",
        chords=preset.unet.chords,
        vae=sha256(weights),
        **options,
    )


def with_vae_of(preset: Preset, vae_run: Path) -> Preset:
    """Give the preset the VAE that was trained.

    Raises:
        ModelError: `vae_run` is no VAE run, or was trained at another sample rate.
    """
    trained, _ = read_config(vae_run, "vae")
    if trained.sample_rate_hz != preset.sample_rate_hz:
        raise ModelError(
            f"the VAE of {vae_run} works at {trained.sample_rate_hz} Hz, preset {preset.name} at {preset.sample_rate_hz} Hz: "
            "train a VAE with this preset"
        )
    return dataclasses.replace(preset, vae=trained.vae, vae_training=trained.vae_training)


def _check_single_steps(config: DiffusionConfig) -> None:
    """Refuse at once what sampling would refuse after hours of training."""
    if unknown := sorted(set(config.single_step_tasks) - set(task_names())):
        raise ModelError(f"diffusion.single_step_tasks can't be {unknown[0]!r}: choose from {', '.join(task_names())}")
    if config.single_step_tasks and not (config.zero_terminal_snr and config.prediction == "v"):
        raise ModelError(
            "diffusion.single_step_tasks needs diffusion.zero_terminal_snr and diffusion.prediction=v: "
            "add --set 'diffusion.single_step_tasks=[]'"
        )


def _groups(tasks: Sequence[str], steps: Sequence[int], all_steps: int) -> dict[str, list[bool]]:
    """Say which samples of a batch are of each task, of each quarter of the noise levels, and at the last level of all."""
    levels = ["noise_last" if step == all_steps - 1 else f"noise_{1 + 4 * step // all_steps}" for step in steps]
    by_task = {name: [task == name for task in tasks] for name in task_names()}
    names = (*(f"noise_{quarter}" for quarter in range(1, 5)), "noise_last")
    return by_task | {name: [level == name for level in levels] for name in names}


class EditorTrainer(Trainer):
    """The trainer of a denoiser. Its VAE and text encoder are frozen."""

    kind = "editor"
    averaged = "unet"

    def __init__(
        self,
        preset: Preset,
        vae_run: Path,
        validation: Triplets,
        seed: int = 0,
        *,
        data: Mapping[str, Any] | None = None,
        score: Score | None = None,
    ) -> None:
        """Build the networks of a preset whose VAE is that of `vae_run` (see `with_vae_of`).

        Args:
            preset: of the editor.
            vae_run: run of `train vae`.
            validation: triplets of the validation split.
            seed: of weights and noise.
            data: what `data_card.describe` says of the training data, which edits depend on.
            score: scores edits. With it, each validation edits `validation_edits` triplets of each task.
        """
        _check_single_steps(preset.diffusion)
        self.preset, self.seed = preset, seed
        self.vae = Vae(preset.vae).eval().requires_grad_(False)
        restore(self.vae, vae_run)
        self.text = TextEncoder(preset.text.encoder, preset.text.width)
        self._made = CHANGES if preset.diffusion.makes_changes else ("target",)
        self.diffusion = Diffusion(preset.diffusion)
        # Every condition is heard in validation, so that runs with other dropouts are compared by one loss.
        heard = dataclasses.replace(preset.diffusion, text_dropout=0.0, source_dropout=0.0, chord_dropout=0.0)
        self._without_dropout = Diffusion(heard)
        torch.manual_seed(seed)
        self.modules = {"unet": Unet(preset)}
        self.optimizers = {"unet": optimizer(self.modules["unet"].parameters(), preset.editor_training)}
        self.validation, self.data, self.score = validation, data, score
        self._edits: list[ValidationEdit] = []
        self._validation_batches: list[Batch] = []
        self._task_weights: dict[str, float] = {}

    def update(self, batch: Batch, step: int, accelerator: Any) -> dict[str, Tensor]:
        """Take a step on the diffusion loss; also returns it by task and by noise level."""
        losses, draw = self._losses(batch, self.diffusion, self.seed, accelerator)
        weights = self._weights(batch["task"], accelerator) if self.preset.diffusion.balance_tasks else 1.0
        means = {name: (values * weights).mean() for name, values in losses.items()}
        clip_norm = self.preset.editor_training.clip_norm
        norm = descend(accelerator, means["loss"], self.modules["unet"], self.optimizers["unet"], clip_norm)
        groups = _groups(batch["task"], draw.steps.tolist(), self.preset.diffusion.steps)
        return {name: value.detach() for name, value in means.items()} | grouped(losses["loss"], groups) | {NORM: norm}

    def validate(self, accelerator: Any) -> dict[str, float]:
        """Compute the loss on the first validation triplets, of all and by task: always the same noise, all conditions heard.

        Returns:
            Also the scores of edits of a fixed set; see `validation_edits.means`.
        """
        losses: list[Tensor] = []
        tasks: list[str] = []
        for batch in self._validation(accelerator):
            made, _ = self._losses(batch, self._without_dropout, self.seed + 1, accelerator)
            losses.append(made["loss"].cpu())
            tasks += batch["task"]
        joined = torch.cat(losses)
        by_task = {task: joined[[each == task for each in tasks]] for task in task_names()}
        values = {"loss": float(joined.mean())} | {task: float(each.mean()) for task, each in by_task.items() if len(each)}
        return values | self._scored(accelerator)

    def preview(self, run: Path, step: int, accelerator: Any) -> None:
        """Write RUN/edits.html: training curves, and an edit of each task beside its source and target."""
        made, rate_hz, rows = self._edits or self._edit(accelerator, 1), self.preset.sample_rate_hz, []
        for place in first_of_each([each.clip.task for each in made], 1):
            clips = [(side, getattr(made[place], side)) for side in ("source", "edit", "target")]
            rows.append(Row(made[place].clip.instruction, [PageClip(label, samples, rate_hz) for label, samples in clips]))
        if accelerator.is_main_process:
            training_page(run / "edits.html", f"{run.name}: edits after step {step}", rows, curves(run))

    def finish(self, run: Path, accelerator: Any) -> None:
        """Put the VAE and a few examples beside the weights, so that the run folder is all that `edit` and `check` need."""
        # Before the first checkpoint they may be left from a run with another VAE that was killed.
        if accelerator.is_main_process and not (checkpoints.found(run) and (run / "vae.safetensors").exists()):
            keep_examples(run, *self._conditions(accelerator))
            save_weights(run, "vae", self.vae.state_dict())

    def _losses(self, batch: Batch, diffusion: Diffusion, seed: int, accelerator: Any) -> tuple[dict[str, Tensor], Draw]:
        """Compute losses (b,) and say what chance decided."""
        device = accelerator.device
        source, clean = self._latents(batch, device)
        text, mask = self.text.to(device).encode(batch["instruction"])
        draw = diffusion.draw(generators(seed, batch["number"]), clean.shape[1:], device)
        text, mask, *kept = (
            each.to(device, non_blocking=True) for each in (text, mask, draw.keep_text, draw.keep_source, draw.keep_chords)
        )
        chords = batch["chords"].to(device) if "chords" in batch else None
        conditions = Conditions(text, mask, source, chords, *kept)
        with accelerator.autocast():
            return diffusion.losses(self.modules["unet"], clean, conditions, draw), draw

    def _weights(self, tasks: Sequence[str], accelerator: Any) -> Tensor:
        """Weigh samples (b,) by the inverse of the mean energy that their task has in the validation triplets."""
        if not self._task_weights:
            batches = self._validation(accelerator)
            clean = [torch.cat([batch[name] for name in self._made], dim=1) for batch in batches]
            energies = torch.cat([each.square().mean(dim=(1, 2)) for each in clean])
            listed = [task for batch in batches for task in batch["task"]]
            by_task = {task: energies[[each == task for each in listed]].mean() for task in set(listed)}
            self._task_weights = {task: float(energies.mean() / energy.clamp(min=1e-6)) for task, energy in by_task.items()}
        weights = torch.tensor([self._task_weights.get(task, 1.0) for task in tasks])
        return weights.to(accelerator.device, non_blocking=True)

    @torch.no_grad()
    def _latents(self, batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
        """Give the latent of the source, and what is denoised: that of the target, or of the removed and the added part."""
        values = [batch[name].to(device) for name in ("source", *self._made)]
        if batch["source"].shape[1] == 1:
            vae = self.vae.to(device)
            values = [vae.to_latent(audio) for audio in values]
        return values[0], torch.cat(values[1:], dim=1)

    def _validation(self, accelerator: Any) -> list[Batch]:
        """Read the validation triplets once; they stay in memory as latents."""
        if not self._validation_batches:
            rows = range(min(self.preset.editor_training.validation_triplets, len(self.validation)))
            batches = load(self.validation, sampler=rows, batch_size=VALIDATION_BATCH)
            self._validation_batches = [self._kept(batch, accelerator.device) for batch in batches]
        return self._validation_batches

    def _kept(self, batch: Mapping[str, Any], device: torch.device) -> Batch:
        source, clean = self._latents(batch, device)
        latents = zip(("source", *self._made), (source, *clean.chunk(len(self._made), dim=1)), strict=True)
        return {**batch, **{name: latent.cpu() for name, latent in latents}}

    def _conditions(self, accelerator: Any) -> tuple[Tensor, Tensor | None, list[str], Tensor]:
        """Give two triplets of each task for `keep_examples`."""
        batches = self._validation(accelerator)
        rows = first_of_each([task for batch in batches for task in batch["task"]], 2)
        source, clean = (
            torch.cat([torch.cat([batch[name] for name in names], dim=1) for batch in batches])[rows]
            for names in (("source",), self._made)
        )
        chords = torch.cat([batch["chords"] for batch in batches])[rows] if "chords" in batches[0] else None
        texts = [text for batch in batches for text in batch["instruction"]]
        return source, chords, [texts[row] for row in rows], clean

    def _edit(self, accelerator: Any, count: int) -> list[ValidationEdit]:
        """Edit the first COUNT validation triplets of each task."""
        # Compiled for the shapes of training, it would be compiled again for each edit.
        unet = accelerator.unwrap_model(self.modules["unet"], keep_torch_compile=False)
        device, denoiser = accelerator.device, Denoiser(self.preset, unet, self.text)
        editor = Editor(self.preset, self.vae.to(device), denoiser, data=self.data, device=device)
        tasks = [task for batch in self._validation(accelerator) for task in batch["task"]]
        return edits(editor, self.validation, first_of_each(tasks, count), self.preset.sample_rate_hz, self.seed)

    def _scored(self, accelerator: Any) -> dict[str, float]:
        """Edit a fixed set, keep it for the preview, and score it; nothing where edits can't be made here."""
        count, rate_hz = self.preset.editor_training.validation_edits, self.preset.sample_rate_hz
        if self.score is None or not count:
            return {}
        try:
            self._edits = self._edit(accelerator, count)
        except (DataError, ModelError):  # which the preview tells
            self._edits = []
        scored = [ScoredTask(each.clip.task, self.score(each.source, each.target, each.edit, rate_hz)) for each in self._edits]
        return means(scored)
