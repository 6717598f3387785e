"""MuQ-MuLan (H. Zhu et al., 2025), an open MuLan, as a joint embedding, where the package `muq` is installed."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from instructme.model.config import ModelError
from instructme.model.resample import resample


class Mulan(nn.Module):
    """Pretrained towers; clips that are longer than the model's 10 s are cut by itself, shorter ones are repeated."""

    def __init__(self, folder: Path) -> None:
        """Load a folder with config.json and model.safetensors; the files of its towers come from the hub or its cache.

        Raises:
            ModelError: no package `muq`, or a file is missing or damaged.
        """
        super().__init__()
        if find_spec("muq") is None:
            raise ModelError(f"{folder} holds MuQ-MuLan, which needs its package: pip install muq")
        if not (folder / "model.safetensors").is_file():
            raise ModelError(f"no model.safetensors in {folder}: download it again; other formats aren't read")
        from muq import MuQMuLan  # type: ignore[import-not-found]
        from safetensors import SafetensorError

        try:
            model: Any = MuQMuLan.from_pretrained(str(folder))
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"MuQ-MuLan can't be loaded from {folder} ({str(error).strip().splitlines()[0]})") from None
        self.model = model.eval().requires_grad_(False)

    def audio(self, audio: Tensor, rate_hz: int) -> Tensor:
        """Embed audio (B, 1, T) of any length and rate: unit vectors (B, W), with gradients."""
        samples = resample(audio, rate_hz, self.model.sr)[:, 0]
        repeats = -(-self.model.sr * self.model.clip_secs // samples.shape[1])
        if repeats > 1:
            samples = samples.repeat(1, repeats)[:, : self.model.sr * self.model.clip_secs]
        return F.normalize(self.model(wavs=samples), dim=1)

    def text(self, texts: Sequence[str]) -> Tensor:
        """Embed texts: unit vectors (B, W)."""
        with torch.no_grad():
            return F.normalize(self.model(texts=list(texts)), dim=1)
