"""The presets hold what they promise: the paper's tables, sizes that fit each other, and defaults that old runs rely on."""

import dataclasses
import json
import re
from pathlib import Path

import presets_golden
import pytest
import torch

from instructme.model.config import DiffusionConfig, TrainingConfig, UnetConfig, VaeConfig
from instructme.model.presets import PAPER, PRESETS, SMALL, TINY
from instructme.model.separator import Separator
from instructme.pipelines.training.separator import with_instruments


def test_a_preset_changes_only_on_purpose() -> None:
    """See tests/presets_golden.py: measured results and old runs belong to these values."""
    assert presets_golden.fields() == json.loads(presets_golden.FILE.read_text())


def test_paper_is_table_7() -> None:
    vae = PAPER.vae
    assert (vae.encoder_channels, vae.decoder_channels) == ((16, 32, 64, 128), (384, 192, 96, 48))
    assert vae.strides == (4, 4, 3, 2) and PAPER.hop_samples == 96 and PAPER.sample_rate_hz / PAPER.hop_samples == 250
    training = PAPER.vae_training
    assert (training.steps, training.learning_rate, training.batch_size, training.optimizer) == (2_000_000, 2e-4, 16, "adam")


def test_paper_is_tables_8_and_9() -> None:
    unet, diffusion, training = PAPER.unet, PAPER.diffusion, PAPER.editor_training
    assert PAPER.text.width == 1024 and PAPER.text.encoder.endswith("t5-large")
    assert unet.channels == (512, 1024, 1024) and unet.blocks == unet.source_blocks == 4
    assert (unet.head_channels, unet.chunk_frames, unet.attention) == (64, 200, "chunk")
    assert (diffusion.steps, diffusion.sampler, diffusion.sampling_steps, diffusion.learned_variance) == (1000, "ddim", 200, True)
    assert (training.steps, training.learning_rate, training.batch_size, training.optimizer) == (200_000, 1e-4, 16, "adamw")


def test_paper_guides_by_the_text_alone() -> None:
    """Equation 4 has one weight; 1 for the others leaves them out of it, as they are in the paper."""
    assert PAPER.diffusion.text_guidance > 1
    assert PAPER.diffusion.source_guidance == PAPER.diffusion.chord_guidance == PAPER.diffusion.classifier_guidance == 1


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_every_preset_runs_on_clips_of_whole_frames_and_pays_little_for_the_latents_shape(preset) -> None:
    samples = preset.clip_seconds * preset.sample_rate_hz
    assert samples % preset.hop_samples == 0
    assert preset.vae.kl_weight <= 1e-3 * preset.vae.reconstruction_weight
    assert preset.embedding_training.learning_rate <= 2e-3
    for training in (preset.vae_training, preset.editor_training):
        assert 0 < training.learning_rate <= 2e-3 and training.keep >= 1
        assert training.validate_every <= training.steps and training.checkpoint_every <= training.steps
        assert 1 / (1 - training.ema_decay) <= 2 * training.steps, "the average forgets the first weights"
    assert 0 < preset.diffusion.beta_start < preset.diffusion.beta_end < 0.1
    for share in (preset.diffusion.text_dropout, preset.diffusion.source_dropout, preset.diffusion.chord_dropout):
        assert 0 < share <= 0.2, "guidance needs some steps without the condition, and most with it"


def test_small_keeps_4800_numbers_a_second_and_500_frames_of_10_s() -> None:
    for preset in (SMALL, TINY):
        assert preset.sample_rate_hz / preset.hop_samples * preset.vae.latent_channels == pytest.approx(4800, rel=0.01)
    assert SMALL.clip_seconds * SMALL.sample_rate_hz / SMALL.hop_samples == 500


def test_the_separators_have_the_sizes_of_the_manual() -> None:
    """Those of `tiny` and `small` are for a CPU, the others have about 10 M parameters."""
    counts = {}
    for name, preset in PRESETS.items():
        with torch.device("meta"):
            network = Separator(with_instruments(preset).separator)
        counts[name] = sum(each.numel() for each in network.parameters())
    manual = (Path(__file__).parents[1] / "docs/training.md").read_text(encoding="utf-8").partition("## A separator")[2]
    for name, count in counts.items():
        assert re.search(rf"^\|[^|]*`{name}`[^|]*\|[^|]*\| {count / 1e6:.1f} M \|", manual, re.MULTILINE), name
    assert counts["small"] < 6e6 and counts["large"] == counts["paper"] == pytest.approx(10e6, rel=0.05)
    assert (PRESETS["large"].separator.network, SMALL.separator.network) == ("bands", "frames")
    assert (
        dataclasses.replace(
            PRESETS["large"], name="small", separator=SMALL.separator, separator_training=SMALL.separator_training
        )
        == SMALL
    )


def test_fields_that_came_later_are_off_by_default_so_that_old_runs_open_as_they_were_trained() -> None:
    later = {
        VaeConfig: {"transform": "waveform", "hop_samples": 1, "linear_path": False, "bias": True, "distortion_weight": 0.0},
        UnetConfig: {"gates": False, "chords_on_way_up": False, "activation_checkpointing": False, "text_in_bottleneck": True},
        DiffusionConfig: {
            "zero_terminal_snr": False,
            "scale_input": False,
            "terminal_share": 0.0,
            "predict": "target",
            "single_step_tasks": (),
            "joint_dropout": False,
            "balance_tasks": False,
        },
        TrainingConfig: {"accumulation": 1, "precision": "no", "discriminator_start_step": 0, "warmup_steps": 0},
    }
    for config, defaults in later.items():
        fields = {field.name: field.default for field in dataclasses.fields(config)}
        assert {name: fields[name] for name in defaults} == defaults
