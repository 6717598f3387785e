"""The check of conditions: exactly nothing where one is ignored, and a line and an exit code for people."""

import dataclasses
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from instructme.model import config, presets
from instructme.model.checkpoint import save_weights, write_config
from instructme.model.conditions import Conditions
from instructme.model.config import ModelError, Preset
from instructme.model.diffusion import Diffusion
from instructme.model.guidance import Scales, sample
from instructme.model.unet import Unet
from instructme.pipelines.commands.check import command
from instructme.pipelines.training import conditioning
from instructme.pipelines.training.conditioning import check, effects, keep_examples

PRESET = config.override(
    presets.TINY,
    [
        "unet.channels=[32,64]",
        "unet.head_channels=16",
        "unet.chunk_frames=16",
        "unet.text_in_steps=false",  # so that a model without cross-attention is deaf to text
        "vae.latent_channels=4",
    ],
)


def write_run(run: Path, preset: Preset = PRESET, deaf: str = "") -> Path:
    """Write an editor that wasn't trained, deaf to the parameters that begin with a name."""
    torch.manual_seed(0)
    unet = Unet(preset)
    for name, parameter in unet.named_parameters():
        if not parameter.any() and not name.startswith("null"):
            torch.nn.init.normal_(parameter, std=0.1)
        if deaf and deaf in name:
            torch.nn.init.zeros_(parameter)
    # The noise does not matter to it, as in a model that has learned that pure noise says nothing.
    with torch.no_grad():
        unet.enter.weight.zero_()
    write_config(run, "editor", preset)
    save_weights(run, "weights", unet.state_dict())
    chords = torch.rand(3, 100, 40) if preset.unet.chords else None
    keep_examples(run, torch.randn(3, 4, 40), chords, ["remove drums", "add piano", "extract bass"])
    return run


def test_a_model_that_hears_everything_passes(tmp_path: Path) -> None:
    effects = check(write_run(tmp_path), seeds=2)
    conditions = ["source", "text", "chords", "chords moved by half the clip", "chords of add and replace"]
    assert [effect.condition for effect in effects] == conditions
    assert all(effect.ratio > 1 for effect in effects)


def test_every_condition_is_heard_over_chance_after_a_training_that_needs_it() -> None:
    """The gate: the target is a pattern for each chord, one after the other, plus or minus the source as the text says."""
    preset = config.override(PRESET, ["diffusion.predict=target", "unet.chunk_frames=8"])
    torch.manual_seed(0)
    unet, diffusion, random = Unet(preset), Diffusion(preset.diffusion), torch.Generator().manual_seed(0)
    patterns, texts = torch.randn(8, 4, generator=random), torch.randn(2, 1, preset.text.width, generator=random)
    optimizer = torch.optim.Adam(unet.parameters(), 3e-3)

    def played(batch: int, frames: int = 32) -> tuple[torch.Tensor, Conditions]:
        chords = torch.randint(8, (batch, 2), generator=random).repeat_interleave(frames // 2, dim=1)
        matrix = torch.nn.functional.one_hot(chords, 100).transpose(1, 2).float()
        source, sign = torch.randn(batch, 4, frames, generator=random), torch.arange(batch) % 2
        clean = patterns[chords].transpose(1, 2) + 0.5 * (1 - 2 * sign)[:, None, None] * source
        return clean, Conditions(texts[sign], torch.ones(batch, 1, dtype=torch.bool), source, matrix)

    def error(clean: torch.Tensor, given: Conditions) -> float:
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
        (latents,) = sample(unet, diffusion, given, noise, scales=Scales(1.0), steps=1)
        return float((latents - clean).square().mean())

    for _ in range(200):
        clean, given = played(16)
        draw = diffusion.draw([random] * 16, clean.shape[1:])
        drawn = dataclasses.replace(draw, steps=torch.full((16,), preset.diffusion.steps - 1))
        loss = diffusion.losses(unet, clean, given, drawn)["loss"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    unet.eval()
    clean, given = played(16)
    heard = effects(unet, diffusion, given, channels=4, seeds=2, clean=clean, harmonic=range(8))
    assert min(effect.ratio for effect in heard) > 1 and min(effect.change for effect in heard) > 0.1, heard
    assert heard[-1].condition == "chords of add and replace" and all(effect.used for effect in heard)
    errors = [effect.error for effect in heard if effect.error is not None]
    assert len(errors) == 3 and min(errors) > 0.1
    assert given.chords is not None
    moved = dataclasses.replace(given, chords=given.chords.roll(16, 2))
    assert error(clean, given) < 0.5 * error(clean, moved)


@pytest.mark.parametrize(("deaf", "unheard"), [("text_attention.out", {"text"}), ("chord_attention.out", {"chords"})])
def test_a_condition_that_is_ignored_changes_nothing(deaf: str, unheard: set[str], tmp_path: Path) -> None:
    effects = check(write_run(tmp_path, deaf=deaf), seeds=2)
    assert {effect.condition.split()[0] for effect in effects if effect.change == 0} == unheard


def test_a_model_without_chords_and_without_a_terminal_schedule_is_checked_in_many_steps(tmp_path: Path) -> None:
    settings = ["unet.chords=false", "diffusion.zero_terminal_snr=false", "diffusion.prediction=epsilon"]
    preset = config.override(PRESET, [*settings, "diffusion.learned_variance=true", "diffusion.predict=target"])
    assert [effect.condition for effect in check(write_run(tmp_path, preset), seeds=1)] == ["source", "text"]


def test_the_command_prints_ratios_and_fails_where_a_condition_is_not_heard(tmp_path: Path) -> None:
    heard = CliRunner().invoke(command, [str(write_run(tmp_path / "heard")), "--seeds", "2"])
    assert heard.exit_code == 0 and "over chance" in heard.stdout and "NOT USED" not in heard.stdout
    deaf = CliRunner().invoke(command, [str(write_run(tmp_path / "deaf", deaf="text_attention.out")), "--seeds", "2"])
    assert deaf.exit_code == 1 and "NOT USED" in deaf.stdout and "text" in deaf.stderr
    none = CliRunner().invoke(command, [str(tmp_path)])
    assert none.exit_code == 1 and "output" not in none.stderr  # no progress bar before the error


def test_a_condition_that_moves_the_output_by_less_than_a_hundredth_is_not_used() -> None:
    assert conditioning.Effect("text", 0.1, 0.02, 1.5).used
    assert not conditioning.Effect("text", 0.1, 0.009, 5.0).used and not conditioning.Effect("text", 0.1, 0.5, 1.0).used
    assert conditioning.Effect("text", 0.1, 0.5, 5.0, 0.01).used and not conditioning.Effect("text", 0.1, 0.5, 5.0, -0.01).used


def test_over_many_steps_chance_is_that_of_edits(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    one, several = check(run, seeds=1), check(run, seeds=1, steps=4)
    for effect in (*one, *several):
        assert effect.share > 0 and effect.change > 0
    assert max(effect.ratio for effect in several) < min(effect.ratio for effect in one)
    with pytest.raises(ModelError, match="more than the 1000"):
        check(run, seeds=1, steps=1001)


def test_a_run_without_examples_is_told_in_one_line(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    (run / "examples.json").unlink()
    with pytest.raises(ModelError, match=r"examples.json is missing"):
        check(run)
    keep_examples(run, torch.randn(1, 4, 32), None, ["remove drums"])
    with pytest.raises(ModelError, match="holds one example, but check needs two"):
        check(run)
    for source, named in ((torch.randn(2, 5, 32), ["a", "b"]), (torch.randn(3, 4, 32), ["a", "b"])):
        keep_examples(run, source, None, named)
        with pytest.raises(ModelError, match="don't belong together"):
            check(run)
    (run / "examples.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="damaged"):
        check(run)


def test_an_unknown_device_is_told_in_one_line(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    for device in ("nonsense", "meta"):
        with pytest.raises(ModelError, match=f"can't use the device {device}: take cpu"):
            check(run, device)
