"""Read TensorFlow's checkpoints ("tensor bundles") without TensorFlow.

The index is a LevelDB table (https://github.com/google/leveldb/blob/main/doc/table_format.md): blocks of sorted keys, found from
a footer. Each value is a `BundleEntryProto` (tensorflow/core/protobuf/tensor_bundle.proto) that says where a tensor lies in data.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from instructme.model.config import ModelError

_FOOTER_BYTES = 48
_MAGIC = bytes.fromhex("57fb808b247547db")
_FLOAT32 = 1


def read(index: bytes, data: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """Read the float32 tensors of a checkpoint of one data file, by name; optimiser state is left out.

    Raises:
        ModelError: the index isn't one.
    """
    if index[-8:] != _MAGIC:
        raise ModelError("not the index of a TensorFlow checkpoint: fetch the file again")
    _, _, offset, size = _varints(index[-_FOOTER_BYTES:], 4)
    tensors = {}
    for _, place in _entries(index, offset, size):
        for key, value in _entries(index, *_varints(place, 2)):
            entry = _message(value)
            if key and entry.get(1) == [_FLOAT32] and b"Adam" not in key:
                shape = [_message(side).get(1, [0])[0] for side in _message(entry.get(2, [b""])[0]).get(2, [])]
                tensors[key.decode()] = np.frombuffer(data, "<f4", math.prod(shape), entry.get(4, [0])[0]).reshape(shape)
    return tensors


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
        raise ModelError("compressed TensorFlow checkpoints can't be read")
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
