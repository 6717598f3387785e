"""Keep a signal of any length: in memory while it is short, else in a temporary file. It is read by slices, like an array."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples

HELD_BYTES = 128 << 20
"""A longer signal waits on disk."""
BLOCK_FRAMES = 1 << 20


class Stored:
    """A signal `(T,)`, or `(T, 2)` with 2 `channels`, of float32 samples. It grows by what is put or added behind its end."""

    def __init__(self, folder: Path, channels: int = 1, held_bytes: int | None = None) -> None:
        self.channels = channels
        self._file = SpooledTemporaryFile(held_bytes or HELD_BYTES, dir=str(folder))  # noqa: SIM115
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, span: slice) -> Samples:
        """Read the frames of a slice without a step."""
        start, stop, _ = span.indices(self._length)
        samples = audio.silence(max(stop - start, 0), self.channels)
        self._file.seek(start * samples.itemsize * self.channels)
        self._file.readinto(samples.view(np.uint8).data)
        return samples

    def blocks(self, frames: int | None = None, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Samples]]:
        """Read from start to stop, so many frames at a time: the place of each block's first frame, and its samples.

        There is one block at least.
        """
        stop = self._length if stop is None else min(stop, self._length)
        frames = frames or BLOCK_FRAMES
        for at in range(start, max(stop, start + 1), frames):
            yield at, self[at : min(at + frames, stop)]

    def put(self, start: int, block: Samples) -> None:
        """Write a block in the place of what is there."""
        block = np.ascontiguousarray(block, dtype=np.float32)
        self._file.seek(start * block.itemsize * self.channels)
        self._file.write(block.tobytes())
        self._length = max(self._length, start + len(block))

    def add(self, start: int, block: Samples) -> None:
        """Add a block to what is there."""
        total, before = np.array(block), self[start : start + len(block)]
        total[: len(before)] += before
        self.put(start, total)

    def pad(self, length: int) -> None:
        """Let silence follow, up to a length."""
        self._length = max(self._length, length)

    def extend(self, blocks: Iterable[Samples]) -> "Stored":
        """Write blocks that follow each other behind the end."""
        for block in blocks:
            self.put(self._length, block)
        return self

    def close(self) -> None:
        """Give its space back."""
        self._file.close()


def mono(samples: Samples | Stored, start: int, stop: int) -> Samples:
    """Read the mean of the channels from start to stop, with silence before the beginning and behind the end."""
    inside = audio.mono(samples[max(start, 0) : max(stop, 0)])
    return np.pad(inside, (max(-start, 0), max(stop - max(start, 0) - len(inside), 0)))


def stretches(length: int, rate_hz: int, longest_s: int) -> list[tuple[int, int]]:
    """Cut a signal of so many samples into stretches of about equal length, at whole seconds: their starts and stops."""
    count = max(1, -(-length // (longest_s * rate_hz)))
    step = max(1, -(-length // (count * rate_hz))) * rate_hz
    return [(start, min(start + step, length)) for start in range(0, length, step)]
