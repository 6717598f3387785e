"""Check that a trained denoiser listens to its conditions: what each does to the output, beside what chance does to it."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from instructme.dataset_tools.tasks import task_modules
from instructme.manifests.rows import DataError
from instructme.model.checkpoint import load_weights, read_config, restore, save_weights
from instructme.model.conditions import Conditions
from instructme.model.conditions.text import TextEncoder
from instructme.model.config import ModelError, Preset
from instructme.model.devices import check_device
from instructme.model.diffusion import Denoiser, Diffusion
from instructme.model.guidance import Scales, sample
from instructme.model.unet import Unet, latents
from instructme.pipelines.sentences import sentence_reader
from instructme.pipelines.sentences.sentence_reader import Templates

EXAMPLES = "examples"
"""Name of the file of a run folder that holds latents and chords of a few validation triplets."""
HARMONIC = tuple(name for name, task in task_modules().items() if "added" in task.FIELDS.values() and task.KEEPS != "none")
"""Tasks whose new notes have to fit the chords of the source."""
LEAST_SHARE = 0.01
"""Of the output: a condition that moves it less does nothing that is heard, however little other noise does."""
_SEEDS = 8
_STEPS = 50


class Effect(NamedTuple):
    """What changing a condition does: RMS change of the output, that over its RMS, and over the change that other noise makes.

    `error` is by how much the error to the target grows, as a share; None where targets are not known.
    """

    condition: str
    change: float
    share: float
    ratio: float
    error: float | None = None

    @property
    def used(self) -> bool:
        """Tell whether the condition moves the output more than chance does, by 1 % at least, and not away from the target."""
        return self.ratio > 1 and self.share >= LEAST_SHARE and (self.error is None or self.error > 0)


def keep_examples(run: Path, source: Tensor, chords: Tensor | None, instructions: list[str], clean: Tensor | None = None) -> None:
    """Put a few triplets beside the weights: source latents (N, C, F), chords (N, 100, F), and what is denoised (N, C', F)."""
    tensors = {"source": source, "chords": chords, "clean": clean}
    save_weights(run, EXAMPLES, {name: each for name, each in tensors.items() if each is not None})
    (run / f"{EXAMPLES}.json").write_text(json.dumps(instructions, indent=1) + "\n", encoding="utf-8")


def check(
    run: Path,
    device: str = "cpu",
    seeds: int = _SEEDS,
    steps: int | None = None,
    progress: Callable[[], object] = lambda: None,
) -> list[Effect]:
    """Measure the effect of each condition of an editor run on its examples; see `effects`.

    Raises:
        ModelError: no editor run, damaged, or without examples; no such device, or more steps than the schedule has.
    """
    preset, config = read_config(run, "editor")
    check_device(device)
    unet = Unet(preset)
    restore(unet, run)
    unet.eval().requires_grad_(False).to(device)
    given, instructions, clean = _examples(run, preset, device)
    tasks = [_task(text, (config.get("data") or {}).get("templates")) for text in instructions]
    rows = [row for row, task in enumerate(tasks) if task in HARMONIC]
    diffusion = Diffusion(preset.diffusion)
    return effects(unet, diffusion, given, latents(preset), seeds, steps, progress, clean=clean, harmonic=rows)


@torch.no_grad()
def effects(
    unet: Denoiser,
    diffusion: Diffusion,
    given: Conditions,
    channels: int,
    seeds: int = _SEEDS,
    steps: int | None = None,
    progress: Callable[[], object] = lambda: None,
    *,
    clean: Tensor | None = None,
    harmonic: Sequence[int] = (),
) -> list[Effect]:
    """Measure what each condition does to latents of `channels`, averaged over a batch of at least two examples.

    An output is the mean of the latents from `seeds` noises, in `steps` of the preset's sampler. None takes one step from pure
    noise where the schedule ends without signal (noise says nothing there, so that chance is small), else 50. Each condition
    in turn is taken from another example; chords are also moved by half the clip. The effect of chance is the same with other
    noises. A ratio above 1 means that the condition is heard over chance. With `clean`, what should come out, also measure how
    much farther from it the output gets. Effects of chords are also measured on the rows `harmonic` alone: those that bring new
    notes.
    """
    config = diffusion.config
    steps = steps or (1 if config.zero_terminal_snr and config.prediction == "v" else _STEPS)
    shape = (len(given.source), channels, given.source.shape[-1])

    def output(conditions: Conditions, first_seed: int = 0) -> Tensor:
        made = []
        for seed in range(first_seed, first_seed + seeds):
            noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(given.source.device)
            *_, latents = sample(unet, diffusion, conditions, noise, scales=Scales(1.0), steps=steps)
            made.append(latents)
            progress()
        return torch.stack(made).mean(dim=0)

    before, other_noise = output(given), output(given, seeds)

    def effect(name: str, after: Tensor, rows: list[int], target: Tensor | None) -> Effect:
        change = _rms((after - before)[rows])
        size, chance = (max(_rms(each[rows]), 1e-12) for each in (before, other_noise - before))
        error = None if target is None else _rms((after - target)[rows]) / max(_rms((before - target)[rows]), 1e-12) - 1
        return Effect(name, change, change / size, change / chance, error)

    everywhere, made = list(range(len(before))), {name: output(swapped) for name, swapped in _swapped(given).items()}
    # Chords need not matter to tasks that bring no new notes.
    targets = {"source": clean, "text": clean}
    measured = [effect(name, after, everywhere, targets.get(name)) for name, after in made.items()]
    if "chords" in made and harmonic:
        measured.append(effect(f"chords of {' and '.join(HARMONIC)}", made["chords"], list(harmonic), clean))
    return measured


def _task(instruction: str, templates: Templates | None) -> str:
    """Read the task of an instruction of training; nothing where it can't be read."""
    try:
        return str(sentence_reader.read(instruction, templates).steps[0].task)
    except DataError:
        return ""


def _examples(run: Path, preset: Preset, device: str) -> tuple[Conditions, list[str], Tensor | None]:
    """Read the conditions of the examples, their instructions, and what should come out, where the run holds it."""
    tensors = {name: tensor.to(device) for name, tensor in load_weights(run, EXAMPLES).items()}
    try:
        instructions = json.loads((run / f"{EXAMPLES}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ModelError(f"{run / EXAMPLES}.json is missing or damaged: copy the run folder again") from None
    named = isinstance(instructions, list) and all(isinstance(each, str) for each in instructions)
    if not named or "source" not in tensors or tensors["source"].shape[:2] != (len(instructions), preset.vae.latent_channels):
        raise ModelError(f"{run / EXAMPLES}.json and .safetensors don't belong together: copy the run folder again")
    if len(instructions) < 2:
        raise ModelError(
            f"{run} holds one example, but check needs two: train with editor_training.validation_triplets=2 or more"
        )
    tokens, mask = TextEncoder(preset.text.encoder, preset.text.width).encode(instructions)
    given = Conditions(tokens.to(device), mask.to(device), tensors["source"], tensors.get("chords"))
    return given, instructions, tensors.get("clean")


def _swapped(given: Conditions) -> dict[str, Conditions]:
    """Take one condition after the other from the next example."""
    swapped = {
        "source": dataclasses.replace(given, source=given.source.roll(1, 0)),
        "text": dataclasses.replace(given, text=given.text.roll(1, 0), text_mask=given.text_mask.roll(1, 0)),
    }
    if given.chords is not None:
        half = given.chords.shape[-1] // 2
        swapped["chords"] = dataclasses.replace(given, chords=given.chords.roll(1, 0))
        swapped["chords moved by half the clip"] = dataclasses.replace(given, chords=given.chords.roll(half, 2))
    return swapped


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
