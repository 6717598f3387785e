"""Embed music with MusiCNN, the 200 numbers of its last hidden layer for patches of 3 s every 2 s, and with given networks."""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples, resample
from instructme.dataset_tools.recognisers import weights
from instructme.dataset_tools.recognisers.inference import one_thread
from instructme.manifests.tables import sha256

EVERY_S = 2.0


@dataclass(frozen=True)
class Networks:
    """Published weights that the user may give: VGGish, its post-processing and PANNs as files, CLAP as a folder."""

    vggish: Path | None = None
    clap: Path | None = None
    panns: Path | None = None
    vggish_pca: Path | None = None

    def of_sets(self) -> list[str]:
        """Name those that embed sets of sounds. VGGish's post-processing needs VGGish."""
        return [name for name in ("vggish", "vggish_pca") if self.vggish and getattr(self, name)]

    def digests(self) -> dict[str, str]:
        """Hash the weights of each network that is given, after it was read once.

        Raises:
            ModelError: weights that can't be read.
        """
        return {name: digest(name, path) for name, path in vars(self).items() if path}


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
    with one_thread():
        frames = network.front_end(audio[None, None])[0]
        step = round(EVERY_S * RATE_HZ / HOP_SAMPLES)
        starts = range(0, max(len(frames) - PATCH_FRAMES, 0) + 1, step)
        patches = torch.stack([frames[start : start + PATCH_FRAMES] for start in starts])
        return np.asarray(network(patches).embedding.numpy(), dtype=np.float32)


@cache
def digest(name: str, path: Path) -> str:
    """Hash the weights of a given network.

    Raises:
        ModelError: they can't be read.
    """
    _given(name, path)
    return sha256(path / "model.safetensors" if path.is_dir() else path)[:12]


@cache
def _given(name: str, path: Path) -> Any:
    from instructme.model.clap import Clap
    from instructme.model.panns import Cnn14
    from instructme.model.vggish import PostProcess, Vggish

    makers = {"vggish": Vggish.from_file, "vggish_pca": PostProcess.from_file, "panns": Cnn14.from_file, "clap": Clap}
    return makers[name](path)


def hear(name: str, path: Path, samples: Samples, rate_hz: int) -> npt.NDArray[np.float32]:
    """Let a given network hear (T,), on one thread.

    Returns:
        VGGish: (examples of 0.96 s, 128). PANNs: logits (527,). CLAP: a unit vector.

    Raises:
        ModelError: the weights can't be read.
    """
    import torch

    from instructme.model import panns, vggish

    network, heard_hz = _given(name, path), {"vggish": vggish.RATE_HZ, "panns": panns.RATE_HZ}.get(name, rate_hz)
    audio = torch.from_numpy(np.ascontiguousarray(resample(samples, rate_hz, heard_hz)))
    with one_thread():
        if name == "vggish":
            return np.asarray(vggish.embed(network, audio).numpy())
        answer = network(audio[None]) if name == "panns" else network.audio(audio[None, None], rate_hz)
        return np.asarray(answer[0].numpy())


def vggish_pca(embedding: npt.NDArray[np.float32], path: Path) -> npt.NDArray[np.float32]:
    """Post-process embeddings of VGGish (n, 128) by the components in a file: the numbers 0 to 255 of AudioSet's features.

    Raises:
        ModelError: they can't be read.
    """
    import torch

    return np.asarray(_given("vggish_pca", path)(torch.from_numpy(embedding)).numpy(), dtype=np.float32)


@cache
def clap_of_text(text: str, path: Path) -> npt.NDArray[np.float32]:
    """Embed a text with the weights of CLAP in a folder: a unit vector."""
    return np.asarray(_given("clap", path).text([text])[0].numpy(), dtype=np.float32)
