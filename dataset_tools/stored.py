"""Keep a signal of any length: in memory while it is short, else in a temporary file. It is read by slices, like an array."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile

import numpy as np

from instructme.dataset_tools.audio import Samples

HELD_BYTES = 128 << 20
"""A longer signal waits on disk."""
_BLOCK_SAMPLES = 18_000_000
"""Most samples of all channels that are in memory at once: 72 MB. A song of 12 minutes at 24 kHz is one block."""


def block_frames(channels: int) -> int:
    """Choose how many frames are read at once."""
    return _BLOCK_SAMPLES // channels


def stretches(length: int, rate_hz: int, longest_s: int) -> list[tuple[int, int]]:
    """Cut a signal of so many samples into stretches of about equal length, at whole seconds: their starts and stops."""
    count = max(1, -(-length // (longest_s * rate_hz)))
    step = max(1, -(-length // (count * rate_hz))) * rate_hz
    return [(start, min(start + step, length)) for start in range(0, length, step)]


def padded(samples: "Samples | Stored", start: int, stop: int) -> Samples:
    """Read a mono signal from start to stop, with silence before its beginning and after its end."""
    inside = samples[max(start, 0) : max(stop, 0)]
    return np.pad(inside, (max(-start, 0), max(stop - max(start, 0) - len(inside), 0)))


class Stored:
    """A signal `(T,)`, or `(T, 2)` with 2 `channels`, of float32 samples that can be added to.

    What is silent takes no space.
    """

    def __init__(self, folder: Path, channels: int = 1, held_bytes: int | None = None) -> None:
        self.channels = channels
        self._file = SpooledTemporaryFile(held_bytes or HELD_BYTES, dir=str(folder))  # noqa: SIM115
        self._frame_bytes, self._length = 4 * channels, 0

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, span: slice) -> Samples:
        """Read frames from start to stop."""
        start, stop, _ = span.indices(self._length)
        size = max(stop - start, 0) * self._frame_bytes
        self._file.seek(start * self._frame_bytes)
        samples = np.frombuffer(self._file.read(size).ljust(size, b"\0"), dtype=np.float32)
        return samples if self.channels == 1 else samples.reshape(-1, self.channels)

    def blocks(self) -> Iterator[tuple[int, Samples]]:
        """Read all of it, a block at a time: the place of its first frame, and its samples."""
        step = block_frames(self.channels)
        for start in range(0, self._length, step):
            yield start, self[start : start + step]

    def put(self, start: int, block: Samples) -> None:
        """Write a block in the place of what is there."""
        self._file.seek(start * self._frame_bytes)
        self._file.write(np.ascontiguousarray(block).tobytes())
        self._length = max(self._length, start + len(block))

    def add(self, start: int, block: Samples) -> None:
        """Add a block to what is there; beyond the end is silence."""
        before = self[start : start + len(block)]
        if block.any():
            total = np.array(block)
            total[: len(before)] += before
            self.put(start, total)
        self._length = max(self._length, start + len(block))

    def extend(self, blocks: Iterable[Samples]) -> "Stored":
        """Write blocks that follow each other at the end."""
        for block in blocks:
            self.add(self._length, block)
        return self

    def close(self) -> None:
        """Give its space back."""
        self._file.close()
