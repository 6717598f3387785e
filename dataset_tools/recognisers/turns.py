"""Let processes take turns where librosa compiles.

Two processes that fill numba's disk cache together can leave a file in it that takes down every process that loads it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock

from instructme.dataset_tools.recognisers.weights import cache

_had: set[str] = set()


@contextmanager
def first_use(what: str) -> Iterator[None]:
    """Hold a lock, shared by all processes of this user, while this process does something with librosa for the first time."""
    if what in _had:
        yield
        return
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "librosa.lock"):
        yield
    _had.add(what)
