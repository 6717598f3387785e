"""Train the VAE on both sides of triplets: reconstruction, KL, and discriminators after a warm-up (paper: eq. 11)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from instructme.model import losses
from instructme.model.config import Preset
from instructme.model.discriminator import Discriminators
from instructme.model.vae import Vae
from instructme.pipelines.data.stream import Triplets, load
from instructme.pipelines.pages import PageClip, Row, training_page
from instructme.pipelines.training.loop import Batch, Trainer, descend
from instructme.pipelines.training.loss_curves import curves
from instructme.pipelines.training.micro_batches import NORM
from instructme.pipelines.training.optimizers import optimizer
from instructme.pipelines.training.randomness import generators, normal, uniform

VALIDATION_BATCH = 8
PREVIEWS = 4
"""Clips on the page of a run."""


class VaeTrainer(Trainer):
    """The trainer of a VAE."""

    kind = "vae"
    averaged = "vae"

    def __init__(self, preset: Preset, training: Triplets, validation: Triplets, seed: int = 0) -> None:
        """Build networks and optimisers; the latent is scaled by what clips of `training` turn into."""
        torch.manual_seed(seed)
        self.preset, self.seed = preset, seed
        self.training, self.validation = training, validation
        self.modules = {"vae": Vae(preset.vae)}
        if preset.vae.discriminators and preset.vae_training.discriminator_start_step < preset.vae_training.steps:
            self.modules["discriminators"] = Discriminators(preset.vae.discriminators)
        parameters = {name: module.parameters() for name, module in self.modules.items()}
        self.optimizers = {name: optimizer(each, preset.vae_training) for name, each in parameters.items()}
        self._batches: dict[str, list[Batch]] = {}

    def update(self, batch: Batch, step: int, accelerator: Any) -> dict[str, Tensor]:
        """Take a step of the discriminators, once they have started, then one of the VAE."""
        config, training = self.preset.vae, self.preset.vae_training
        audio, noise = self._draw(batch)
        decoded, posterior = self.modules["vae"](audio, noise)
        values = {
            "reconstruction": losses.reconstruction(decoded, audio, config),
            "kl": losses.kl_divergence(posterior),
        }
        loss = values["reconstruction"] + config.kl_weight * values["kl"]
        if "discriminators" in self.modules:
            started = step >= training.discriminator_start_step
            values |= self._judge(audio, decoded, accelerator) if started else dict.fromkeys(_JUDGED, loss.new_zeros(()))
            loss = loss + config.adversarial_weight * values["adversarial"] + config.feature_weight * values["features"]
        norm = descend(accelerator, loss, self.modules["vae"], self.optimizers["vae"], training.clip_norm)
        if "discriminators" in self.modules:
            accelerator.unwrap_model(self.modules["discriminators"]).requires_grad_(True)
        return {"loss": loss.detach(), NORM: norm} | {name: value.detach() for name, value in values.items()}

    def validate(self, accelerator: Any) -> dict[str, float]:
        """Compute loss and SI-SDR of both sides of the first validation triplets, decoded from the posterior's mean."""
        found, ratios = [], []
        for batch in self._fixed("validation"):
            audio = _both(batch).to(accelerator.device)
            decoded, _ = self.modules["vae"](audio)
            found.append(losses.reconstruction(decoded, audio, self.preset.vae).item())
            ratios.append(losses.si_sdr_db(decoded, audio))
        joined = torch.cat(ratios)
        heard = joined[~joined.isnan()]
        return {"loss": float(np.mean(found)), "si_sdr_db": float(heard.mean()) if len(heard) else 0.0}

    def preview(self, run: Path, step: int, accelerator: Any) -> None:
        """Write RUN/edits.html: training curves, and a few sources beside what the VAE makes of them."""
        rate_hz, rows = self.preset.sample_rate_hz, []
        for row in range(min(PREVIEWS, len(self.validation))):
            _, audio = self.validation.waveforms(row)
            source = torch.from_numpy(audio["source"])[None, None].to(accelerator.device)
            decoded = self.modules["vae"](source)[0][0, 0].cpu().numpy()
            clips = [("source", audio["source"]), ("decoded", decoded)]
            rows.append(Row(f"source {row + 1}", [PageClip(label, samples, rate_hz) for label, samples in clips]))
        if accelerator.is_main_process:
            training_page(run / "edits.html", f"{run.name}: decoded after step {step}", rows, curves(run))

    def finish(self, run: Path, accelerator: Any) -> None:
        """Fit the latent's mean and scale to training clips: always the same, spread over the split."""
        means = [self.modules["vae"](_both(batch).to(accelerator.device))[1].mean for batch in self._fixed("training")]
        accelerator.unwrap_model(self.modules["vae"]).fit_latent(torch.cat(means))

    def _draw(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Choose a side of each triplet, and the noise of its latent."""
        sources = generators(self.seed, batch["number"])
        chosen = (uniform(sources) < 0.5).to(batch["source"].device, non_blocking=True)[:, None, None]
        audio = torch.where(chosen, batch["source"], batch["target"])
        frames = -(-audio.shape[-1] // self.preset.hop_samples)
        return audio, normal(sources, (self.preset.vae.latent_channels, frames), audio.device)

    def _judge(self, audio: Tensor, decoded: Tensor, accelerator: Any) -> dict[str, Tensor]:
        """Teach the discriminators, then ask them, held fixed, about the decoded audio."""
        config, wrapped = self.preset.vae, self.modules["discriminators"]
        accelerator.unwrap_model(wrapped).requires_grad_(True)  # where the memory was too small, they are still held fixed
        size = len(audio)
        real, fake = losses.split_judgements(_judged(wrapped, torch.cat([audio, decoded.detach()])), size)
        loss = losses.discriminator_loss(real, fake, config.adversarial)
        norm = descend(accelerator, loss, wrapped, self.optimizers["discriminators"], self.preset.vae_training.clip_norm)
        # No gradients of theirs are wanted now, so that the wrapper, which waits for them, must not be asked.
        fixed = accelerator.unwrap_model(wrapped).requires_grad_(False)
        real, fake = losses.split_judgements(_judged(fixed, torch.cat([audio, decoded])), size)
        values = losses.adversarial_loss(fake, config.adversarial), losses.feature_distance(real, fake), loss, norm
        return dict(zip(_JUDGED, values, strict=True))

    def _fixed(self, name: str) -> list[Batch]:
        """Read `validation_triplets` triplets of a split once, evenly spaced; they stay in memory."""
        if name not in self._batches:
            triplets: Triplets = getattr(self, name)
            count = min(self.preset.vae_training.validation_triplets, len(triplets))
            rows = np.linspace(0, len(triplets) - 1, count).astype(int).tolist()
            self._batches[name] = list(load(triplets, sampler=rows, batch_size=VALIDATION_BATCH))
        return self._batches[name]


_JUDGED = ("adversarial", "features", "discriminator", f"discriminator_{NORM}")


def _judged(discriminators: nn.Module, audio: Tensor) -> Any:
    """Ask the discriminators, on a GPU in bfloat16: they cost more than the VAE, and only their gradients count."""
    with torch.autocast(audio.device.type, torch.bfloat16, enabled=audio.is_cuda):
        return discriminators(audio)


def _both(batch: Batch) -> Tensor:
    """Join sources and targets: (2b, 1, T)."""
    return torch.cat([batch["source"], batch["target"]])
