"""The embedding's trainer: run folders that load, losses that a restart doesn't touch, and a space that learns."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_work import make_work

from manifests.rows import DataError
from model import config, musicnn, presets
from model.embedding import load
from pipelines.stream import batches
from pipelines.training.embedding import EmbeddingTrainer, Mixes
from pipelines.training.loop import train

PRESET = config.override(
    presets.TINY,
    [
        "sample_rate_hz=8000",
        "clip_seconds=2",
        "embedding_training.batch_size=4",
        "embedding_training.validation_triplets=6",
        "embedding_training.steps=4",
    ],
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("music") / "work")


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a random MusiCNN in the place of the fetched one."""

    def made(*_: bytes) -> musicnn.MusiCnn:
        torch.manual_seed(0)
        return musicnn.MusiCnn()

    monkeypatch.setattr("pipelines.training.embedding.weights.read", lambda *_: [])
    monkeypatch.setattr("pipelines.training.embedding.musicnn.MusiCnn.from_wheel", made)


def run_of(preset: config.Preset, work: Path, run: Path, captions: Path | None = None) -> list[dict[str, Any]]:
    training, validation = (Mixes(work, split, preset) for split in ("train", "validation"))
    size = preset.embedding_training.batch_size

    def shares(step: int, rank: int, ranks: int) -> Any:
        return batches(training, step, rank, ranks, batch_size=size)

    train(EmbeddingTrainer(preset, validation, captions), run, preset=preset, batches=shares, data={}, device="cpu")
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_items_hold_both_sides_and_their_recipe(work: Path) -> None:
    mixes = Mixes(work, "train", PRESET)
    item, numbered = mixes[3], mixes[3, 77]
    recipe = json.loads(item["recipe"])
    assert item["source"].shape == item["target"].shape == (1, 16000)
    assert recipe["triplet_id"] == item["key"] == numbered["key"] and numbered["number"] == 77


@pytest.mark.usefixtures("fetched")
def test_a_run_is_all_that_prompts_need(work: Path, tmp_path: Path) -> None:
    rows = run_of(PRESET, work, tmp_path / "run")
    assert len([row for row in rows if "loss" in row]) == 4
    assert 0 <= rows[-1]["validation_retrieved"] <= 1 and 0 < rows[-1]["validation_chance"] < 1
    joint = load(tmp_path / "run")
    assert joint.audio(torch.randn(1, 1, 8000), 8000).shape == joint.text(["a happy music"]).shape == (1, 64)
    page = (tmp_path / "run" / "edits.html").read_text()
    assert "Nearest: a mix of" in page


@pytest.mark.usefixtures("fetched")
def test_a_restart_changes_nothing(work: Path, tmp_path: Path) -> None:
    straight = run_of(PRESET, work, tmp_path / "straight")
    run_of(config.override(PRESET, ["embedding_training.steps=2"]), work, tmp_path / "twice")
    again = run_of(PRESET, work, tmp_path / "twice")
    losses = [[row["loss"] for row in rows if "loss" in row] for rows in (straight, again)]
    assert losses[0] == losses[1]


@pytest.mark.usefixtures("fetched")
def test_it_learns_what_sounds(work: Path, tmp_path: Path) -> None:
    steps = ["embedding_training.steps=80", "embedding_training.validate_every=80", "embedding_training.ema_decay=0.9"]
    rows = run_of(config.override(PRESET, [*steps, "embedding_training.batch_size=8"]), work, tmp_path / "run")
    losses = [row["loss"] for row in rows if "loss" in row]
    assert np.mean(losses[-10:]) < 0.75 * np.mean(losses[:5])
    assert rows[-1]["validation_retrieved"] > 2 * rows[-1]["validation_chance"]


@pytest.mark.usefixtures("fetched")
def test_users_captions_take_part(work: Path, tmp_path: Path) -> None:
    table = tmp_path / "captions.csv"
    table.write_text("track_id,caption\nset-a,a happy music\nset-b,a sad music\nset-c,a happy music\n")
    rows = run_of(PRESET, work, tmp_path / "run", table)
    plain = run_of(PRESET, work, tmp_path / "plain")
    assert [row["loss"] for row in rows[:4]] != [row["loss"] for row in plain[:4]]


def test_weights_that_were_not_fetched(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match="run 'instructme models fetch musicnn'"):
        EmbeddingTrainer(PRESET, Mixes(work, "validation", PRESET))
