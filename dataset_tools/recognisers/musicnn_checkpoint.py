"""Convert MusiCNN's weights from the wheel's TensorFlow checkpoints to safetensors, without TensorFlow.

A checkpoint's index is a LevelDB table (https://github.com/google/leveldb/blob/main/doc/table_format.md): blocks of sorted keys,
which a footer points to. Each value is a `BundleEntryProto` (tensorflow/core/protobuf/tensor_bundle.proto): the place of a tensor
in the data file. TensorFlow itself would be a download of 500 MB for this one step.
"""

import ast
import json
import math
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from instructme.manifests.rows import DataError

SETS = ("MTT", "MSD")
"""Weights in the wheel: trained on MagnaTagATune and on the Million Song Dataset."""
_LAYER = re.compile(r"(conv2d|batch_normalization|dense)(?:_(\d+))?")
_KINDS = {"conv2d": "convolutions", "batch_normalization": "norms", "dense": "dense"}
_VALUES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_FIRST_CONV1D = 5
"""From this convolution on, the network runs along time only."""
_FOOTER_BYTES = 48
_MAGIC = bytes.fromhex("57fb808b247547db")
_FLOAT32 = 1


def convert(wheel: Path) -> bytes:
    """Convert both sets of weights to one safetensors file: tensors `MTT.convolutions.0.weight` and so on, in torch's order.

    The entry `labels` of its metadata holds the 50 tags of each set as JSON.

    Raises:
        DataError: the wheel does not hold the checkpoints.
    """
    from safetensors.numpy import save

    tensors: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in SETS:
            index, data = (archive.read(f"musicnn/{name}_musicnn/{file}") for file in (".index", ".data-00000-of-00001"))
            layers = {key: value for key, value in read(index, data).items() if "/" in key}
            translated = (_translated(key, value) for key, value in layers.items())
            tensors |= {f"{name}.{key}": value for key, value in translated}
        labels = tags(archive.read("musicnn/configuration.py"))
    return save(tensors, {"labels": json.dumps(labels)})


def tags(configuration: bytes) -> dict[str, list[str]]:
    """Read the names of the tags of each set from the wheel's configuration.py, without running it.

    Raises:
        DataError: it does not name them.
    """
    lists = {ast.unparse(node.targets[0]): node.value for node in ast.parse(configuration).body if isinstance(node, ast.Assign)}
    try:
        return {name: [str(label) for label in ast.literal_eval(lists[f"{name}_LABELS"])] for name in SETS}
    except KeyError as error:
        raise DataError(f"musicnn's configuration has no {error}: delete the wheel and fetch it again") from None


def read(index: bytes, data: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """Read the float32 tensors of a checkpoint with one data file, by name; optimiser state is left out.

    Raises:
        DataError: the bytes are not the index of a checkpoint.
    """
    if index[-8:] != _MAGIC:
        raise DataError("not the index of a TensorFlow checkpoint: fetch the file again")
    _, _, offset, size = _varints(BytesIO(index[-_FOOTER_BYTES:]), 4)
    tensors = {}
    for _, place in _entries(index, offset, size):
        for key, value in _entries(index, *_varints(BytesIO(place), 2)):
            entry = _message(value)
            if key and entry.get(1) == [_FLOAT32] and b"Adam" not in key:
                shape = [_message(side).get(1, [0])[0] for side in _message(entry.get(2, [b""])[0]).get(2, [])]
                tensors[key.decode()] = np.frombuffer(data, "<f4", math.prod(shape), entry.get(4, [0])[0]).reshape(shape)
    return tensors


def _translated(name: str, tensor: npt.NDArray[np.float32]) -> tuple[str, npt.NDArray[np.float32]]:
    """Name a tensor as torch does, and give kernels (time, frequency, in, out) or (in, out) torch's order of dimensions."""
    layer, value = name.split("/")
    kind, number = _LAYER.fullmatch(layer).groups("0")  # type: ignore[union-attr]  # `convert` leaves other names out
    if tensor.ndim == 4:
        tensor = tensor[:, :, 0].transpose(2, 1, 0) if int(number) >= _FIRST_CONV1D else tensor.transpose(3, 2, 0, 1)
    return f"{_KINDS[kind]}.{number}.{_VALUES[value]}", np.ascontiguousarray(tensor.T if tensor.ndim == 2 else tensor)


def _varints(stream: BytesIO, count: int) -> list[int]:
    """Read numbers of 7 bits a byte, lowest first; the last byte of a number is below 128."""
    values = []
    for _ in range(count):
        value, shift, byte = 0, 0, 0x80
        while byte >= 0x80:
            (byte,) = stream.read(1)
            value |= (byte & 0x7F) << shift
            shift += 7
        values.append(value)
    return values


def _entries(index: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Read keys and values of an uncompressed block; a key states only what differs from the one before."""
    if index[offset + size]:
        raise DataError("compressed TensorFlow checkpoints can't be read")
    block = BytesIO(index[offset : offset + size])
    restarts, key = int.from_bytes(index[offset + size - 4 : offset + size], "little"), b""
    while block.tell() < size - 4 - 4 * restarts:
        shared, more, length = _varints(block, 3)
        key = key[:shared] + block.read(more)
        yield key, block.read(length)


def _message(buffer: bytes) -> dict[int, list[Any]]:
    """Read a protobuf message: the values of each field, numbers or bytes."""
    fields, stream = defaultdict[int, list[Any]](list), BytesIO(buffer)
    while stream.tell() < len(buffer):
        number, kind = divmod(_varints(stream, 1)[0], 8)
        if kind == 0:
            fields[number] += _varints(stream, 1)
        else:
            fields[number].append(stream.read({1: 8, 5: 4}[kind] if kind in (1, 5) else _varints(stream, 1)[0]))
    return fields
