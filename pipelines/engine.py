"""Run units of work on dask.distributed: a cluster of local processes, or the one at an address."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from manifests.rows import DataError

Unit = TypeVar("Unit")
Result = TypeVar("Result")


def cores() -> int:
    """Count the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _client(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    if scheduler:
        try:
            client = Client(scheduler, timeout="10s")
        except OSError as error:
            raise DataError(f"no Dask scheduler answers at {scheduler}: start one with 'dask scheduler' ({error})") from None
        with client:
            yield client
        return
    quiet = {"distributed.worker.memory.spill": False, "distributed.worker.memory.target": False}
    with (
        dask.config.set(quiet),
        LocalCluster(
            n_workers=workers or cores(),
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def run(
    function: Callable[[Unit], Result],
    units: Sequence[Unit],
    *,
    description: str,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Iterator[tuple[Unit, Result]]:
    """Apply a function to each unit on a cluster, with a progress bar on stderr.

    `function` and the units must be picklable; work lost with a worker is done again on another. Yields each unit with
    its result as it is finished, in no order that callers may rely on. An exception of the function ends the run.

    Raises:
        DataError: no scheduler at the address, or a unit that kills every worker it is given to.
    """
    from tqdm import tqdm

    if not units:
        return
    from distributed import KilledWorker, as_completed

    with _client(workers, scheduler) as client, tqdm(total=len(units), desc=description, unit="", dynamic_ncols=True) as bar:
        futures = dict(zip(client.map(function, units, pure=False), units, strict=True))
        try:
            for future in as_completed(futures):
                unit = futures.pop(future)
                yield unit, future.result()
                bar.update()
        except KilledWorker as error:
            raise DataError(
                f"{description}: workers died on one unit, probably for want of memory: use fewer --workers ({error})"
            ) from None
        finally:
            client.cancel(list(futures))
