"""The trainer of the separator: it learns two tones from a working folder, and goes on where it was stopped."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_work import make_songs

from instructme.model.checkpoint import load_weights, read_config
from instructme.pipelines.cli import main
from instructme.pipelines.stages.prepare import prepare
from instructme.pipelines.stages.scan import scan

RATE_HZ = 16_000
SMALL = ("width=16", "encoder_layers=1", "decoder_layers=1", "condition_width=8", f"sample_rate_hz={RATE_HZ}")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    scan([make_songs(folder / "songs")], folder / "work")
    prepare(folder / "work", workers=0, sample_rate_hz=RATE_HZ, clip_seconds=2.0)
    return folder / "work"


def train(work: Path, run: Path, steps: int, *options: str) -> None:
    settings = [each for setting in SMALL for each in ("--set", f"separator.{setting}")]
    settings += ["--set", "separator_training.segment_seconds=1.0", "--set", "separator_training.checkpoint_every=3"]
    settings += ["--set", "separator_training.validate_every=3", "--set", "separator_training.warmup_steps=2"]
    command = ["train", "separator", str(work), "-o", str(run), "--preset", "tiny", "--steps", str(steps), "--batch-size", "4"]
    result = CliRunner().invoke(main, [*command, *settings, *options])
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def whole(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    train(work, run, 6)
    return run


def test_a_run_says_what_it_knows_and_how_good_it_is(whole: Path) -> None:
    preset, config = read_config(whole, "separator")
    assert "drums" in preset.separator.instruments and config["data"]["instruments"] == ["bass", "drums", "piano"]
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert {"validation_extract_db", "validation_remove_identity_db"} <= set().union(*lines)
    assert all(np.isfinite(line["loss"]) for line in lines if "loss" in line)


def test_a_run_that_lost_its_last_checkpoint_goes_on_to_the_same_weights(work: Path, whole: Path, tmp_path: Path) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(run / "checkpoints" / "step-00000006")
    (run / "weights.safetensors").unlink()
    train(work, run, 6)
    for name in ("separator", "average", "separator.optimizer"):
        ours, theirs = (load_weights(folder / "checkpoints" / "step-00000006", name) for folder in (run, whole))
        assert all(ours[key].equal(theirs[key]) for key in theirs), name
