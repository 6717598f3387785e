"""CLAP (Y. Wu et al., 2023) as a joint embedding, from a folder of transformers' `ClapModel`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from instructme.model import pretrained
from instructme.model.resample import resample
from instructme.model.spectrum import mel_power


class Clap(nn.Module):
    """Pretrained towers; the frames of `ClapFeatureExtractor` are computed in torch, so that gradients reach the audio."""

    filters: Tensor
    window: Tensor

    def __init__(self, folder: Path) -> None:
        """Load a folder with config.json, preprocessor_config.json, tokeniser files and model.safetensors.

        Raises:
            ModelError: a file is missing, damaged or of another model.
        """
        from transformers import ClapFeatureExtractor, ClapModel

        super().__init__()
        self.model, self._tokeniser, self._frames = pretrained.load("CLAP", folder, ClapModel, ClapFeatureExtractor)
        fusion = self._frames.truncation == "fusion"
        filters = self._frames.mel_filters if fusion else self._frames.mel_filters_slaney
        self._copies = 4 if fusion else 1
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)
        self.register_buffer("window", torch.hann_window(self._frames.fft_window_size), persistent=False)

    def audio(self, audio: Tensor, rate_hz: int) -> Tensor:
        """Embed audio (B, 1, T) of any rate: unit vectors (B, W); the mean of windows of 10 s that cover a longer clip."""
        audio = resample(audio, rate_hz, self._frames.sampling_rate)[:, 0]
        window = self._frames.nb_max_samples
        if audio.shape[1] < window:
            audio = audio.repeat(1, window // audio.shape[1])
            audio = F.pad(audio, (0, window - audio.shape[1]))
        count = -(-audio.shape[1] // window)
        starts = torch.linspace(0, audio.shape[1] - window, count).round().long().tolist()
        embedded = [self._window(audio[:, start : start + window]) for start in starts]
        return F.normalize(torch.stack(embedded).mean(dim=0), dim=1)

    def text(self, texts: Sequence[str]) -> Tensor:
        """Embed texts: unit vectors (B, W)."""
        inputs = self._tokeniser(list(texts), padding=True, truncation=True, return_tensors="pt").to(self.window.device)
        with torch.no_grad():
            return F.normalize(_tensor(self.model.get_text_features(**inputs)), dim=1)

    def _window(self, audio: Tensor) -> Tensor:
        powers = mel_power(audio, self.window, self._frames.hop_length, self.filters, "reflect")
        decibels = 10 * torch.log10(powers.clamp(min=1e-10))
        longer = torch.zeros(len(audio), 1, dtype=torch.bool, device=audio.device)
        heard = self.model.get_audio_features(input_features=decibels[:, None].repeat(1, self._copies, 1, 1), is_longer=longer)
        return F.normalize(_tensor(heard), dim=1)


def _tensor(features: Any) -> Tensor:
    """Take the embedding; transformers 5 returns it as a field."""
    found: Tensor = features if isinstance(features, Tensor) else features.pooler_output
    return found
