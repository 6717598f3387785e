"""Read windows of part files, each once as long as it is needed."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from instructme.dataset_tools.audio import Pcm
from instructme.dataset_tools.sharding.render import Window
from instructme.manifests.rows import DataError

HELD_BYTES = 768 << 20
"""Most memory that kept windows may take."""


def read(path: Path, start: int, length: int, channels: int = 1) -> Pcm:
    """Read `length` samples of a part file from `start`, `(length,)` or `(length, 2)`: as float it takes a seventh longer.

    Raises:
        DataError: the file is missing or damaged, ends before the window does, or has other channels.
    """
    import soundfile

    try:
        samples, _ = soundfile.read(path, length, start, dtype="int16")
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise DataError(f"can't read audio: {path}: {error}: run prepare again") from None
    if samples.shape[1:] != (() if channels == 1 else (channels,)):
        raise DataError(f"part has other channels than parts.parquet says: {path}: run prepare again, then pair")
    if len(samples) != length:
        raise DataError(f"part is too short: {path}: no samples {start} to {start + length}: run prepare again, then pair")
    return np.asarray(samples)


class Windows:
    """Read windows like `read`, decoding each one once.

    `find(track_id, instrument)` finds a part file; `reads` lists all reads to come. A window is kept until
    its last read, or read again where keeping it would take more than `held_bytes` together with the others.
    """

    def __init__(
        self, find: Callable[[str, str], Path], reads: Iterable[Window], held_bytes: int = HELD_BYTES, channels: int = 1
    ) -> None:
        self._find, self._channels = find, channels
        self._left = Counter(reads)
        self._held: dict[Window, Pcm] = {}
        self._room_bytes = held_bytes
        self.decoded = 0

    def __call__(self, track_id: str, instrument: str, start: int, length: int) -> Pcm:
        """Read a window of the part of an instrument in a track, `(length,)` or `(length, 2)`; not to be changed."""
        window = Window(track_id, instrument, start, length)
        samples = self._held.pop(window, None)
        if samples is not None:
            self._room_bytes += samples.nbytes
        else:
            self.decoded += 1
            samples = read(self._find(track_id, instrument), start, length, self._channels)
        self._left[window] -= 1
        if self._left[window] > 0 and samples.nbytes <= self._room_bytes:
            self._held[window] = samples
            self._room_bytes -= samples.nbytes
        return samples
