"""The words that raters read, from `wording.yaml` of the study; with Table 6 of the paper."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from instructme.manifests.rows import DataError

SCALES = ("quality", "relevance", "harmony")
POINTS = (1, 2, 3, 4, 5)
Wording = Mapping[str, Any]


def default_wording() -> str:
    """Give the English words as YAML, to be copied into a study and translated there."""
    return (resources.files("instructme.pipelines.listening") / "wording.yaml").read_text("utf-8")


def read_wording(path: Path) -> Wording:
    """Read the words of a study; what the file lacks stays English.

    Raises:
        DataError: the file can't be read, or an entry isn't known.
    """
    words: dict[str, Any] = yaml.safe_load(default_wording())
    if not path.exists():
        return words
    try:
        own = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"can't read {path}: {str(error).splitlines()[0]}") from None
    for name, value in own.items() if isinstance(own, dict) else [(str(own), "")]:
        if type(value) is not type(words.get(name)):
            raise DataError(f"{path}: the entry {name} is unknown or has the wrong form; compare it with a new study")
        words[name] = {**words[name], **value} if isinstance(value, dict) else value
    return words


def anchors(words: Wording, scale: str, *, remix: bool = False, instruments: bool = True) -> list[tuple[int, str]]:
    """Give the five points of a scale and their texts (paper: Table 6), best first.

    remix: the task is a remix, not an atomic edit; instruments: the instruction names instruments, not a genre or mood.
    """
    kinds = {"relevance": "_instruments" if instruments else "_genre", "harmony": "_remix" if remix else "_atomic"}
    return list(zip(reversed(POINTS), reversed(words["points"][scale + kinds.get(scale, "")]), strict=True))
