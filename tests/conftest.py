"""Share small real audio between the tests."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import settings

# Processes must not fill numba's cache together; tests call librosa directly, without `recognisers.turns`.
CACHE = Path(__file__).parents[1] / ".pytest_cache" / f"numba-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
os.environ.setdefault("NUMBA_CACHE_DIR", str(CACHE))

# Several test processes with several threads each would wait for each other; child processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shared machine is slow at times; time is never what a test asserts.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

DATA = Path(__file__).parent / "data"
"""A little real data, described in its README."""
SHARED = Path(__file__).parents[2] / "shared" / "data"
"""More real data; tests that need it skip where it is absent."""


def write_tone(path: Path, seconds: float = 12.0, rate_hz: int = 44100, hz: float = 220.0, channels: int = 1) -> Path:
    """Write a sine at -12 dBFS; the suffix decides the format."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = (0.25 * np.sin(2 * np.pi * hz * time)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.repeat(wave[:, None], channels, axis=1), rate_hz)
    return path


@pytest.fixture
def tone() -> Callable[..., Path]:
    return write_tone


@pytest.fixture
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip("shared development data is absent")
    return SHARED


@pytest.fixture
def data() -> Path:
    return DATA


def real_data(path: str) -> Path:
    """Find a file or folder in the larger collection, else in `DATA`; skip the test where neither holds it."""
    place = next((root / path for root in (SHARED, DATA) if (root / path).exists()), None)
    return place or pytest.skip(f"{path} is only in the larger collection")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make an empty folder for a dataset, with room beside it."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def made_listening(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a listening test once for a module."""
    from made_study import made_study

    return made_study(tmp_path_factory.mktemp("listening"))


@pytest.fixture
def study(made_listening: Path, tmp_path: Path) -> Path:
    """Copy a listening test that nobody has taken yet."""
    return Path(shutil.copytree(made_listening, tmp_path / "study"))


@pytest.fixture
def client(study: Path) -> Any:
    """Open it to a client in this process."""
    testclient = pytest.importorskip("fastapi.testclient")
    from instructme.pipelines.listening.server import make_app

    return testclient.TestClient(make_app(study))
