"""The denoiser learns to use chords where they alone tell the harmony, at the right time."""

import dataclasses

import pytest
import torch

from instructme.model.conditions import Conditions
from instructme.model.conditions.chords import CHORDS
from instructme.model.diffusion import Diffusion
from instructme.model.presets import TINY
from instructme.model.unet import Unet, latents

FRAMES, HELD_FRAMES, TRIADS = 64, 16, 24
pytestmark = pytest.mark.slow
PRESET = dataclasses.replace(
    TINY,
    vae=dataclasses.replace(TINY.vae, latent_channels=8),
    text=dataclasses.replace(TINY.text, width=16),
    unet=dataclasses.replace(TINY.unet, channels=(32, 64), head_channels=32, chunk_frames=32),
)


class Music:
    """Latents that follow from the chord of each frame, and sources that say nothing of it."""

    def __init__(self) -> None:
        self.random = torch.Generator().manual_seed(0)
        self.latent_of_triad = torch.randn(TRIADS, latents(PRESET), generator=self.random)

    def draw(self, count: int) -> tuple[torch.Tensor, Conditions]:
        """Draw clean latents (B, C, F), and what the denoiser hears."""
        triads = torch.randint(TRIADS, (count, FRAMES // HELD_FRAMES), generator=self.random).repeat_interleave(HELD_FRAMES, 1)
        chords = torch.zeros(count, CHORDS, FRAMES).scatter_(1, 1 + triads[:, None], 1.0)
        chords[:, [73, 86, 90, 94, 97]] = 1.0
        source = torch.randn(count, PRESET.vae.latent_channels, FRAMES, generator=self.random)
        text = torch.ones(count, 2, PRESET.text.width)
        return self.latent_of_triad[triads].mT, Conditions(text, torch.ones(count, 2, dtype=torch.bool), source, chords)


@pytest.fixture(scope="module")
def errors() -> dict[str, float]:
    """Errors of the last noise level after a short training: as they are, and with other chords."""
    torch.manual_seed(0)
    music, unet, diffusion = Music(), Unet(PRESET), Diffusion(PRESET.diffusion)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=3e-3)
    for step in range(80):
        clean, conditions = music.draw(4)
        draw = diffusion.draw([torch.Generator().manual_seed(4 * step + row) for row in range(4)], clean.shape[1:])
        optimizer.zero_grad()
        diffusion.losses(unet, clean, conditions, draw)["loss"].mean().backward()
        optimizer.step()
    clean, conditions = music.draw(16)
    draw = diffusion.draw([torch.Generator().manual_seed(10**6 + row) for row in range(16)], clean.shape[1:])
    draw = dataclasses.replace(draw, steps=torch.full((16,), PRESET.diffusion.steps - 1))
    chords = conditions.chords
    heard = {"right": chords, "of another": chords.roll(1, 0), "moved": chords.roll(HELD_FRAMES, 2)}
    cases = {name: dataclasses.replace(conditions, chords=each) for name, each in heard.items()}
    cases["none"] = dataclasses.replace(conditions, keep_chords=torch.zeros(16, dtype=torch.bool))
    with torch.no_grad():
        return {name: float(diffusion.losses(unet, clean, each, draw)["loss"].mean().exp()) for name, each in cases.items()}


@pytest.mark.parametrize("wrong", ["of another", "moved", "none"])
def test_without_the_right_chords_the_error_is_far_larger(errors: dict[str, float], wrong: str) -> None:
    assert errors["right"] < 0.6 * errors[wrong], errors
