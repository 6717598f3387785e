"""Measure how fast triplets stream into training, beside plain webdataset on the same shards, and recipes beside shards.

    python tests/benchmarks/stream.py SHARDS [--work WORK] [--vae RUN] [--workers 2] [--batches 60] [--rounds 5] [--store]

All decode both sides of whole clips with the same function, in as many worker processes, into equal batches. Rounds of all
alternate, and the medians of their ratios are printed, because a shared machine's speed changes within minutes. With --work
the recipes are rendered on the fly; with --vae the latents of that run are read, if they are there.
With --store the shards are copied to moto's S3 server on loopback, and both orders of `train` are compared there.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import webdataset
from torch.utils.data import default_collate

from instructme.dataset_tools.sharding import tar_file
from instructme.manifests import tables, urls
from instructme.model import checkpoint
from instructme.model.presets import TINY
from instructme.pipelines.data.sequential import sequential_batches
from instructme.pipelines.data.stream import Triplets, batches


def decode(sample: dict[str, Any]) -> dict[str, Any]:
    sides = {side: torch.from_numpy(tar_file.decode(sample[f"{side}.flac"])[0])[None] for side in ("source", "target")}
    return {"key": sample["__key__"], "json": sample["json"].decode(), **sides}


def plain(folder: Path, batch_size: int, workers: int) -> Iterator[Any]:
    """Read the tars with webdataset, shards shuffled, samples in the order of the tar: the least that it can do."""
    tars = sorted(str(path) for path in folder.glob("train-?????.tar"))
    dataset = webdataset.WebDataset(tars, shardshuffle=100, empty_check=False)
    dataset = dataset.repeat().map(decode).batched(batch_size, collation_fn=default_collate)
    yield from webdataset.WebLoader(dataset, batch_size=None, num_workers=workers)


def rate(stream: Iterator[Any], count: int, batch_size: int) -> float:
    """Count triplets per second, after a first batch from each worker."""
    for _ in range(4):
        next(stream)
    start = time.perf_counter()
    for _ in range(count):
        next(stream)
    taken = count * batch_size / (time.perf_counter() - start)
    stream.close()
    return taken


def first_batch(triplets: Triplets, step: int, batch_size: int) -> float:
    """Time how long it takes to resume at a step."""
    start = time.perf_counter()
    next(batches(triplets, step, batch_size=batch_size))
    return time.perf_counter() - start


def from_store(folder: Path, size: int, workers: int, count: int, rounds: int) -> None:
    """Print how fast both orders read from moto's server, and their ratio in the same rounds."""
    import logging
    import os

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    settings = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}
    os.environ.update({f"AWS_{name}": value for name, value in settings.items()})
    os.environ["AWS_ENDPOINT_URL"] = "http://{}:{}".format(*server.get_host_and_port())
    place = urls.parse("s3://bench/shards")
    place.fs.mkdir("bench")  # type: ignore[attr-defined]
    urls.put(sorted(path for path in folder.iterdir() if path.suffix in (".tar", ".parquet", ".json")), place)
    triplets = Triplets(place, "train", TINY)
    rates: dict[str, list[float]] = {"exact": [], "sequential": []}
    for turn in range(rounds):
        for name, read in (("exact", batches), ("sequential", sequential_batches)):
            rates[name].append(rate(read(triplets, 8 * turn, batch_size=size, workers=workers), count, size))
    for name, each in rates.items():
        print(f"store, {name:10} {statistics.median(each):7.1f} triplets/s, {workers} workers")
    print(f"store, sequential / exact: {statistics.median(np.divide(rates['sequential'], rates['exact'])):.2f}")
    server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--vae", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batches", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--store", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    size, workers = chosen.batch_size, chosen.workers
    if chosen.store:
        return from_store(chosen.shards, size, workers, chosen.batches, chosen.rounds)
    opened = {"shards": Triplets(chosen.shards, "train", TINY)}
    if chosen.work:
        opened["recipes"] = Triplets(chosen.work, "train", TINY)
    if chosen.vae:
        preset, _ = checkpoint.read_config(chosen.vae, "vae")
        vae = tables.sha256(chosen.vae / f"{checkpoint.WEIGHTS}.safetensors")
        opened["latents"] = Triplets(chosen.shards, "train", preset, chords=preset.unet.chords, vae=vae)
        print(f"latents: {opened['latents'].note}")
    makers: dict[str, Callable[[int], Iterator[Any]]] = {"webdataset": lambda _: plain(chosen.shards, size, workers)}
    for name, triplets in opened.items():
        makers[name] = lambda turn, triplets=triplets: batches(triplets, 1000 * turn, batch_size=size, workers=workers)
    rates: dict[str, list[float]] = {name: [] for name in makers}
    for turn in range(chosen.rounds):
        for name in makers if turn % 2 else reversed(makers):
            rates[name].append(rate(makers[name](turn), chosen.batches, size))
    for name, each in rates.items():
        ratio = statistics.median(np.divide(each, rates["webdataset"]))
        print(f"{name:10} {statistics.median(each):7.1f} triplets/s, {ratio:.2f} of webdataset's rate, {workers} workers")
    for name, triplets in opened.items():
        print(f"{name:10} {first_batch(triplets, 10**6, size):7.2f} s until the first batch from step 1,000,000")


if __name__ == "__main__":
    main()
