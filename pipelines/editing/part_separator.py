"""Take named parts out of music of any length, rate and number of channels with a trained separator."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from instructme.dataset_tools.audio import Samples, resample
from instructme.manifests.rows import DataError
from instructme.model.checkpoint import read_config, restore
from instructme.model.devices import check_device
from instructme.model.masks import follow
from instructme.model.recurring import settled_mask
from instructme.model.separator import Separator
from instructme.pipelines.editing.channels import fitted

BLOCK_S, CONTEXT_S, FADE_S = 24, 2, 1
"""Music is done in blocks; each hears this much on both sides of it, and is faded into the next."""
ABSENT, PRESENT = 0.2, 0.4
"""Probabilities of presence under which a part is silent, and over which it is as the network made it."""
_WEAK = "frames"
"""The network whose masks are settled; a larger one is to hear by itself what comes again."""
_HOLD_S = 0.25
"""A part that is present at a moment is let through so long before and after it."""


class Audio(Protocol):
    """An array (n, channels), or an object that is read like one."""

    def __len__(self) -> int: ...
    def __getitem__(self, span: slice, /) -> Samples: ...


class PartSeparator:
    """A trained separator, ready to use."""

    def __init__(self, network: Separator, device: str | torch.device = "cpu") -> None:
        self._network, self._device = network.eval().requires_grad_(False).to(device), torch.device(device)
        self.instruments = network.config.instruments

    @classmethod
    def load(cls, run: Path, device: str | torch.device = "cpu") -> "PartSeparator":
        """Load a run folder that `train separator` wrote.

        Raises:
            ModelError: no such run, damaged, or no such device.
        """
        preset, _ = read_config(run, "separator")
        check_device(device)
        network = Separator(preset.separator)
        restore(network, run)
        return cls(network.float(), device)

    def parts(
        self, audio: Audio, rate_hz: int, instruments: Sequence[str], start_s: float = 0.0, end_s: float = math.inf
    ) -> Iterator[Samples]:
        """Yield the sum of the named parts block by block: together as long as the audio, (n, channels).

        Each channel is separated by itself, so that parts keep their place in the stereo image.

        Args:
            audio: (n, channels) float samples.
            rate_hz: any rate.
            instruments: names of `self.instruments`.
            start_s: blocks that end before this second are zeros, which takes no time.
            end_s: so are blocks that start after this one.

        Raises:
            DataError: see `check`.
        """
        self.check(instruments)
        asked = torch.tensor([self.instruments.index(name) for name in instruments], device=self._device)
        hop, context, fade = BLOCK_S * rate_hz, CONTEXT_S * rate_hz, FADE_S * rate_hz
        pending = np.zeros((0, audio[:1].shape[1]), np.float32)
        for start in range(0, len(audio), hop):
            first, stop = max(0, start - context), min(len(audio), start + hop + fade)
            if start_s * rate_hz < stop and start < end_s * rate_hz:
                heard = np.asarray(audio[first : min(len(audio), stop + context)], np.float32)
                part = self._part(heard, rate_hz, asked)[start - first : stop - first]
            else:
                part = np.zeros((stop - start, pending.shape[1]), np.float32)
            rise = np.linspace(0, 1, len(pending) + 2, dtype=np.float32)[1:-1, None]
            part[: len(pending)] = pending + rise * (part[: len(pending)] - pending)
            pending = part[hop:].copy()
            yield part[:hop]

    def check(self, instruments: Sequence[str]) -> None:
        """Check that the separator knows instruments.

        Raises:
            DataError: one that it does not know.
        """
        if unknown := sorted(set(instruments) - set(self.instruments)):
            known = ", ".join(self.instruments[:8])
            raise DataError(f"this editor does not know {unknown[0]}: it knows {known} and {len(self.instruments[8:])} more")

    @torch.no_grad()
    def _part(self, audio: Samples, rate_hz: int, asked: Tensor) -> Samples:
        """Separate (n, channels) that is heard at once."""
        model_hz = self._network.config.sample_rate_hz
        channels = np.ascontiguousarray(audio.T)
        heard = np.stack([resample(each, rate_hz, model_hz) for each in channels])
        if not np.abs(heard).max(initial=0.0):
            return np.zeros_like(audio)
        sound = self._at_model_rate(torch.from_numpy(heard).to(self._device), asked).cpu().numpy()
        if rate_hz == model_hz:
            return np.ascontiguousarray(sound.T)
        low, whole = (
            np.stack([fitted(resample(each, model_hz, rate_hz), len(audio)) for each in both]) for both in (sound, heard)
        )
        high = [_high(*each, rate_hz, model_hz) for each in zip(channels, whole, low, strict=True)]
        return np.ascontiguousarray((low + np.stack(high)).T)

    def _at_model_rate(self, mixes: Tensor, asked: Tensor) -> Tensor:
        """Separate (channels, T): the sum of all that is asked for. A sound that comes again gets the same share each time."""
        spectrum = self._network.stft(mixes)
        mask, presence = self._network(spectrum, asked.expand(len(mixes), -1))
        rate_hz = self._network.config.sample_rate_hz / self._network.config.hop_samples
        total = (mask * gate(presence, spectrum.shape[-1], rate_hz)[:, :, None]).sum(dim=1)
        total = total / total.abs().clamp(min=1.0)
        if self._network.config.network == _WEAK:
            total = settled_mask(spectrum, total)
        return self._network.istft(spectrum * total, mixes.shape[-1])


def gate(presence: Tensor, frames: int, rate_hz: float) -> Tensor:
    """Turn logits of presence (channels, Q, blocks) into gains (channels, Q, frames): 0 where an instrument is absent.

    All channels share a gate, so that a part does not jump from side to side.
    """
    chance = presence.sigmoid().amax(dim=0, keepdim=True)
    chance = functional.interpolate(chance, size=frames, mode="nearest")
    reach = 2 * max(1, round(_HOLD_S * rate_hz)) + 1
    held = functional.max_pool1d(chance, reach, 1, reach // 2)
    gain = ((held - ABSENT) / (PRESENT - ABSENT)).clamp(0, 1)
    smooth = functional.avg_pool1d(functional.pad(gain, (2, 2), mode="replicate"), 5, 1)
    return smooth.expand(len(presence), -1, -1)


def _high(channel: Samples, whole: Samples, part: Samples, rate_hz: int, model_hz: int) -> Samples:
    """Estimate what a part has of the sound that resampling lost: as large a share as in the octave below it."""
    rest, old, new = (torch.from_numpy(each)[None] for each in (channel - whole, whole, part))
    return follow(rest, old, new, rate_hz, min(rate_hz, model_hz) / 2)[0].numpy()
