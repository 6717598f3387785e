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
from collections.abc import Iterator
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
    _, _, offset, size = _varints(index[-_FOOTER_BYTES:], 4)
    tensors = {}
    for _, place in _entries(index, offset, size):
        for key, value in _entries(index, *_varints(place, 2)):
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


def _varint(buffer: bytes, at: int) -> tuple[int, int]:
    """Read a number of 7 bits a byte, lowest first: the number, and where the next thing begins."""
    value = shift = 0
    while True:
        value |= (buffer[at] & 0x7F) << shift
        shift += 7
        at += 1
        if buffer[at - 1] < 0x80:
            return value, at


def _varints(buffer: bytes, count: int) -> list[int]:
    values, at = [], 0
    for _ in range(count):
        value, at = _varint(buffer, at)
        values.append(value)
    return values


def _entries(index: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Read keys and values of an uncompressed block; a key states only what differs from the one before."""
    if index[offset + size]:
        raise DataError("compressed TensorFlow checkpoints can't be read")
    block = index[offset : offset + size]
    restarts = int.from_bytes(block[-4:], "little")
    at, end, key = 0, size - 4 - 4 * restarts, b""
    while at < end:
        shared, at = _varint(block, at)
        more, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + more]
        at += more + length
        yield key, block[at - length : at]


def _message(buffer: bytes) -> dict[int, list[Any]]:
    """Read a protobuf message: the values of each field, numbers or bytes."""
    fields: dict[int, list[Any]] = {}
    at = 0
    while at < len(buffer):
        tag, at = _varint(buffer, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value: Any
            value, at = _varint(buffer, at)
        else:
            length, at = (8 if kind == 1 else 4, at) if kind in (1, 5) else _varint(buffer, at)
            value = buffer[at : at + length]
            at += length
        fields.setdefault(number, []).append(value)
    return fields
