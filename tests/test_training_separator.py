"""The trainer of the separator: it learns two tones from a working folder, and goes on where it was stopped."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from made_work import make_songs

from instructme.manifests.tables import sha256
from instructme.model.checkpoint import DEFAULT_RUN, load_weights, read_config, write_config
from instructme.model.config import override
from instructme.model.presets import SMALL as SMALL_PRESET
from instructme.model.presets import TINY
from instructme.pipelines.cli import main
from instructme.pipelines.editing.editor import Editor
from instructme.pipelines.stages.prepare import prepare
from instructme.pipelines.stages.scan import scan
from instructme.pipelines.training.separator import SeparatorTrainer, read_bank, with_instruments

RATE_HZ = 16_000
SMALL = ("width=16", "encoder_layers=1", "decoder_layers=1", "condition_width=8", f"sample_rate_hz={RATE_HZ}")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    scan([make_songs(folder / "songs")], folder / "work")
    prepare(folder / "work", workers=0, sample_rate_hz=RATE_HZ, clip_seconds=2.0, rhythm="none", chords="none")
    return folder / "work"


def call(work: Path, run: Path, steps: int, *options: str) -> Result:
    settings = [each for setting in SMALL for each in ("--set", f"separator.{setting}")]
    settings += ["--set", "separator_training.segment_seconds=1.0", "--set", "separator_training.checkpoint_every=3"]
    settings += ["--set", "separator_training.validate_every=3", "--set", "separator_training.warmup_steps=2"]
    command = ["train", "separator", str(work), "-o", str(run), "--preset", "tiny", "--steps", str(steps), "--batch-size", "4"]
    return CliRunner().invoke(main, [*command, *settings, *options])


def train(work: Path, run: Path, steps: int, *options: str) -> Result:
    result = call(work, run, steps, *options)
    assert result.exit_code == 0, result.output
    return result


def assert_same_end(run: Path, other: Path, step: str) -> None:
    at_end = [(f"checkpoints/{step}", name) for name in ("separator", "average", "separator.optimizer")]
    for folder, name in [*at_end, (".", "weights")]:
        ours, theirs = (load_weights(each / folder, name) for each in (run, other))
        assert all(ours[key].equal(theirs[key]) for key in theirs), name


@pytest.fixture(scope="module")
def whole(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    train(work, run, 6)
    return run


def test_a_run_says_what_it_knows_and_how_good_it_is(whole: Path) -> None:
    preset, config = read_config(whole, "separator")
    assert "drums" in preset.separator.instruments and config["data"]["instruments"] == ["bass", "drums", "piano"]
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert {"validation_extract_db", "validation_remove_identity_db", "validation_remove_edit_done"} <= set().union(*lines)
    validated = [line for line in lines if "validation_loss" in line][-1]
    gains = [validated[f"validation_{task}_db"] - validated[f"validation_{task}_identity_db"] for task in ("extract", "remove")]
    assert validated["validation_score"] == pytest.approx(np.mean(gains), abs=1e-4)
    assert all(np.isfinite(line["loss"]) for line in lines if "loss" in line)


def test_the_band_split_network_is_trained_and_edits(work: Path, tmp_path: Path) -> None:
    train(work, tmp_path / "run", 1, "--preset", "large", "--set", "separator.head_channels=8", "--batch-size", "2")
    preset, _ = read_config(tmp_path / "run", "separator")
    assert preset.name == "large" and preset.separator.network == "bands"
    music = 0.1 * np.random.default_rng(0).standard_normal((2 * RATE_HZ, 2)).astype(np.float32)
    editor = Editor.load(tmp_path / "run")
    removed, extracted = (editor.edit(music, RATE_HZ, f"{task} drums") for task in ("remove", "extract"))
    np.testing.assert_allclose(removed + extracted, music, atol=1e-5)


def test_a_run_that_lost_its_last_checkpoint_goes_on_to_the_same_weights(work: Path, whole: Path, tmp_path: Path) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(run / "checkpoints" / "step-00000006")
    (run / "weights.safetensors").unlink()
    train(work, run, 6)
    assert_same_end(run, whole, "step-00000006")


def test_a_run_may_start_with_the_weights_of_another(work: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    told = train(work, run, 3, "--start", str(whole))
    assert f"starts with the weights of {whole}" in told.stderr
    first, theirs = load_weights(run / "checkpoints" / "step-00000000", "average"), load_weights(whole)
    assert all(first[key].equal(theirs[key]) for key in theirs)
    _, config = read_config(run, "separator")
    assert config["start"] == {"run": "run", "weights": sha256(whole / "weights.safetensors")}
    validated = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    assert validated["step"] == 0 and "validation_extract_db" in validated

    lost = shutil.copytree(run, tmp_path / "lost")
    shutil.rmtree(lost / "checkpoints" / "step-00000003")
    train(work, lost, 3, "--start", str(whole))
    assert_same_end(lost, run, "step-00000003")
    other = call(work, run, 6)
    assert other.exit_code == 1 and "was trained with start.run=run, not None" in other.stderr


def test_weights_of_other_sizes_or_kinds_are_no_start(work: Path, whole: Path, tmp_path: Path) -> None:
    wider = call(work, tmp_path / "run", 3, "--start", str(whole), "--set", "separator.width=24")
    assert wider.exit_code == 1 and "Add --set 'separator.width=16'" in wider.stderr.splitlines()[-1]
    write_config(tmp_path / "vae", "vae", TINY)
    vae = call(work, tmp_path / "run", 3, "--start", str(tmp_path / "vae"))
    assert vae.exit_code == 1 and "not 'separator'" in vae.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_parts_of_another_scan_are_refused(work: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(work, tmp_path / "work"))
    scan([work.parent / "songs"], moved, split=(0.2, 0.4, 0.4), seed=5)
    assert sha256(moved / "tracks.parquet") != sha256(work / "tracks.parquet")
    result = call(moved, tmp_path / "run", 1)
    assert result.exit_code == 1 and "parquet has changed since: run 'instructme prepare" in result.output


def test_the_package_is_a_start_for_the_default_preset(work: Path) -> None:
    bank = read_bank(work, "validation", override(SMALL_PRESET, [f"separator.sample_rate_hz={RATE_HZ}"]))
    preset = override(with_instruments(SMALL_PRESET), ["separator_training.validation_triplets=8"])
    weights = SeparatorTrainer(preset, bank, start=DEFAULT_RUN).modules["separator"].state_dict()
    assert all(weights[name].equal(each.float()) for name, each in load_weights(DEFAULT_RUN).items())
