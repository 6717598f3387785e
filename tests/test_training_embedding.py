"""The embedding's trainer: run folders that load, losses that a restart doesn't touch, and a space that learns."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_work import make_work

from instructme.manifests.rows import DataError
from instructme.model import config, musicnn, presets
from instructme.model.embedding import load
from instructme.pipelines.data.stream import batches
from instructme.pipelines.training.embedding import EmbeddingTrainer, Mixes
from instructme.pipelines.training.loop import train

PRESET = config.override(
    presets.TINY,
    [
        "sample_rate_hz=8000",
        "clip_seconds=2",
        "embedding_training.batch_size=4",
        "embedding_training.validation_triplets=4",
        "embedding_training.steps=3",
    ],
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("music") / "work")


@pytest.fixture(scope="module")
def fetched() -> Iterator[None]:
    """Put a random MusiCNN in the place of the fetched one."""

    def made(_: Path) -> musicnn.MusiCnn:
        torch.manual_seed(0)
        return musicnn.MusiCnn()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("instructme.pipelines.training.embedding.weights.tensors", lambda _: Path())
        patch.setattr("instructme.pipelines.training.embedding.musicnn.MusiCnn.from_file", made)
        yield


@pytest.fixture(scope="module")
def run(work: Path, fetched: None) -> Path:
    """Train without captions of users."""
    run_of(PRESET, work, work.parent / "run")
    return work.parent / "run"


def run_of(preset: config.Preset, work: Path, run: Path, captions: Path | None = None) -> None:
    training, validation = (Mixes(work, split, preset) for split in ("train", "validation"))
    size = preset.embedding_training.batch_size

    def shares(step: int, rank: int, ranks: int) -> Any:
        return batches(training, step, rank, ranks, batch_size=size)

    train(EmbeddingTrainer(preset, validation, captions), run, preset=preset, batches=shares, data={}, device="cpu")


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in metrics(run) if "loss" in row]


def test_items_hold_both_sides_and_their_recipe(work: Path) -> None:
    mixes = Mixes(work, "train", PRESET)
    item, numbered = mixes[3], mixes[3, 77]
    recipe = json.loads(item["recipe"])
    assert item["source"].shape == item["target"].shape == (1, 16000)
    assert recipe["triplet_id"] == item["key"] == numbered["key"] and numbered["number"] == 77


def test_weights_that_were_not_fetched(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match="run 'instructme models fetch musicnn'"):
        EmbeddingTrainer(PRESET, Mixes(work, "validation", PRESET))


def test_a_run_is_all_that_prompts_need(run: Path) -> None:
    last = metrics(run)[-1]
    assert len(losses(run)) == 3
    assert 0 <= last["validation_retrieved"] <= 1 and 0 < last["validation_chance"] < 1
    joint = load(run)
    assert joint.audio(torch.randn(1, 1, 8000), 8000).shape == joint.text(["a happy music"]).shape == (1, 64)
    assert "Nearest: a mix of" in (run / "edits.html").read_text()


def test_a_restart_changes_nothing(run: Path, work: Path, tmp_path: Path) -> None:
    run_of(config.override(PRESET, ["embedding_training.steps=2"]), work, tmp_path)
    run_of(PRESET, work, tmp_path)
    assert losses(run) == losses(tmp_path)


def test_users_captions_take_part(run: Path, work: Path, tmp_path: Path) -> None:
    table = tmp_path / "captions.csv"
    table.write_text("track_id,caption\nset-a,a happy music\nset-b,a sad music\nset-c,a happy music\n")
    run_of(config.override(PRESET, ["embedding_training.steps=1"]), work, tmp_path / "run", table)
    assert losses(run)[0] != losses(tmp_path / "run")[0]


@pytest.mark.usefixtures("fetched")
def test_it_learns_what_sounds(work: Path, tmp_path: Path) -> None:
    steps = ["embedding_training.steps=40", "embedding_training.validate_every=40", "embedding_training.ema_decay=0.9"]
    run_of(
        config.override(PRESET, [*steps, "embedding_training.batch_size=8", "embedding_training.learning_rate=3e-3"]),
        work,
        tmp_path,
    )
    assert np.mean(losses(tmp_path)[-10:]) < 0.8 * np.mean(losses(tmp_path)[:5])
    last = metrics(tmp_path)[-1]
    assert last["validation_retrieved"] > 2 * last["validation_chance"]
