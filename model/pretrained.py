"""Load published weights from files that the user has, and nothing else: no pickle, no network, no random weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from instructme.model.config import ModelError


def load(what: str, folder: Path, model_class: Any, *other_classes: Any) -> list[Any]:
    """Load a frozen model in float32, its tokeniser, and what else is asked for, in that order.

    Raises:
        ModelError: a file is missing or damaged, or doesn't hold all weights of this class; WHAT is its subject.
    """
    from safetensors import SafetensorError
    from transformers import AutoTokenizer

    problem = f"{what} can't be loaded: {folder} must hold config.json, tokenizer.json and model.safetensors"
    if not any((folder / file).is_file() for file in ("tokenizer.json", "spiece.model")):
        raise ModelError(f"{problem} (no tokenizer.json)")  # transformers would make up a vocabulary
    try:
        with _quiet():
            others = [each.from_pretrained(folder, local_files_only=True) for each in (AutoTokenizer, *other_classes)]
            model, loaded = model_class.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{problem} ({str(error).strip().splitlines()[0]})") from None
    if unloaded := sorted({*map(str, loaded["missing_keys"]), *map(str, loaded["mismatched_keys"])}):
        raise ModelError(f"{problem} ({len(unloaded)} weights aren't there, first {unloaded[0]}): is it another kind of model?")
    known = model.config.get_text_config().vocab_size
    if len(others[0]) > known:
        raise ModelError(f"{problem} (the tokeniser knows {len(others[0])} words, the model {known})")
    return [model.float().eval().requires_grad_(False), *others]


@contextmanager
def published(what: str, path: Path, file: str) -> Iterator[dict[str, Any]]:
    """Read the tensors of a published file for the block that puts them into a network.

    Args:
        what: name of the network.
        path: file of torch.
        file: name under which it is published.

    Raises:
        ModelError: no such file, or the block fails on what it holds.
    """
    import torch

    try:
        yield torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds
        words = " ".join(str(error).split())[:200]
        raise ModelError(f"can't read the weights of {what} {path}: {words}: give {file}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' bars and remarks off stderr; what matters of them becomes an error."""
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging  # it has no types
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
