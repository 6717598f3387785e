"""The denoiser's settings: a single step is the posterior mean, which nothing guides away unless somebody asks for it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from model import config, guidance
from model.presets import TINY
from model.unet import Unet, latents
from pipelines.editing.denoiser import Chunk, Denoiser, Settings
from pipelines.editing.instructions import parse

PRESET = config.override(TINY, ["unet.channels=[64]", "unet.chords=false", "diffusion.text_guidance=2.5"])


class Words:
    """Stands in for a text encoder."""

    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Encode to zeros."""
        return torch.zeros(len(texts), 3, PRESET.text.width), torch.ones(len(texts), 3, dtype=torch.bool)


@pytest.mark.parametrize(
    ("instruction", "settings", "steps", "text"),
    [
        ("remove drums", Settings(), 1, 1.0),
        ("remove drums", Settings(text_guidance=2.0), 1, 2.0),
        ("remove drums", Settings(steps=7), 7, 2.5),
        ("add piano", Settings(steps=1), 1, 1.0),
        ("add piano", Settings(), PRESET.diffusion.sampling_steps, 2.5),
        ("add piano", Settings(text_guidance=0.5), PRESET.diffusion.sampling_steps, 0.5),
    ],
)
def test_single_steps_are_not_guided_by_default(
    instruction: str, settings: Settings, steps: int, text: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def sample(*arguments: Any, **options: Any) -> Tensor:
        seen.update(options)
        return noise

    monkeypatch.setattr(guidance, "sample", sample)
    noise, source = torch.zeros(1, latents(PRESET), 8), torch.zeros(1, PRESET.vae.latent_channels, 8)
    denoise = Denoiser(PRESET, Unet(PRESET), Words())  # type: ignore[arg-type]
    denoise(Chunk(parse(instruction, None), settings, source, None, noise, lambda latent: latent, lambda share: None))
    assert (seen["steps"], seen["scales"].text) == (steps, text)
