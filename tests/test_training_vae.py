"""The VAE's trainer: it learns, discriminators wait for their turn, the latent is scaled, a stopped run goes on."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from made_work import make_work

from instructme.model import config, presets
from instructme.model.checkpoint import load_weights
from instructme.model.config import Preset
from instructme.model.vae import Vae
from instructme.pipelines.data.stream import Triplets, batches
from instructme.pipelines.training import vae as training_vae
from instructme.pipelines.training.loop import train
from instructme.pipelines.training.vae import VaeTrainer

PRESET = config.override(
    presets.TINY,
    [
        "sample_rate_hz=8000",
        "clip_seconds=2",
        "vae.fft_samples=160",
        "vae.hop_samples=80",
        "vae.latent_channels=16",
        "vae.encoder_channels=[16]",
        "vae.decoder_channels=[16]",
        'vae.discriminators=["band"]',
        "vae_training.segment_seconds=0.5",
        "vae_training.steps=4",
        "vae_training.batch_size=2",
        "vae_training.discriminator_start_step=2",
        "vae_training.validate_every=4",
        "vae_training.checkpoint_every=2",
        "vae_training.validation_triplets=4",
    ],
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("music") / "work")


@pytest.fixture(autouse=True)
def no_page(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Keep the labels of what the page would show; drawing it has tests of its own."""
    shown: list[list[str]] = []
    monkeypatch.setattr(
        training_vae, "training_page", lambda path, title, rows, charts: shown.extend([c.label for c in r.clips] for r in rows)
    )
    return shown


def run(work: Path, folder: Path, preset: Preset = PRESET) -> list[dict[str, Any]]:
    training = preset.vae_training
    open_split = {
        split: Triplets(work, split, preset, segment_seconds=training.segment_seconds) for split in ("train", "validation")
    }

    def share(first_step: int, rank: int, ranks: int) -> Any:
        return batches(open_split["train"], first_step, rank, ranks, batch_size=training.batch_size)

    trainer = VaeTrainer(preset, open_split["train"], open_split["validation"])
    train(trainer, folder, preset=preset, batches=share, data={}, device="cpu")
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def changed(**values: Any) -> Preset:
    return dataclasses.replace(PRESET, vae_training=dataclasses.replace(PRESET.vae_training, **values))


def test_discriminators_wait_and_then_count(work: Path, tmp_path: Path, no_page: list[list[str]]) -> None:
    rows = run(work, tmp_path / "run")
    steps = [row for row in rows if "loss" in row]
    assert [row["discriminator"] > 0 for row in steps] == [False, False, True, True]
    assert [row["features"] > 0 for row in steps] == [False, False, True, True]
    assert "validation_si_sdr_db" in rows[-1]
    assert no_page == [["source", "decoded"]] * 4


def test_a_run_holds_a_vae_of_unit_latents(work: Path, tmp_path: Path) -> None:
    run(work, tmp_path / "run", changed(validation_triplets=40))
    vae = Vae(PRESET.vae)
    vae.load_state_dict(load_weights(tmp_path / "run"))
    triplets = Triplets(work, "train", PRESET)
    with torch.no_grad():
        audio = torch.stack([triplets[row]["source"] for row in range(len(triplets))])
        latent = vae.to_latent(audio)
    assert float(latent.square().mean()) == pytest.approx(1, rel=0.5)
    assert vae.latent_scale != 1


def test_a_stopped_run_goes_on_bit_for_bit(work: Path, tmp_path: Path) -> None:
    whole = run(work, tmp_path / "whole")
    # Discriminators that start within the steps of both runs are part of both.
    run(work, tmp_path / "halves", changed(steps=3, validate_every=0))
    config_path = tmp_path / "halves" / "config.json"
    config_path.write_text((tmp_path / "whole" / "config.json").read_text())
    rest = run(work, tmp_path / "halves")
    assert rest[-2]["loss"] == whole[-2]["loss"] and rest[-1]["validation_loss"] == whole[-1]["validation_loss"]


def test_losses_depend_on_the_seed_alone(work: Path) -> None:
    triplets = Triplets(work, "train", PRESET, segment_seconds=0.5)
    batch = next(iter(batches(triplets, batch_size=4)))
    drawn = VaeTrainer(PRESET, triplets, triplets)._draw(batch)
    parts = [
        VaeTrainer(PRESET, triplets, triplets)._draw({name: each[n : n + 1] for name, each in batch.items()}) for n in range(4)
    ]
    assert torch.equal(drawn[0], torch.cat([audio for audio, _ in parts]))
    assert torch.equal(drawn[1], torch.cat([noise for _, noise in parts]))
    assert drawn[1].shape == (4, 16, 50) and 0.9 < drawn[1].std() < 1.1
    sides = [bool((drawn[0][n] == batch["source"][n]).all()) for n in range(4)]
    other = [bool((drawn[0][n] == batch["target"][n]).all()) for n in range(4)]
    assert all(one or two for one, two in zip(sides, other, strict=True))


def test_the_vaes_step_leaves_no_gradient_in_the_discriminators(work: Path) -> None:
    from accelerate import Accelerator

    triplets = Triplets(work, "train", PRESET, segment_seconds=0.5)
    trainer = VaeTrainer(PRESET, triplets, triplets)
    batch = next(iter(batches(triplets, batch_size=2)))
    accelerator = Accelerator(cpu=True)
    before = [each.clone() for each in trainer.modules["discriminators"].parameters()]
    trainer.update(batch, 2, accelerator)
    after = list(trainer.modules["discriminators"].parameters())
    assert all(each.requires_grad and each.grad is None for each in after)
    assert any(not torch.equal(one, two) for one, two in zip(before, after, strict=True))


@pytest.mark.parametrize("weight", ["kl_weight", "reconstruction_weight", "adversarial_weight", "feature_weight"])
def test_every_loss_counts_by_its_weight(weight: str, work: Path) -> None:
    from accelerate import Accelerator

    triplets, moved = Triplets(work, "train", PRESET, segment_seconds=0.5), []
    batch = next(iter(batches(triplets, batch_size=2)))
    for value in (0.0, 5.0):
        trainer = VaeTrainer(config.override(PRESET, [f"vae.{weight}={value}"]), triplets, triplets)
        trainer.update(batch, 2, Accelerator(cpu=True))
        moved.append([each.detach().clone() for each in trainer.modules["vae"].parameters()])
    assert any(not torch.equal(one, two) for one, two in zip(*moved, strict=True))


def test_without_discriminators_there_are_none(work: Path) -> None:
    triplets = Triplets(work, "train", PRESET, segment_seconds=0.5)
    assert set(VaeTrainer(changed(discriminator_start_step=4), triplets, triplets).modules) == {"vae"}


def test_it_learns_what_lies_above_its_linear_path(work: Path, tmp_path: Path) -> None:
    rows = run(work, tmp_path / "run", changed(steps=80, batch_size=4, validate_every=20, discriminator_start_step=80))
    found = [row["validation_loss"] for row in rows if "validation_loss" in row]
    assert found[-1] < found[0] - 0.05
