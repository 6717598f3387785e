"""Read shards from front to back for training, in an order that depends only on seed, ranks and step.

Each rank has `LANES` lanes. Each lane reads one shard at a time. The batch of step n comes from lane n modulo `LANES`. Each epoch
has its own order of shards. The shards of all epochs are dealt to the lanes of all ranks in turn, so no shard is left out, and
one lane may begin the next epoch before another. Within a shard, samples are drawn from a buffer of `BUFFER`. Each shard fills
the buffer again.

A run that continues at step n does not open the shards that are finished. It reads the current shard of each lane from the
beginning, and drops the samples that were used, without decoding them. So its batches are the same as without a break, bit for
bit. With another number of ranks the order changes: of the current epochs, some samples then come twice, and others later.
"""

from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from typing import Any

import numpy as np
import numpy.typing as npt
from torch.utils.data import IterableDataset, default_collate, get_worker_info

from instructme.manifests import urls
from instructme.manifests.rows import DataError
from instructme.pipelines.data.latent_reader import array
from instructme.pipelines.data.order import rank_share
from instructme.pipelines.data.shard_reader import Encoded, ShardReader, TripletAudio, audio_of, described_as
from instructme.pipelines.data.stream import Item, Triplets, load
from instructme.pipelines.data.tar_stream import shard_order, tar_samples

LANES = 4
"""Shards that a rank reads side by side."""
BUFFER = 100
"""Encoded samples that a lane holds and draws from: about 60 MB of clips of 10 s."""


def lane(sizes: npt.NDArray[np.int64], seed: int, number: int, numbers: int, taken: int) -> Iterator[tuple[int, int, int]]:
    """Name the shards that lane `number` of `numbers` reads after `taken` samples, without end.

    Yields:
        epoch, shard, and how many of its samples are taken already: above 0 for the first one only.
    """
    turns = ((epoch, shard) for epoch in count() for shard in shard_order(seed, epoch, len(sizes)))
    for epoch, shard in islice(turns, number, None, numbers):
        if taken < sizes[shard]:
            yield epoch, shard, taken
        taken = max(taken - int(sizes[shard]), 0)


class SequentialBatches(IterableDataset[Item]):
    """A rank's share of global batches first_step, first_step + 1, ..., collated.

    Raises:
        DataError: the data are no shards, or ranks can't share a batch equally.
    """

    def __init__(self, triplets: Triplets, first_step: int, rank: int, ranks: int, *, batch_size: int, seed: int) -> None:
        if not isinstance(triplets.read, ShardReader):
            raise DataError(
                "the sequential order needs shards, but the data are recipes: run 'instructme shard', or use --order exact"
            )
        self._triplets, self._shards, self._seed = triplets, triplets.read, seed
        self._first, self._rank, self._ranks, self._size = first_step, rank, ranks, batch_size
        self._share = rank_share(batch_size, ranks)

    def __iter__(self) -> Iterator[Item]:
        """Yield the batches that fall to this worker: in turn, as `DataLoader` asks for them."""
        information = get_worker_info()
        worker, workers = (information.id, information.num_workers) if information else (0, 1)
        share = self._share
        lanes: dict[int, Iterator[Any]] = {}
        for step in count(self._first + worker, workers):
            own = step % LANES
            if own not in lanes:
                lanes[own] = self._read(own * self._ranks + self._rank, step // LANES * share)
            numbers = step * self._size + self._rank * share + np.arange(share)
            yield default_collate([make(number) for number, make in zip(numbers.tolist(), lanes[own], strict=False)])

    def _read(self, number: int, taken: int) -> Iterator[Any]:
        """Read the samples of a lane: functions that make an item of a sample number."""
        for epoch, shard, skipped in lane(self._shards.sizes, self._seed, number, self._ranks * LANES, taken):
            yield from islice(self._shuffled(epoch, shard), skipped, None)

    def _shuffled(self, epoch: int, shard: int) -> Iterator[Any]:
        import webdataset

        samples = self._of(shard)
        seed = int(np.random.default_rng([self._seed, epoch, shard]).integers(2**31))
        return iter(webdataset.detshuffle(BUFFER, BUFFER, seed=seed).run(samples))

    def _of(self, shard: int) -> Iterator[Any]:
        """Read a shard, or its latents: what makes the item of each sample, in the order of the tar."""
        name, first = self._shards.names[shard], self._shards.rows(self._shards.names[shard]).start
        latents = self._triplets.latents
        folder = urls.reopened(latents.folder if latents else self._shards.folder)
        path = folder / (f"latents-{name}.tar" if latents else f"{name}.tar")
        held = None if latents else self._shards.tar_bytes[shard]
        for place, sample in enumerate(tar_samples(path, int(self._shards.sizes[shard]), held)):
            yield partial(self._latent_item if latents else self._audio_item, first + place, sample)

    def _audio_item(self, row: int, sample: Encoded, number: int) -> Item:
        described = described_as(sample)

        def read(start: int, length: int) -> TripletAudio:
            source, target = (audio_of(sample, side, start, length)[0] for side in ("source", "target"))
            names = sample["__key__"], described["task"], described["instruction"]
            return TripletAudio(*names, source, target, described["gain"], described["target_gain"])

        return self._triplets.audio_item(row, number, read)

    def _latent_item(self, row: int, sample: Encoded, number: int) -> Item:
        latents, values = self._triplets.latents, self._shards.values(row)
        assert latents
        try:
            if values["triplet_id"] != sample["__key__"]:
                raise ValueError(f"{sample['__key__']} is in the place of {values['triplet_id']}")
            arrays = {name: array(sample[f"{name}.npy"]) for name in latents.wanted}
        except (ValueError, EOFError, KeyError) as error:
            raise DataError(f"damaged latents: {sample['__url__']}: run 'instructme train latents' again ({error})") from None
        return self._triplets.latent_item(number, values, arrays)


def sequential_batches(
    triplets: Triplets,
    first_step: int = 0,
    rank: int = 0,
    ranks: int = 1,
    *,
    batch_size: int,
    seed: int = 0,
    workers: int = 0,
) -> Iterator[Item]:
    """Yield this rank's share of global batches first_step, first_step + 1, ... without end, from shards read front to back.

    Batches depend on seed and ranks, but not on workers. The text of this module describes their order.

    Raises:
        DataError: the data are no shards, ranks can't share a batch equally, or a sample can't be read.
    """
    chosen = SequentialBatches(triplets, first_step, rank, ranks, batch_size=batch_size, seed=seed)
    # Each lane is read by one worker: the largest number that divides them.
    used = max((each for each in range(1, workers + 1) if LANES % each == 0), default=0)
    return load(chosen, workers=used, batch_size=None)
