"""Sample the latents of chunks that overlap with a trained denoiser."""

from collections.abc import Callable, Iterator, Sequence
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
from instructme.pipelines.sentences.plan import Instruction

_BLOCK_FRAMES = 64


@dataclass(frozen=True)
class SamplingSettings:
    """How an edit is made; None takes the default of the run.

    Args:
        seed: of the noise that the sampler starts from.
        steps: of the sampler.
        text_guidance: scale of the instruction, w of eq. 4.
        source_guidance: scale of the source.
        chord_guidance: scale of the chords.
        prompt: text that describes the result, such as "a happy music". The editor needs an embedding for it.
        preserve: how the kept sound is taken from the source. By default, a run that predicts changes makes them add up to it.

    Example:
        ```python
        from instructme import Editor, SamplingSettings

        settings = SamplingSettings(seed=3, steps=50)
        edited = Editor.load("runs/editor").edit(audio, 44100, "remove drums", settings)
        ```
    """

    seed: int = 0
    steps: int | None = None
    text_guidance: float | None = None
    source_guidance: float | None = None
    chord_guidance: float | None = None
    prompt: str | None = None
    preserve: Preserve | None = None


@dataclass(frozen=True)
class Chunk:
    """The input of the denoiser for one chunk of music.

    first: its first frame in the music.
    source: its latent (1, C, F).
    chords: (1, 100, F) on the clock of the latent; None for models without chords.
    noise: (1, Cz, F). The Cz channels are those of the target, or of the removed and the added signal.
    sound: a differentiable function from latents (B, Cz, F) to the sound (B, T) of the edit.
    """

    instruction: Instruction
    settings: SamplingSettings
    first: int
    source: Tensor
    chords: Tensor | None
    noise: Tensor
    sound: Callable[[Tensor], Tensor]


Denoise = Callable[[Sequence[Chunk], Tensor | None], Iterator[tuple[Tensor, float]]]
"""Denoise a stretch of chunks, each of which overlaps the next one. The second argument is None, or latents (1, Cz, n) of the
first frames, which are already made. Yield latents (1, Cz, F) of the stretch and the share of the work since the last ones, until
the last ones are the result."""
Listen = Callable[[Tensor, str], Tensor]
"""Sound (B, T) at the preset's rate and a prompt -> their distance (B,), differentiable (paper: eq. 5)."""


class Denoiser:
    """A trained U-Net with its text encoder, and the distance that prompts need."""

    def __init__(self, preset: Preset, unet: nn.Module, text: TextEncoder, distance: Listen | None = None) -> None:
        self._diffusion = Diffusion(preset.diffusion)
        self._bf16 = preset.editor_training.precision == "bf16"
        self._unet, self._text, self._distance = unet, text, distance

    def __call__(self, chunks: Sequence[Chunk], done: Tensor | None = None) -> Iterator[tuple[Tensor, float]]:
        """Sample step by step (paper: eq. 4 to 6); see `Denoise`.

        A task that the preset samples in one step takes one step, unless the settings have `steps` or a prompt.

        Raises:
            DataError: the settings have a prompt, but the editor has no embedding.
        """
        config, settings, instruction = self._diffusion.config, chunks[0].settings, chunks[0].instruction
        single = instruction.step.task in config.single_step_tasks and not settings.prompt
        steps = settings.steps or (1 if single else config.sampling_steps)
        # One step gives the posterior mean, which guidance would only move away from.
        usual_guidance = config.text_guidance if steps > 1 else 1.0
        text, mask = (each.to(chunks[0].source.device) for each in self._text.encode([instruction.text]))
        windows = [
            guidance.GuidedWindow(
                Conditions(text, mask, chunk.source, chunk.chords), chunk.first - chunks[0].first, self._classifier(chunk)
            )
            for chunk in chunks
        ]
        for latents in guidance.sample_jointly(
            self._predict,
            self._diffusion,
            windows,
            _joined([chunk.noise for chunk in chunks], [window.first for window in windows]),
            scales=guidance.Scales(
                _first(settings.text_guidance, usual_guidance),
                _first(settings.source_guidance, config.source_guidance),
                _first(settings.chord_guidance, config.chord_guidance),
            ),
            steps=steps,
            done=done,
        ):
            yield latents, 1 / (steps * len(chunks))

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
            raise DataError(
                "a prompt needs an embedding of text and audio: add --set embedding=RUN, a run of 'instructme train embedding'"
            )
        return guidance.Classifier(
            lambda latents: distance(chunk.sound(latents), prompt), config.classifier_guidance, config.classifier_every
        )


def _first(value: float | None, default: float) -> float:
    return default if value is None else value


def _joined(noises: Sequence[Tensor], firsts: Sequence[int]) -> Tensor:
    """Put the noises of chunks together, which are equal where the chunks overlap."""
    joined = noises[0]
    for noise, first in zip(noises[1:], firsts[1:], strict=True):
        joined = torch.cat([joined[..., :first], noise], dim=-1)
    return joined


def noise(seed: int, first_frame: int, frames: int, channels: int) -> Tensor:
    """Draw standard normal noise (1, channels, frames) by the place in the music, so that chunks share it where they overlap."""
    first, last = first_frame // _BLOCK_FRAMES, (first_frame + frames - 1) // _BLOCK_FRAMES
    blocks = [np.random.default_rng([seed, block]).standard_normal((channels, _BLOCK_FRAMES)) for block in range(first, last + 1)]
    start = first_frame - first * _BLOCK_FRAMES
    return torch.from_numpy(np.concatenate(blocks, axis=1)[None, :, start : start + frames].astype(np.float32))
