"""Embed music with MusiCNN, the 200 numbers of its last hidden layer for patches of 3 s every 2 s, and with VGGish."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples, resample
from instructme.dataset_tools.recognisers import weights
from instructme.manifests.tables import sha256

EVERY_S = 2.0


def available() -> bool:
    """Say whether music can be embedded: the weights have been fetched, and torch is installed."""
    return weights.available("musicnn") and find_spec("torch") is not None


@cache
def _network() -> Any:
    from instructme.model import musicnn

    return musicnn.MusiCnn.from_file(weights.tensors("musicnn"))


def embed(samples: Samples, rate_hz: int) -> npt.NDArray[np.float32]:
    """Embed (T,): (patches, 200). Music shorter than 3 s is one patch. Runs on one thread.

    Raises:
        DataError: the weights have not been fetched.
    """
    network = _network()
    import torch

    from instructme.model.musicnn import HOP_SAMPLES, PATCH_FRAMES, RATE_HZ

    audio = torch.from_numpy(np.ascontiguousarray(resample(samples, rate_hz, RATE_HZ)))
    with _one_thread():
        frames = network.front_end(audio[None, None])[0]
        step = round(EVERY_S * RATE_HZ / HOP_SAMPLES)
        starts = range(0, max(len(frames) - PATCH_FRAMES, 0) + 1, step)
        patches = torch.stack([frames[start : start + PATCH_FRAMES] for start in starts])
        return np.asarray(network(patches).embedding.numpy(), dtype=np.float32)


@cache
def vggish_digest(path: Path) -> str:
    """Hash the weights of VGGish.

    Raises:
        ModelError: they can't be read.
    """
    _vggish(path)
    return sha256(path)[:12]


@cache
def _vggish(path: Path) -> Any:
    from instructme.model.vggish import Vggish

    return Vggish.from_file(path)


def vggish(samples: Samples, rate_hz: int, path: Path) -> npt.NDArray[np.float32]:
    """Embed (T,) with the weights of VGGish in a file: (examples of 0.96 s, 128). Runs on one thread.

    Raises:
        ModelError: they can't be read.
    """
    network = _vggish(path)
    import torch

    from instructme.model.vggish import RATE_HZ
    from instructme.model.vggish import embed as heard_by

    audio = torch.from_numpy(np.ascontiguousarray(resample(samples, rate_hz, RATE_HZ)))
    with _one_thread():
        return np.asarray(heard_by(network, audio).numpy(), dtype=np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)
