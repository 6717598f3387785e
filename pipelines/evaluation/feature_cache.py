"""Keep features on disk, by the content of the audio and the version of what computed them."""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from instructme.dataset_tools.audio import Samples
from instructme.manifests.files import atomic

Arrays = dict[str, Any]


def digest(samples: Samples) -> str:
    """Hash the samples of a sound."""
    return hashlib.sha256(np.ascontiguousarray(samples, dtype=np.float32).tobytes()).hexdigest()[:32]


def cached(folder: Path | None, key: str, version: str, compute: Callable[[], Arrays]) -> Arrays:
    """Read arrays from `folder`, or compute and keep them there; without a folder only compute.

    key: of the audio, see `digest`. version: of the recogniser and of its settings.
    """
    if folder is None:
        return compute()
    path = folder / key[:2] / f"{key}.{hashlib.sha256(version.encode()).hexdigest()[:8]}.npz"
    try:
        with np.load(path, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError):  # missing, or cut by a full disk
        pass
    arrays = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
    return arrays
