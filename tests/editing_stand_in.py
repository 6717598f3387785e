"""Make an editor without trained networks: what it does to sound besides is exact, and can be tested so."""

import math

import numpy as np
import torch

from instructme.model.config import override
from instructme.model.joint_windows import JointWindows, continued
from instructme.model.presets import TINY
from instructme.pipelines.editing.editor import Editor

RATE = 8000
HOP = 80
PRESET = override(
    TINY,
    ["sample_rate_hz=8000", "clip_seconds=2.0", "unet.chords=false", f"vae.latent_channels={HOP}", f"vae.hop_samples={HOP}"],
)


class Frames:
    """A lossless stand-in for the VAE: a latent frame is the samples themselves."""

    def to_latent(self, audio):
        """Cut (B, 1, T) into (B, HOP, F)."""
        length = audio.shape[-1]
        return torch.nn.functional.pad(audio, (0, -length % HOP)).reshape(len(audio), -1, HOP).mT

    def from_latent(self, latent, length):
        """Put frames together again: (B, 1, T)."""
        return latent.mT.reshape(len(latent), 1, -1)[..., :length]


def stand_in(removed=0.0, added=0.0, heard=None, preset=PRESET, data=None):
    """Make an editor whose changes are shares of what it hears, or functions of the chunk."""

    def denoise(chunks, done):
        made = []
        for chunk in chunks:
            if heard is not None:
                heard.append(chunk)
            parts = [part(chunk) if callable(part) else part * chunk.source for part in (removed, added)]
            made.append(torch.cat(parts, dim=1) if preset.diffusion.predict != "target" else parts[1])
        windows = JointWindows([(chunk.first - chunks[0].first, chunk.source.shape[-1]) for chunk in chunks])
        yield continued(windows.join(made), done), 1.0

    return Editor(preset, Frames(), denoise, data=data)


def music(seconds, channels=2, rate=RATE, seed=0, level=0.05):
    """Noise below 3 kHz, a little different in each channel."""
    random = np.random.default_rng(seed)
    length = max(1, round(seconds * rate))
    spectrum = np.fft.rfft(random.standard_normal((length, channels)), axis=0)
    spectrum[np.fft.rfftfreq(length, 1 / rate) > 3000] = 0
    return (level * np.fft.irfft(spectrum, length, axis=0)).astype(np.float32)


def tone(hz, seconds=3.0, rate=RATE, level=0.2):
    return (level * np.sin(2 * math.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)
