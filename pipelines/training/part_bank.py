"""Keep the parts of many songs as 16-bit samples, in memory or on a device, for a separator that draws windows of them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

BLOCK_SAMPLES = 12_000
"""Length of the blocks that sound or not."""
_ACTIVE = 10 ** (-45 / 20)


class BankedPart(NamedTuple):
    """A part of a song: its int16 samples, and the starts of windows in which it sounds, in blocks."""

    song: int
    instrument: str
    samples: Tensor
    starts: np.ndarray


class PartBank:
    """All parts of some songs; songs may be added at any time.

    Args:
        window_samples: length of the windows that are drawn.
        device: where the samples lie.
    """

    def __init__(self, window_samples: int, device: str | torch.device = "cpu") -> None:
        self.window_samples, self.device = window_samples, device
        self.parts: list[BankedPart] = []
        self.songs: list[list[int]] = []
        self.by_instrument: dict[str, list[int]] = {}

    def add(self, parts: Sequence[tuple[str, np.ndarray]]) -> None:
        """Add the parts (instrument, int16 samples) of a song. On a CPU the samples are not copied."""
        rows = [
            BankedPart(len(self.songs), instrument, torch.from_numpy(sound).to(self.device), starts)
            for instrument, sound in parts
            if len(starts := self._starts(sound))
        ]
        # In this order another thread may draw meanwhile: it finds parts by their instrument.
        first = len(self.parts)
        self.songs.append(list(range(first, first + len(rows))))
        self.parts.extend(rows)
        for index, row in enumerate(rows, first):
            self.by_instrument.setdefault(row.instrument, []).append(index)

    def _starts(self, sound: np.ndarray) -> np.ndarray:
        """Find windows, by their first block, of which the part sounds in a third."""
        blocks = len(sound) // BLOCK_SAMPLES
        level = sound[: blocks * BLOCK_SAMPLES].reshape(blocks, -1).astype(np.float32) / 32768
        active = np.sqrt(np.square(level).mean(axis=1)) > _ACTIVE
        wide = max(1, self.window_samples // BLOCK_SAMPLES)
        total = np.concatenate([[0], np.cumsum(active)])
        first = np.arange(max(1, blocks - wide + 1))
        share = (total[np.minimum(first + wide, blocks)] - total[first]) / wide
        starts: np.ndarray = first[share >= 1 / 3].astype(np.int32)
        return starts

    def window(self, part: int, start: int, speed: float) -> Tensor:
        """Read a window (window_samples) of a part as float32; beyond the end of the part there is silence.

        Args:
            part: its place in `parts`.
            start: first sample.
            speed: samples read for each sample made: over 1 is faster and higher.
        """
        size = math.ceil(speed * self.window_samples) + 2  # one more, because float32 rounds up
        sound = self.parts[part].samples[start : start + size].float() / 32768
        sound = functional.pad(sound, (0, size - len(sound)))
        if speed == 1:
            return sound[: self.window_samples]
        place = torch.arange(self.window_samples, device=sound.device) * speed
        before = place.long()
        return torch.lerp(sound[before], sound[before + 1], place - before)
