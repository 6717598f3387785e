"""Find the folder of a run that edits, and read what it needs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instructme.manifests.tables import sha256
from instructme.model.checkpoint import CONFIG, DEFAULT_RUN, restore
from instructme.model.config import ModelError
from instructme.model.vae import Vae


def find_run(run: Path | str | None) -> Path:
    """Find the folder of a run: itself, that of the package for None, or that of OWNER/NAME in the hub's cache.

    Raises:
        ModelError: neither a folder nor on the hub.
    """
    if run is None:
        return DEFAULT_RUN
    name = str(run)
    if Path(run).exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return Path(run)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{run} is neither a folder nor a run on the Hugging Face hub that can be read ({reason})") from None


def separator_beside(run: Path) -> Path | None:
    """Find the separator in the folder of an editor that makes new sound; None if there is none."""
    return inside if (inside := run / "separator").is_dir() else None


def restore_vae(vae: Vae, run: Path, data: Mapping[str, Any]) -> None:
    """Load RUN/vae.safetensors, which must be the VAE that the run was trained with.

    Raises:
        ModelError: missing, damaged, or another one.
    """
    restore(vae, run, "vae")
    path = run / "vae.safetensors"
    if data.get("vae") not in (None, sha256(path)):
        raise ModelError(f"{path} isn't the VAE that this run was trained with: copy the run folder again")


def described(run: Path, data: Any) -> Mapping[str, Any]:
    """Check what a run says it was trained on."""
    kinds = {"tasks": list, "instruments": list, "genres": list, "templates": dict, "rms_db": float | int, "rms_range_db": list}
    if not isinstance(data, dict) or not all(isinstance(data[name], kind) for name, kind in kinds.items() if name in data):
        raise ModelError(f"{run / CONFIG} is damaged where it describes the data: copy the run folder again")
    return data
