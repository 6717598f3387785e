"""A run folder is self-describing, and what is wrong with one is said in one line."""

import json
import resource
from pathlib import Path

import pytest
import torch
from torch import nn

from instructme.model.checkpoint import WEIGHTS, load_weights, read_config, restore, save_weights, write_config
from instructme.model.config import ModelError, override
from instructme.model.presets import PRESETS, TINY


def _error(call, *arguments) -> str:
    with pytest.raises(ModelError) as raised:
        call(*arguments)
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_config_comes_back(tmp_path: Path, name: str):
    write_config(tmp_path / "run", "vae", PRESETS[name], {"seed": 3, "data": {"hash": "ab"}})
    preset, config = read_config(tmp_path / "run", "vae")
    assert preset == PRESETS[name]
    assert config["seed"] == 3 and config["data"] == {"hash": "ab"} and config["tool_version"]


def test_weights_come_back_bit_for_bit_and_leave_nothing_else(tmp_path: Path):
    state = {"a": torch.randn(3, 4).t(), "b": torch.tensor(7), "c": torch.randn(2).to(torch.bfloat16)}
    save_weights(tmp_path, WEIGHTS, {"a": torch.zeros(1)})
    save_weights(tmp_path, WEIGHTS, state)
    loaded = load_weights(tmp_path)
    assert loaded.keys() == state.keys() and all(torch.equal(loaded[each], state[each]) for each in state)
    assert [each.name for each in tmp_path.iterdir()] == ["weights.safetensors"]


def test_weights_may_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    save_weights(tmp_path, WEIGHTS, {"a": torch.zeros(1)})
    assert (tmp_path / "weights.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_weights_go_into_a_module_of_the_same_preset_only(tmp_path: Path):
    module, other = nn.Linear(3, 2), nn.Linear(3, 2)
    save_weights(tmp_path, WEIGHTS, module.state_dict())
    restore(other, tmp_path)
    assert torch.equal(other.weight, module.weight)
    for wrong in (nn.Linear(4, 2), nn.Linear(3, 2, bias=False), nn.Sequential(nn.Linear(3, 2))):
        before = {key: value.clone() for key, value in wrong.state_dict().items()}
        assert "another preset" in _error(restore, wrong, tmp_path)
        assert all(torch.equal(before[key], value) for key, value in wrong.state_dict().items())


def test_missing_and_damaged_weights_are_explained(tmp_path: Path):
    assert "missing" in _error(load_weights, tmp_path)
    save_weights(tmp_path, WEIGHTS, {"a": torch.randn(100)})
    path = tmp_path / "weights.safetensors"
    whole = path.read_bytes()
    for damaged in (whole[:-7], whole[:5], b"", b"\xff" * 64):
        path.write_bytes(damaged)
        assert "damaged" in _error(load_weights, tmp_path)


def test_folders_that_are_no_run_are_explained(tmp_path: Path):
    assert "not a run folder" in _error(read_config, tmp_path)
    assert "not a run folder" in _error(read_config, tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    assert "not a run folder" in _error(read_config, tmp_path / "file")
    write_config(tmp_path, "vae", TINY)
    assert "of kind 'vae', not 'editor'" in _error(read_config, tmp_path, "editor")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"kind": "vae"}', '{"kind": "vae", "preset": 3}', "\ud800"])
def test_damaged_configs_are_explained(tmp_path: Path, text: str):
    (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert "config.json" in _error(read_config, tmp_path)


def test_presets_of_another_version_are_explained(tmp_path: Path):
    write_config(tmp_path, "vae", TINY)
    config = json.loads((tmp_path / "config.json").read_text())
    config["preset"]["unet"]["flux"] = 1
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "flux" in _error(read_config, tmp_path)


def test_an_overridden_preset_is_kept(tmp_path: Path):
    changed = override(TINY, ["unet.blocks=3", "vae_training.decay=cosine"])
    write_config(tmp_path, "editor", changed)
    assert read_config(tmp_path)[0] == changed != TINY


@pytest.mark.parametrize("missing_bytes", [1, 100, 3000])
def test_weights_that_the_disk_refuses_leave_the_old_ones(tmp_path: Path, missing_bytes: int) -> None:
    save_weights(tmp_path, "weights", {"a": torch.zeros(1000)})
    size, before = (tmp_path / "weights.safetensors").stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - missing_bytes, before[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*/weights\.safetensors'"):
            save_weights(tmp_path, "weights", {"a": torch.ones(1000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert torch.equal(load_weights(tmp_path)["a"], torch.zeros(1000))
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]
