"""Run units of work: in this process, on a Dask cluster of local processes, or on the one at an address."""

import asyncio
import functools
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, TypeVar

from instructme.manifests.rows import DataError
from instructme.pipelines.processes import cluster

Unit = TypeVar("Unit")
Result = TypeVar("Result")
_SETTINGS = {
    # A worker holds only the unit that it works on, so that a death is blamed on no other.
    "distributed.scheduler.worker-saturation": 1.0,
    # Units bound their own memory; a worker that waits for room would wait for ever.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.profile.enabled": False,
    # Nannies see the death of a worker at once. One that is silent waits for its turn on a busy machine.
    "distributed.scheduler.worker-ttl": None,
    "distributed.comm.timeouts.connect": "10 minutes",
    "distributed.deploy.lost-worker-timeout": "1 day",
    # Every process of Dask's looks 50 times a second how late its loop is, which is a tenth of a core on a busy machine.
    "distributed.admin.tick.interval": "500ms",
    # Dask has malloc give back every array, and the kernel clear it again for the next: a fifth of the time of `prepare`.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 1 << 27,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 1 << 27,
}
_STARTS = 3
"""How often starting workers is tried."""


def cores() -> int:
    """Count the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def scratch() -> str | None:
    """Name the folder for temporary files of the worker that this runs on, which Dask clears away; None elsewhere."""
    distributed = sys.modules.get("distributed")  # a worker has imported it
    try:
        return str(distributed.get_worker().local_directory) if distributed else None
    except ValueError:
        return None


async def _stop(cluster: Any) -> None:
    """Give every worker half a second to end, then kill it: units leave nothing half-written behind.

    The scheduler forgets all units first: a result that is still wanted when its worker ends is computed anew on another.
    """
    for name, client in cluster.scheduler.clients.items():
        cluster.scheduler.client_releases_keys([task.key for task in client.wants_what], name)
    await asyncio.gather(*(_end(nanny) for nanny in list(cluster.workers.values())))


async def _end(nanny: Any) -> None:
    """End a worker; it is dead even where a busy machine takes longer to clear it away than Dask waits for that."""
    with suppress(TimeoutError):
        await nanny.close(timeout=0.5)


@contextmanager
def _local(workers: int) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster
    from distributed.system import MEMORY_LIMIT

    # A shell that starts us in the background has us ignore Ctrl-C; long work must always be stoppable.
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    start = functools.partial(
        LocalCluster,
        n_workers=workers,
        threads_per_worker=1,
        memory_limit=MEMORY_LIMIT // workers,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )
    # Ctrl-C in a terminal reaches all processes. Workers leave it to this one: they block what the thread that starts them does,
    # which the start of multiprocessing's resource tracker would undo there.
    resource_tracker.ensure_running()
    deaf = ThreadPoolExecutor(1, initializer=signal.pthread_sigmask, initargs=(signal.SIG_BLOCK, {signal.SIGINT}))
    with dask.config.set(_SETTINGS), deaf, _started(deaf, start) as cluster, Client(cluster) as client:
        try:
            yield client
        finally:
            cluster.sync(_stop, cluster)


def _started(thread: ThreadPoolExecutor, start: Callable[[], Any]) -> Any:
    """Start a cluster in a thread; again if a worker dies before it has begun, of which Dask only knows to give up."""
    for _ in range(_STARTS - 1):
        with suppress(RuntimeError):
            return thread.submit(start).result()
    try:
        return thread.submit(start).result()
    except RuntimeError as error:
        raise DataError(f"workers die while they start ({error}): is there memory for them? Use fewer --workers") from None


def run(
    function: Callable[[Unit], Result],
    units: Sequence[Unit],
    *,
    description: str,
    item: str,
    workers: int | None = None,
    scheduler: str | None = None,
    shared: Sequence[Path] = (),
    lost: Callable[[Unit], Result] | None = None,
) -> Iterator[tuple[Unit, Result]]:
    """Apply a function to each unit, with a progress bar on stderr.

    Yields each unit with its result as it is finished. The order depends on chance, so callers may not rely on it. An exception
    of the function ends the run, and so does Ctrl-C. No process is left behind.

    With `workers=0` the units run in this process, one after the other. Otherwise they run on Dask: the function and the units
    must be picklable, and a script that calls this needs the usual `if __name__ == "__main__"`. Work lost with a worker is
    done again on another.

    Args:
        function: turns a unit into its result.
        units: the work.
        description: the name on the progress bar.
        item: what a unit is called there, such as `track`.
        workers: local processes, by default one per core; 0 for none.
        scheduler: address of a Dask cluster to use instead. The cluster decides itself how many workers there are.
        shared: files that all machines of the cluster must see as this process does.
        lost: makes the result of a unit that killed every worker it was given to. Without it such a unit ends the run.

    Raises:
        DataError: no scheduler at the address or one that ends, its workers are of no use for this, or a unit kills every
            worker it is given to.
    """
    from tqdm import tqdm

    if not units:
        return
    progress = functools.partial(tqdm, total=len(units), desc=description, unit=item, dynamic_ncols=True)
    if workers == 0 and not scheduler:
        with progress() as bar:
            for unit in units:
                yield unit, function(unit)
                bar.update()
        return
    from distributed import KilledWorker, as_completed

    reached = cluster.connected(scheduler) if scheduler else _local(min(workers or cores(), len(units)))
    function = cluster.checked(function, shared) if scheduler else function
    with reached as client, progress() as bar:
        futures = dict(zip(client.map(function, units, pure=False, batch_size=1000), units, strict=True))
        try:
            for future in as_completed(futures):
                unit = futures.pop(future)
                try:
                    result = future.result()
                except (KilledWorker, MemoryError):
                    if lost is None:
                        cause = f"{description}: workers died on {unit!s:.200}: probably for want of memory; use fewer --workers"
                        raise DataError(cause) from None
                    result = lost(unit)
                yield unit, result
                bar.update()
        finally:
            client.cancel(list(futures))
