"""The check of conditions: exactly nothing where one is ignored, and a line and an exit code for people."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from model import config, presets
from model.checkpoint import save_weights, write_config
from model.config import ModelError, Preset
from model.unet import Unet
from pipelines.commands.check import command
from pipelines.training.conditioning import check, keep_examples

PRESET = config.override(
    presets.TINY, ["unet.channels=[32,64]", "unet.head_channels=16", "unet.chunk_frames=16", "vae.latent_channels=4"]
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
    assert [effect.condition for effect in effects] == ["source", "text", "chords", "chords moved by half the clip"]
    assert all(effect.ratio > 1 for effect in effects)


@pytest.mark.parametrize(("deaf", "unheard"), [("text_attention.out", {"text"}), ("chord_attention.out", {"chords"})])
def test_a_condition_that_is_ignored_changes_nothing(deaf: str, unheard: set[str], tmp_path: Path) -> None:
    effects = check(write_run(tmp_path, deaf=deaf), seeds=2)
    assert {effect.condition.split()[0] for effect in effects if effect.change == 0} == unheard


def test_a_model_without_chords_and_without_a_terminal_schedule_is_checked_with_ddim(tmp_path: Path) -> None:
    settings = ["unet.chords=false", "diffusion.zero_terminal_snr=false", "diffusion.prediction=epsilon"]
    preset = config.override(PRESET, [*settings, "diffusion.learned_variance=true", "diffusion.predict=target"])
    assert [effect.condition for effect in check(write_run(tmp_path, preset), seeds=1)] == ["source", "text"]


def test_the_command_prints_ratios_and_fails_where_a_condition_is_not_heard(tmp_path: Path) -> None:
    heard = CliRunner().invoke(command, [str(write_run(tmp_path / "heard")), "--seeds", "2"])
    assert heard.exit_code == 0 and "over chance" in heard.stdout and "NOT HEARD" not in heard.stdout
    deaf = CliRunner().invoke(command, [str(write_run(tmp_path / "deaf", deaf="text_attention.out")), "--seeds", "2"])
    assert deaf.exit_code == 1 and "NOT HEARD" in deaf.stdout and "text" in deaf.stderr


def test_a_run_without_examples_is_told_in_one_line(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    (run / "examples.json").unlink()
    with pytest.raises(ModelError, match=r"examples.json is missing"):
        check(run)
    (run / "examples.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="damaged"):
        check(run)
