"""Embed music with MusiCNN: the 200 numbers of its last hidden layer, for patches of 3 s every 2 s."""

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples, resample
from instructme.dataset_tools.recognisers import weights

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
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            frames = network.front_end(audio[None, None])[0]
            step = round(EVERY_S * RATE_HZ / HOP_SAMPLES)
            starts = range(0, max(len(frames) - PATCH_FRAMES, 0) + 1, step)
            patches = torch.stack([frames[start : start + PATCH_FRAMES] for start in starts])
            return np.asarray(network(patches).embedding.numpy(), dtype=np.float32)
    finally:
        torch.set_num_threads(threads)
