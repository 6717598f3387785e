"""Read the latents that `train latents` wrote beside the shards, if they were made by the same VAE."""

import functools
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from instructme.manifests import urls
from instructme.manifests.rows import DataError
from instructme.pipelines.data.byte_ranges import Ranges
from instructme.pipelines.data.shard_reader import HELD, ShardReader

SIDES = ("source", "target")
CHANGES = ("removed", "added")
CHORDS = "chords"
Arrays = dict[str, npt.NDArray[np.float16]]


class LatentReader:
    """The latents of one split, row by row as its shards.

    Raises:
        DataError: a shard has none, or those of another VAE, of other audio, or without what is wanted; names the first.
    """

    def __init__(self, shards: ShardReader, folder: Path, vae: str, wanted: Sequence[str]) -> None:
        self.folder, self.wanted = folder, tuple(wanted)
        self._shards, self._vae = shards, vae
        for name in shards.names:
            if problem := misfit(folder, name, shards.digest(name), vae, wanted):
                raise DataError(f"{name}: {problem}")

    def values(self, row: int) -> dict[str, Any]:
        """Read the row of the shard's index."""
        return self._shards.values(row)

    def arrays(self, row: int) -> Arrays:
        """Read what is wanted of a row: source, target, removed, added (C, F) and chords (100, frames), all fp16.

        Raises:
            DataError: the file is damaged.
        """
        shard, place = self._shards.place(row)
        return _open(urls.reopened(self.folder), self._shards.names[shard], self._vae, self.wanted).arrays(place)


def misfit(folder: Path, name: str, shard: str, vae: str, wanted: Sequence[str]) -> str | None:
    """Say why the latents of a shard can't stand for its audio; None if they can.

    `shard` and `vae` are the SHA-256 of the shard's marker and of the VAE's weights.
    """
    stated = _marker(folder, name)
    if stated is None:
        return "no latents"
    if stated.get("vae") != vae:
        return "latents of another VAE"
    if stated.get("shard") != shard:
        return "latents of other audio"
    missing = sorted(set(wanted) - set(stated["members"]))
    return f"latents without {missing[0]}" if missing else None


def _marker(folder: Path, name: str) -> dict[str, Any] | None:
    """Read the marker of a shard's latents; None if they aren't finished."""
    try:
        stated: dict[str, Any] = json.loads((folder / f"latents-{name}.json").read_text())
        tar = stated["files"][f"latents-{name}.tar"]
        whole = tar["bytes"] == (folder / f"latents-{name}.tar").stat().st_size
        return stated if whole and isinstance(stated["members"], dict) and isinstance(stated["stride_bytes"], int) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


class _Tar:
    """An open tar of latents. All samples have members of the same size, so that places follow from the marker."""

    def __init__(self, folder: Path, name: str, wanted: Sequence[str]) -> None:
        self._path = folder / f"latents-{name}.tar"
        stated = _marker(folder, name)
        if stated is None:
            raise DataError(f"can't read {self._path}: run 'instructme train latents' again")
        self._members = {name: stated["members"][name] for name in wanted}
        self._stride = stated["stride_bytes"]
        self._tar = Ranges(self._path)

    def arrays(self, place: int) -> Arrays:
        """Read all members of a sample at once."""
        blob = self._tar.read(place * self._stride, self._stride)
        try:
            return {name: array(blob[offset : offset + size]) for name, (offset, size) in self._members.items()}
        except (ValueError, EOFError, TypeError) as error:
            raise DataError(f"damaged latents: {self._path}: run 'instructme train latents' again ({error})") from None


def array(npy: bytes) -> npt.NDArray[np.float16]:
    """Read a member of a tar of latents: finite float16 (channels, frames).

    Raises:
        ValueError, EOFError: it is damaged.
    """
    values: npt.NDArray[np.float16] = np.load(io.BytesIO(npy), allow_pickle=False)
    if values.dtype != np.float16 or values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(f"it holds {values.dtype} {values.shape}, not finite float16 (channels, frames)")
    return values


@functools.lru_cache(maxsize=HELD)
def _open(folder: Path, name: str, vae: str, wanted: tuple[str, ...]) -> _Tar:
    """Open a tar once per process, VAE and what is wanted."""
    return _Tar(folder, name, wanted)
