"""Read shards from front to back with webdataset, which is fast on object stores and hard disks."""

import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypedDict, cast

import numpy as np

from instructme.manifests import extras
from instructme.manifests.counting import counted
from instructme.manifests.rows import DataError
from instructme.manifests.urls import explained, is_remote, parse
from instructme.pipelines.data.shard_reader import Encoded, ShardReader, audio_of, described_as

if TYPE_CHECKING:
    from webdataset import DataPipeline

    from instructme.dataset_tools.audio import Samples

_BLOCK_BYTES = 1 << 24
"""What is fetched at once from a store."""


class StreamedTriplet(TypedDict):
    """A triplet as `open_shards` gives it. `source` and `target` are `(T,)` float32, or `(2, T)`; `json` is its whole JSON."""

    key: str
    task: str
    instruction: str
    sample_rate_hz: int
    source: "Samples"
    target: "Samples"
    json: dict[str, Any]


def open_shards(
    urls: str | Path | Sequence[str | Path],
    *,
    split: str = "train",
    shuffle: int = 0,
    seed: int = 0,
    epochs: int | None = 1,
) -> "DataPipeline":
    """Open shards as a webdataset pipeline that reads whole tars and yields decoded triplets; see `StreamedTriplet`.

    Nodes (RANK and WORLD_SIZE in the environment, or torch.distributed) and workers of the `DataLoader` share the shards. Each
    node takes every n-th shard, and continues to count in the next epoch. If the number of shards is no multiple of the number
    of nodes, some nodes read one shard more in an epoch. To train on several nodes, pass `epochs=None` and count steps. Workers
    without a shard read nothing, and the other workers of their node read all.

    Example:
        ```python
        import webdataset
        from instructme import open_shards

        triplets = open_shards("s3://bucket/shards", shuffle=200, epochs=None)
        loader = webdataset.WebLoader(triplets, batch_size=16, num_workers=4)

        validation = open_shards("work/shards/validation-{00000..00003}.tar")
        ```

    Args:
        urls: a finished folder of shards, a list of tars, or a name with braces; paths or URLs.
        split: split to read from a folder. It does not apply to lists and braces.
        shuffle: size of the buffer that samples are drawn from. Above 0, shards are shuffled too. 0 keeps the order.
        seed: seed of the order of shards and samples. Each epoch has another order.
        epochs: number of passes over all shards. None means no end.

    Raises:
        DataError: there are no such shards, or, while reading, a shard is missing, damaged or not made by `instructme shard`, or
            there are fewer shards than nodes.
        ModuleNotFoundError: webdataset needs torch; the message names the extra.
    """
    with extras.named():
        import webdataset

    turns = partial(_turns, _tars(urls, split), seed if shuffle else None, epochs)
    mixed = webdataset.detshuffle(shuffle, shuffle, seed=seed) if shuffle else None
    split_up = webdataset.split_by_node, webdataset.split_by_worker
    return webdataset.DataPipeline(turns, *split_up, _samples, partial(_again, mixed), webdataset.map(_decoded))


def _again(stage: Any, samples: Iterator[Encoded]) -> Iterator[Encoded]:
    """Run a shuffle as if for the first time, so that each pass has the same order."""
    if stage is None:
        return samples
    stage.epoch = -1
    return cast(Iterator[Encoded], stage.run(samples))


def _turns(tars: Sequence[Mapping[str, Any]], seed: int | None, epochs: int | None) -> Iterator[dict[str, Any]]:
    """Name the tars of each epoch, in an order of its own where there is a seed.

    They have their places as `url`, and where it is known `size` and `tar_bytes`. One that is there twice is read twice.
    """
    from webdataset.utils import pytorch_worker_info

    _, nodes, _, _ = pytorch_worker_info()
    if epochs is not None and len(tars) * epochs < nodes:
        few = f"{counted(len(tars), 'shard')} can't be shared by {nodes} nodes: some would read nothing"
        raise DataError(f"{few}; choose epochs=None, or write smaller shards with 'instructme shard --per-shard'")
    for epoch in count() if epochs is None else range(epochs):
        order = range(len(tars)) if seed is None else shard_order(seed, epoch, len(tars))
        yield from (dict(tars[place]) for place in order)


def shard_order(seed: int, epoch: int, shards: int) -> list[int]:
    """Draw the order of shards in an epoch."""
    order: list[int] = np.random.default_rng([seed, epoch]).permutation(shards).tolist()
    return order


def _tars(urls: str | Path | Sequence[str | Path], split: str) -> list[dict[str, Any]]:
    """List the tars, with what a folder's index tells of them: the number of their samples, and their size."""
    if isinstance(urls, Sequence) and not isinstance(urls, str):
        tars = [str(each) for each in urls]
    elif str(urls).endswith(".tar"):
        from webdataset.shardlists import expand_urls

        tars = [str(urls)] if Path(str(urls)).is_file() else expand_urls(str(urls))
    else:
        reader = ShardReader(parse(str(urls)) if isinstance(urls, str) else urls, split)
        told = zip(reader.names, reader.sizes, reader.tar_bytes, strict=True)
        return [{"url": str(reader.folder / f"{name}.tar"), "size": int(size), "tar_bytes": held} for name, size, held in told]
    if not tars:
        raise DataError("the list of shards is empty: give at least one tar")
    return [{"url": tar} for tar in tars]


def _samples(shards: Iterable[Mapping[str, Any]]) -> Iterator[Encoded]:
    for shard in shards:
        yield from tar_samples(parse(shard["url"]), shard.get("size"), shard.get("tar_bytes"))


def tar_samples(path: Path, size: int | None = None, tar_bytes: int | None = None) -> Iterator[Encoded]:
    """Read the samples of a tar in its order, without decoding them.

    Raises:
        DataError: it is missing or damaged, holds another number of samples than `size`, or is another shard of that size.
    """
    from webdataset.tariterators import group_by_keys, tar_file_expander

    number = 0
    with explained(path):
        try:
            with _open(path) as stream:
                for sample in group_by_keys(tar_file_expander([{"url": str(path), "stream": stream}])):
                    number += 1
                    yield sample
        except FileNotFoundError:
            raise DataError(f"no such shard: {path}: check its name, or run 'instructme shard' again") from None
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise DataError(f"damaged shard: {path}: run 'instructme shard' again ({error.args[0]})") from None
    if size in (None, number) and tar_bytes not in (None, path.stat().st_size):
        raise DataError(f"{path} isn't the shard that index.json lists: run 'instructme shard' again")
    if size not in (None, number):
        raise DataError(f"damaged shard: {path} holds {number} samples, not {size}: run 'instructme shard' again")


def _open(path: Path) -> AbstractContextManager[BinaryIO]:
    if not is_remote(path):
        return path.open("rb")
    remote: Any = path
    return cast("AbstractContextManager[BinaryIO]", remote.open("rb", block_size=_BLOCK_BYTES, cache_type="readahead"))


def _decoded(sample: Encoded) -> StreamedTriplet:
    described = described_as(sample)
    channels = described.get("channels", 1)
    (source, rate_hz), (target, _) = (audio_of(sample, side, channels=channels) for side in ("source", "target"))
    return StreamedTriplet(
        key=sample["__key__"],
        task=described["task"],
        instruction=described["instruction"],
        sample_rate_hz=rate_hz,
        source=source,
        target=target,
        json=described,
    )
