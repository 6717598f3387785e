"""Keep the parts of many songs as 16-bit samples, in memory or on a device, for a separator that draws windows of them.

On disk a bank is a folder with two files a song: NAME.i16 (parts one after the other) and NAME.json (which part is where).
The JSON comes last, so a song can be read as soon as its JSON is there.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

BLOCK_SAMPLES = 12_000
"""Length of the blocks that sound or not."""
_ACTIVE = 10 ** (-45 / 20)


class BankedPart(NamedTuple):
    """A part of a song: its place in the bank, and the starts of windows in which it sounds, in blocks."""

    song: int
    instrument: str
    start: int
    samples: int
    starts: np.ndarray


class PartBank:
    """All parts of some songs, one flat array of int16; songs may be added at any time.

    Args:
        capacity_samples: room for so many samples.
        window_samples: length of the windows that are drawn.
        device: where the samples lie.
        path: a file to keep them in, for banks larger than the memory.
    """

    def __init__(
        self, capacity_samples: int, window_samples: int, device: str | torch.device = "cpu", path: Path | None = None
    ) -> None:
        if path is None:
            self.samples = torch.empty(capacity_samples, dtype=torch.int16, device=device)
        else:
            self.samples = torch.from_file(str(path), shared=True, size=capacity_samples, dtype=torch.int16)
        self.window_samples, self.used = window_samples, 0
        self.parts: list[BankedPart] = []
        self.songs: list[list[int]] = []
        self.by_instrument: dict[str, list[int]] = {}

    def add(self, parts: Sequence[tuple[str, np.ndarray]]) -> bool:
        """Add the parts (instrument, int16 samples) of a song; False if there is no room left."""
        total = sum(len(sound) for _, sound in parts)
        if self.used + total > len(self.samples):
            return False
        rows: list[BankedPart] = []
        for instrument, sound in parts:
            starts = self._starts(sound)
            if len(starts):
                self.samples[self.used : self.used + len(sound)] = torch.from_numpy(np.ascontiguousarray(sound))
                rows.append(BankedPart(len(self.songs), instrument, self.used, len(sound), starts))
                self.used += len(sound)
        # In this order another thread may draw meanwhile: it finds parts by their instrument.
        first = len(self.parts)
        self.songs.append(list(range(first, first + len(rows))))
        self.parts.extend(rows)
        for index, row in enumerate(rows, first):
            self.by_instrument.setdefault(row.instrument, []).append(index)
        return True

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

    def windows(self, parts: Tensor, starts: Tensor, speeds: Tensor) -> Tensor:
        """Read windows (N, window_samples) as float32; beyond the end of a part there is silence.

        Args:
            parts: (N, 2) place and length of each part in samples.
            starts: (N) first sample of each window, within its part.
            speeds: (N) samples read for each sample made: over 1 is faster and higher.
        """
        steps = torch.arange(self.window_samples, device=self.samples.device, dtype=torch.float32)
        offset = steps * speeds[:, None]
        share, last = offset.frac(), parts[:, 1:] - 2
        whole = starts[:, None] + offset.long()  # as floats, samples behind the first 12 minutes would miss their places
        place = parts[:, :1] + torch.minimum(whole, last.clamp(min=0))
        sound = self.samples[place].float() * (1 - share) + self.samples[place + 1].float() * share
        return torch.where(whole <= last, sound, 0.0) / 32768


def read_song(path: Path) -> tuple[dict[str, str], list[tuple[str, np.ndarray]]]:
    """Read a song of a bank folder by its JSON: what is written about it, and its parts (instrument, int16 samples)."""
    song = json.loads(path.read_text(encoding="utf-8"))
    samples = np.fromfile(path.with_suffix(".i16"), dtype="<i2")
    parts = [(each["instrument"], samples[each["start"] : each["start"] + each["samples"]]) for each in song["parts"]]
    return {key: song.get(key, "") for key in ("song", "split", "source")}, parts
