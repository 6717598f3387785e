"""What accelerate can't do as asked is refused in one line, before anything is written."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import toy_training as toy

from instructme.model.config import ModelError
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


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match="batch_size 4 can't be cut into 1 processes x accumulation 3"):
        toy.run(tmp_path, accumulation=3)


def test_an_unknown_tracker_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match="tracker 'abacus' can't be used"):
        toy.run(tmp_path, tracker="abacus")
