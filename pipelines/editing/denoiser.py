"""Sample the latents of one chunk with a trained denoiser."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from instructme.manifests.rows import DataError
from instructme.model import guidance
from instructme.model.conditions import Conditions
from instructme.model.conditions.text import TextEncoder
from instructme.model.config import Preset
from instructme.model.diffusion import Diffusion
from instructme.pipelines.editing.changes import Preserve
from instructme.pipelines.editing.sentences import Instruction

_BLOCK_FRAMES = 64


@dataclass(frozen=True)
class SamplingSettings:
    """How an edit is sampled; None takes what the run's preset says."""

    seed: int = 0
    steps: int | None = None
    text_guidance: float | None = None
    source_guidance: float | None = None
    chord_guidance: float | None = None
    prompt: str | None = None
    """What the result shall sound like, such as "a happy music" (classifier guidance)."""
    preserve: Preserve | None = None


@dataclass(frozen=True)
class Chunk:
    """What the denoiser is told about a chunk.

    source: (1, C, F) its latent, and chords (1, 100, F) on its clock, None for models without.
    noise: (1, Cz, F), Cz channels of what is denoised: target, or removed and added part.
    sound: latents (B, Cz, F) -> the edit (B, T) they stand for, differentiable.
    progress: called after each step with the share of the work that it was.
    """

    instruction: Instruction
    settings: SamplingSettings
    source: Tensor
    chords: Tensor | None
    noise: Tensor
    sound: Callable[[Tensor], Tensor]
    progress: Callable[[float], object]


Denoise = Callable[[Chunk], Tensor]
"""Chunk -> latents (1, Cz, F)."""
Listen = Callable[[Tensor, str], Tensor]
"""Sound (B, T) at the preset's rate and a prompt -> their distance (B,), differentiable (paper: eq. 5)."""


class Denoiser:
    """A trained U-Net with its text encoder, and the distance that prompts need."""

    def __init__(self, preset: Preset, unet: nn.Module, text: TextEncoder, distance: Listen | None = None) -> None:
        self._diffusion = Diffusion(preset.diffusion)
        self._bf16 = preset.editor_training.precision == "bf16"
        self._unet, self._text, self._distance = unet, text, distance

    def __call__(self, chunk: Chunk) -> Tensor:
        """Sample (paper: eq. 4 to 6); tasks that the preset samples in one step do so unless `steps` or a prompt says more.

        Raises:
            DataError: a prompt, but nothing that hears how near a sound is to it.
        """
        config, settings = self._diffusion.config, chunk.settings
        single = chunk.instruction.task in config.single_step_tasks and not settings.prompt
        steps = settings.steps or (1 if single else config.sampling_steps)
        # One step gives the posterior mean, which guidance would only move away from.
        usual_guidance = config.text_guidance if steps > 1 else 1.0
        text, mask = self._text.encode([chunk.instruction.text])
        device = chunk.source.device
        return guidance.sample(
            self._predict,
            self._diffusion,
            Conditions(text.to(device), mask.to(device), chunk.source, chunk.chords),
            chunk.noise,
            scales=guidance.Scales(
                _first(settings.text_guidance, usual_guidance),
                _first(settings.source_guidance, config.source_guidance),
                _first(settings.chord_guidance, config.chord_guidance),
            ),
            steps=steps,
            classifier=self._classifier(chunk),
            progress=lambda: chunk.progress(1 / steps),
        )

    def _predict(self, noisy: Tensor, step: Tensor, conditions: Conditions) -> Tensor:
        """Predict as in training: on a GPU in bf16, where the run was trained so."""
        with torch.autocast(noisy.device.type, torch.bfloat16, enabled=self._bf16 and noisy.is_cuda):
            predicted: Tensor = self._unet(noisy, step, conditions)
        return predicted

    def _classifier(self, chunk: Chunk) -> guidance.Classifier | None:
        prompt, distance, config = chunk.settings.prompt, self._distance, self._diffusion.config
        if not prompt:
            return None
        if distance is None:
            raise DataError("a prompt needs an embedding of text and audio: give --embedding RUN ('instructme train embedding')")
        return guidance.Classifier(
            lambda latents: distance(chunk.sound(latents), prompt), config.classifier_guidance, config.classifier_every
        )


def _first(value: float | None, default: float) -> float:
    return default if value is None else value


def noise(seed: int, first_frame: int, frames: int, channels: int) -> Tensor:
    """Draw standard normal noise (1, channels, frames) by the place in the music, so that chunks share it where they overlap."""
    first, last = first_frame // _BLOCK_FRAMES, (first_frame + frames - 1) // _BLOCK_FRAMES
    blocks = [np.random.default_rng([seed, block]).standard_normal((channels, _BLOCK_FRAMES)) for block in range(first, last + 1)]
    start = first_frame - first * _BLOCK_FRAMES
    return torch.from_numpy(np.concatenate(blocks, axis=1)[None, :, start : start + frames].astype(np.float32))
