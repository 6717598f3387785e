"""What accelerate can't do as asked is refused in one line, before anything is written."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import toy_training as toy
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from torch import distributed, nn
from torch.distributed.fsdp import FSDPModule

from instructme.model.blocks import ResidualBlock
from instructme.model.conditions import Conditions
from instructme.model.config import ModelError, override
from instructme.model.presets import TINY
from instructme.model.unet import Block, Unet
from instructme.pipelines.training import accelerated


def test_sharding_that_is_configured_but_not_in_force_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ModelError, match="FSDP, which needs several GPUs"):
        toy.run(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_first_version_of_fsdp_is_refused():
    with pytest.raises(ModelError, match="FSDP_VERSION=2"):
        accelerated._check_launch(
            SimpleNamespace(num_processes=1, state=SimpleNamespace(fsdp_plugin=SimpleNamespace(fsdp_version=1)))
        )


def test_the_variables_of_the_manual_shard_each_block_of_the_unet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Accelerate's own preparation, which it refuses without GPUs, is called on one CPU process; the network stays the same."""
    manual = (Path(__file__).parents[1] / "docs" / "training.md").read_text()
    for line in re.findall(r"^export (.*FSDP.*)$", manual, re.MULTILINE):
        for name, value in (each.split("=") for each in line.split()):
            monkeypatch.setenv(name, value)
    torch.manual_seed(0)
    unet = Unet(
        override(TINY, ["unet.channels=[32,64]", "unet.head_channels=16", "unet.chunk_frames=16", "vae.latent_channels=4"])
    )
    conditions = Conditions(
        torch.randn(2, 3, 384), torch.ones(2, 3, dtype=torch.bool), torch.randn(2, 4, 32), torch.rand(2, 100, 32)
    )
    given = (torch.randn(2, 8, 32), torch.tensor([3, 700]), conditions)
    nn.init.normal_(unet.leave.weight)  # type: ignore[arg-type]
    expected = unet(*given)
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        state = SimpleNamespace(fsdp_plugin=FullyShardedDataParallelPlugin())
        accelerator = SimpleNamespace(state=state, mixed_precision="no", is_main_process=True, device=torch.device("cpu"))
        sharded = fsdp2_prepare_model(accelerator, unet)
        units = [isinstance(each, FSDPModule) for each in sharded.modules() if isinstance(each, Block | ResidualBlock)]
        assert isinstance(sharded, FSDPModule) and len(units) > 10 and all(units)
        torch.testing.assert_close(sharded(*given), expected)
    finally:
        distributed.destroy_process_group()


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match="batch_size 4 can't be cut into 1 processes x accumulation 3"):
        toy.run(tmp_path, accumulation=3)


def test_an_unknown_tracker_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match="tracker 'abacus' can't be used"):
        toy.run(tmp_path, tracker="abacus")
