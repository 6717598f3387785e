"""Encode shards beforehand: a tar of latents beside each shard, so that training the editor needs no VAE and no chord network."""

import io
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from instructme.dataset_tools.sharding import tar_file
from instructme.manifests import tables, urls
from instructme.manifests.files import atomic, sweep
from instructme.manifests.rows import DataError
from instructme.model.checkpoint import WEIGHTS, read_config, restore
from instructme.model.config import ModelError, Preset, override
from instructme.model.devices import check_device
from instructme.model.vae import Vae
from instructme.pipelines.data.chord_frames import chord_matrix
from instructme.pipelines.data.latent_reader import CHANGES, CHORDS, SIDES, misfit
from instructme.pipelines.data.shard_reader import ShardReader
from instructme.pipelines.data.stream import Triplets, load
from instructme.pipelines.processes import engine, resume

SPLITS = ("train", "validation")
"""Splits that training reads."""
_BATCH = 4
"""Triplets encoded at once."""
_SILENCE = -1


def latents(
    vae_run: Path,
    data: Path,
    *,
    work: Path | None = None,
    out: Path | None = None,
    splits: Sequence[str] = SPLITS,
    limit: int | None = None,
    device: str = "auto",
    settings: Sequence[str] = (),
    workers: int | None = None,
) -> dict[str, int]:
    """Encode the shards in `data` with the VAE of a run: fp16 `.npy` members in `latents-<split>-NNNNN.tar`, and a marker.

    A sample's members are `source` and `target` (C, F), where the preset predicts changes also `removed` and `added`, and where
    it has chords also `chords` (100, frames at 22050 / 512 Hz). Finished shards are kept; a shard's marker comes last.

    Args:
        vae_run: run of `train vae`; its preset decides which members are written.
        data: folder of shards.
        work: working folder of the shards, which holds the two instruments of each `replace`.
        out: folder of the tars; by default, that of the shards.
        splits: splits to encode.
        limit: largest number of shards of each split.
        device: `auto` (the GPU if there is one), or a device of torch.
        settings: changes of that preset, such as `unet.chords=false`.
        workers: processes that decode and find chords; one per core by default, 0 for none.

    Returns:
        Numbers of `shards` and `triplets` that were encoded, and of shards that were `kept`.

    Raises:
        DataError: see `Triplets`, or another command writes into the folder.
        ModelError: `vae_run` holds no VAE, `settings` change the VAE, a latent is not finite, or there is no such device.
    """
    trained, _ = read_config(vae_run, "vae")
    preset = override(trained, settings)
    if preset.vae != trained.vae:
        raise ModelError(
            f"--set can't change the VAE of {vae_run}, which is trained: train another one by 'instructme train vae'"
        )
    encode = _Encoder(trained, vae_run, device)
    digest = tables.sha256(vae_run / f"{WEIGHTS}.safetensors")
    folder = out or data
    if urls.is_remote(folder):
        cause = f"latents can't be written to {folder}"
        raise DataError(f"{cause}: give a local folder with -o, and the same to 'train editor' with --latents")
    counts = Counter(shards=0, triplets=0, kept=0)
    with resume.held(folder):
        for split in splits:
            clips = _Clips(data, split, preset, work)
            names, wanted = clips.shards.names[:limit], members(preset)
            todo = [name for name in names if misfit(folder, name, clips.shards.digest(name), digest, wanted)]
            resume.tell("latents", [folder / f"latents-{name}.json" for name in todo], f"{split} shard")
            counts["kept"] += len(names) - len(todo)
            for name, samples in _split(encode, clips, todo, engine.cores() if workers is None else workers):
                stated = {
                    "vae": digest,
                    "shard": clips.shards.digest(name),
                    "hop_samples": preset.hop_samples,
                    "sample_rate_hz": preset.sample_rate_hz,
                    "members": wanted,
                }
                counts.update(shards=1, triplets=_write(folder, name, samples, stated))
    return dict(counts)


def members(preset: Preset) -> tuple[str, ...]:
    """Name what a preset needs of each triplet."""
    changes = CHANGES if preset.diffusion.makes_changes else ()
    return (*SIDES, *changes, CHORDS) if preset.unet.chords else (*SIDES, *changes)


class _EncodingJob(NamedTuple):
    """The different waveforms of a triplet (n, 1, T), which of them each member is, and the chord matrix of the source."""

    key: str
    audio: Tensor
    places: dict[str, int]
    chords: Tensor | None


class _Clips(Dataset[_EncodingJob]):
    """Decode triplets and find their chords; runs in worker processes."""

    def __init__(self, data: Path, split: str, preset: Preset, work: Path | None) -> None:
        changes, chords = preset.diffusion.makes_changes, preset.unet.chords
        self.triplets = Triplets(data, split, preset, changes=changes, chords=chords, work=work)
        if not isinstance(self.triplets.read, ShardReader):
            raise DataError(f"latents lie beside shards, and {data} is a working folder: run 'instructme shard {data}' first")
        self.shards, self.split, self.preset = self.triplets.read, split, preset

    def __getitem__(self, row: int) -> _EncodingJob:
        clip, audio = self.triplets.waveforms(row)
        different = {id(samples): samples for samples in audio.values() if samples.any()}
        order = {each: place for place, each in enumerate(different)}
        places = {name: order.get(id(samples), _SILENCE) for name, samples in audio.items()}
        stacked = np.stack([*different.values()]) if different else np.zeros((0, len(clip.source)), dtype=np.float32)
        rate_hz, wanted = self.preset.sample_rate_hz, self.preset.unet.chords
        chords = torch.from_numpy(chord_matrix(clip.source, rate_hz)) if wanted else None
        return _EncodingJob(clip.key, torch.from_numpy(stacked[:, None]), places, chords)


class _Encoder:
    """Turn clips into the members of their samples."""

    def __init__(self, preset: Preset, run: Path, device: str) -> None:
        vae = Vae(preset.vae)
        restore(vae, run)
        found = "cuda" if torch.cuda.is_available() else "cpu"
        device = found if device == "auto" else device
        check_device(device)
        self._run, self._device = run, torch.device(device)
        self._vae = vae.eval().requires_grad_(False).to(self._device)
        self._silence = self._latent(torch.zeros(1, 1, round(preset.clip_seconds * preset.sample_rate_hz)))[0]

    def __call__(self, clips: Sequence[_EncodingJob]) -> Iterator[tuple[str, dict[str, bytes]]]:
        audio = torch.cat([clip.audio for clip in clips])
        encoded = self._latent(audio) if len(audio) else ()
        first = 0
        for clip in clips:
            own = [*encoded[first : first + len(clip.audio)], self._silence]  # so that place -1 is silence
            fields = {f"{name}.npy": _npy(own[place]) for name, place in clip.places.items()}
            yield clip.key, fields | ({} if clip.chords is None else {f"{CHORDS}.npy": _npy(clip.chords.numpy())})
            first += len(clip.audio)

    def _latent(self, audio: Tensor) -> npt.NDArray[np.float16]:
        """Encode (n, 1, T) to (n, C, F)."""
        with torch.inference_mode():
            encoded: npt.NDArray[np.float16] = self._vae.to_latent(audio.to(self._device)).to(torch.float16).cpu().numpy()
        if not np.isfinite(encoded).all():
            raise ModelError(f"the VAE of {self._run} makes latents that aren't finite numbers: train it again")
        return encoded


def _split(
    encode: _Encoder, clips: _Clips, todo: Sequence[str], workers: int
) -> Iterator[tuple[str, Iterator[tuple[str, dict[str, bytes]]]]]:
    """Yield each shard with its samples, which must be taken before the next one; workers go on over the end of a shard."""
    rows = {name: clips.shards.rows(name) for name in todo}
    chunks = {name: [own[first : first + _BATCH] for first in range(0, len(own), _BATCH)] for name, own in rows.items()}
    if todo and clips.preset.unet.chords:
        chord_matrix(np.zeros(22050, dtype=np.float32), 22050)  # workers inherit the network
    batches = load(clips, itertools.chain(*chunks.values()), workers=workers, collate_fn=list)
    total = sum(map(len, rows.values()))
    with tqdm(total=total, desc=f"latents {clips.split}", unit="triplet", dynamic_ncols=True) as bar:
        for name, each in chunks.items():
            samples = itertools.chain.from_iterable(map(encode, itertools.islice(batches, len(each))))
            yield name, _counted(samples, bar)


def _counted(samples: Iterable[tuple[str, dict[str, bytes]]], bar: Any) -> Iterator[tuple[str, dict[str, bytes]]]:
    for sample in samples:
        yield sample
        bar.update()


def _write(folder: Path, name: str, samples: Iterable[tuple[str, dict[str, bytes]]], stated: dict[str, Any]) -> int:
    """Write the tar of a shard, then its marker. Returns the number of samples."""
    tar, marker = folder / f"latents-{name}.tar", folder / f"latents-{name}.json"
    marker.unlink(missing_ok=True)
    sweep(folder, tar.stem)
    with atomic(tar) as temporary:
        places = tar_file.write_tar(temporary, samples, [f"{member}.npy" for member in stated["members"]])
    count, layout = _layout(tar, list(places.values()), stated["members"])
    resume.write(marker, {**stated, **layout, "samples": count, "files": resume.hashes([tar])})
    return count


def _layout(tar: Path, places: Sequence[tuple[int, int]], members: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """Count samples and find how members lie in each, which must be the same in all: offset and size of each, and the stride."""
    samples = [places[first : first + len(members)] for first in range(0, len(places), len(members))]
    first, stride = samples[0], (samples[1][0][0] - samples[0][0][0] if len(samples) > 1 else tar.stat().st_size)
    for number, sample in enumerate(samples):
        if sample != [(offset + number * stride, size) for offset, size in first]:
            raise DataError(
                f"{tar} has members of different sizes: ids of triplets are too long, or clips differ in length; run pair again"
            )
    return len(samples), {"stride_bytes": stride, "members": dict(zip(members, map(list, first), strict=True))}


def _npy(array: npt.NDArray[np.float16]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
