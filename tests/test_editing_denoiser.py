"""The denoiser's settings: a single step is the posterior mean, which nothing guides away unless somebody asks for it."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from instructme.model import config, guidance
from instructme.model.diffusion import Diffusion
from instructme.model.presets import TINY
from instructme.model.unet import Unet, latents
from instructme.pipelines.editing.denoiser import Chunk, Denoiser, SamplingSettings
from instructme.pipelines.sentences.sentence_reader import read

PRESET = config.override(TINY, ["unet.channels=[64]", "unet.chords=false", "diffusion.text_guidance=2.5"])


class Words:
    """Stands in for a text encoder."""

    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Encode to zeros."""
        return torch.zeros(len(texts), 3, PRESET.text.width), torch.ones(len(texts), 3, dtype=torch.bool)


@pytest.mark.parametrize(
    ("instruction", "settings", "steps", "text"),
    [
        ("remove drums", SamplingSettings(), 1, 1.0),
        ("remove drums", SamplingSettings(text_guidance=2.0), 1, 2.0),
        ("remove drums", SamplingSettings(steps=7), 7, 2.5),
        ("add piano", SamplingSettings(steps=1), 1, 1.0),
        ("add piano", SamplingSettings(), PRESET.diffusion.sampling_steps, 2.5),
        ("add piano", SamplingSettings(text_guidance=0.5), PRESET.diffusion.sampling_steps, 0.5),
        ("remove drums", SamplingSettings(prompt="a happy music"), PRESET.diffusion.sampling_steps, 2.5),
    ],
)
def test_single_steps_are_not_guided_by_default(
    instruction: str, settings: SamplingSettings, steps: int, text: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = asked(instruction, settings, monkeypatch)
    assert (seen["steps"], seen["scales"].text) == (steps, text)
    assert len(seen["shares"]) == steps and sum(seen["shares"]) == pytest.approx(1)


def asked(instruction: str, settings: SamplingSettings, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the arguments of the sampler, and the share of the work of each step."""
    seen: dict[str, Any] = {}

    def sample(*arguments: Any, **options: Any) -> Iterator[Tensor]:
        seen.update(options, classifier=arguments[2][0].classifier)
        yield from [noise] * options["steps"]

    monkeypatch.setattr(guidance, "sample_jointly", sample)
    noise, source = torch.zeros(1, latents(PRESET), 8), torch.zeros(1, PRESET.vae.latent_channels, 8)
    denoise = Denoiser(PRESET, Unet(PRESET), Words(), lambda sound, prompt: sound.sum(dim=1))  # type: ignore[arg-type]
    chunk = Chunk(read(instruction).steps[0].instructions()[0], settings, 0, source, None, noise, lambda latent: latent[:, 0])
    seen["shares"] = [share for _, share in denoise([chunk])]
    return seen


def test_scales_of_source_and_chords_are_those_asked_for_or_the_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    config = PRESET.diffusion
    scales = asked("add piano", SamplingSettings(), monkeypatch)["scales"]
    assert (scales.source, scales.chords) == (config.source_guidance, config.chord_guidance)
    scales = asked("add piano", SamplingSettings(source_guidance=1.5, chord_guidance=0.0), monkeypatch)["scales"]
    assert (scales.source, scales.chords) == (1.5, 0.0)


def test_a_prompt_brings_a_classifier_that_hears_the_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked("add piano", SamplingSettings(), monkeypatch)["classifier"] is None
    classifier = asked("add piano", SamplingSettings(prompt="a happy music"), monkeypatch)["classifier"]
    assert (classifier.scale, classifier.every) == (PRESET.diffusion.classifier_guidance, PRESET.diffusion.classifier_every)
    assert classifier.distance(torch.ones(1, 2, 8)).tolist() == [8.0]


def test_chunks_are_denoised_at_their_places_and_continue_what_is_done() -> None:
    """The network gives the source back, so each frame of the result is the source of that moment."""

    def unet(noisy: Tensor, step: Tensor, given: Any) -> Tensor:
        return Diffusion(PRESET.diffusion).predicted(given.source.repeat(1, 2, 1), noisy, step)

    denoise = Denoiser(PRESET, unet, Words())  # type: ignore[arg-type]
    source, drawn = torch.randn(1, PRESET.vae.latent_channels, 20), torch.randn(1, latents(PRESET), 20)
    instruction, settings = read("remove drums").steps[0].instructions()[0], SamplingSettings()
    chunks = [
        Chunk(
            instruction, settings, 100 + first, source[..., first : first + 12], None, drawn[..., first : first + 12], torch.sum
        )
        for first in (0, 8)
    ]
    given = list(denoise(chunks))
    torch.testing.assert_close(given[-1][0], source.repeat(1, 2, 1), atol=1e-3, rtol=1e-3)
    assert [share for _, share in given] == [0.5, 0.5]
    done = torch.full((1, latents(PRESET), 6), 7.0)
    assert (list(denoise(chunks, done))[-1][0][..., :3] == 7.0).all()
