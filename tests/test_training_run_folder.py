"""A run folder: what goes on in it, what it refuses, and what its checkpoints hold."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_training as toy
from safetensors.torch import load_file

from instructme.model import presets
from instructme.model.config import ModelError, override
from instructme.pipelines.training import checkpoints


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train 20 steps without a break."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    toy.run(folder)
    return folder


def test_another_configuration_needs_another_folder(whole: Path):
    before = (whole / "config.json").read_bytes()
    for changed, named in (
        ({"learning_rate": 0.5}, "learning_rate"),
        ({"batch_size": 8}, "batch_size"),
        ({"decay": "constant"}, "decay"),
    ):
        with pytest.raises(ModelError, match=rf"editor_training\.{named}=.*another folder"):
            toy.run(whole, **changed)
    preset = toy.preset()
    for data, seed, named in (({"hash": "1"}, 0, "data.hash=0, not 1"), ({"hash": "0"}, 5, "seed=0, not 5")):
        with pytest.raises(ModelError, match=named):
            toy.train(toy.Toy(preset), whole, preset=preset, batches=toy.batches(), data=data, seed=seed, device="cpu")
    other = dataclasses.replace(presets.SMALL, editor_training=preset.editor_training)
    with pytest.raises(ModelError, match=f"was trained with preset={preset.name}, not small"):
        toy.train(toy.Toy(other), whole, preset=other, batches=toy.batches(), data={"hash": "0"}, seed=0, device="cpu")
    assert (whole / "config.json").read_bytes() == before


def test_a_run_goes_on_although_the_preset_has_changed_where_other_models_are_described(tmp_path: Path):
    """As presets do from version to version: an editor doesn't depend on how separators are made."""
    preset = toy.preset()
    paper = {part: getattr(presets.PAPER, part) for part in ("separator", "vae_training")}
    for changed in (preset, dataclasses.replace(preset, **paper)):
        toy.train(toy.Toy(changed), tmp_path, preset=changed, batches=toy.batches(), data={"hash": "0"}, device="cpu")
    with pytest.raises(ModelError, match=r"diffusion\.text_dropout=0\.1, not 0\.2"):
        changed = override(preset, ["diffusion.text_dropout=0.2"])
        toy.train(toy.Toy(changed), tmp_path, preset=changed, batches=toy.batches(), data={"hash": "0"}, device="cpu")


def test_a_folder_of_another_kind_or_without_checkpoints_is_refused(whole: Path, tmp_path: Path):
    folder = shutil.copytree(whole, tmp_path / "run")
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"kind": "editor"', '"kind": "vae"'))
    with pytest.raises(ModelError, match="kind=vae, not editor"):
        toy.run(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"checkpoints but no config\.json .* choose another folder \(-o\)"):
        toy.run(folder)
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(ModelError, match="no checkpoints to go on from"):
        toy.run(folder)


def test_a_checkpoint_of_other_modules_is_not_called_damaged(whole: Path, tmp_path: Path):
    """Nobody should remove a good checkpoint because the code has changed since."""

    class Renamed(toy.Toy):
        def __init__(self, preset: Any) -> None:
            super().__init__(preset)
            self.modules["net"].register_buffer("new", torch.zeros(1))

    folder = shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(checkpoints.found(folder)[-1])
    preset = toy.preset()
    with pytest.raises(ModelError, match="another version of the models") as raised:
        toy.train(Renamed(preset), folder, preset=preset, batches=toy.batches(), data={"hash": "0"}, device="cpu")
    assert "remove" not in str(raised.value) and "\n" not in str(raised.value)


def test_checkpoints_hold_tensors_and_json_only(whole: Path):
    for path in checkpoints.found(whole)[-1].iterdir():
        if path.suffix == ".safetensors":
            load_file(path)
        else:
            json.loads(path.read_text())
