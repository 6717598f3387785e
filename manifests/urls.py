"""Reach folders of object stores, such as s3://bucket/prefix, by pathlib's methods; credentials are of the environment only.

Local folders are `Path`s, remote ones are `UPath`s of universal_pathlib, which have the same methods and are typed as `Path`s.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, cast

from instructme.manifests.paths import inside
from instructme.manifests.rows import DataError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_SECRET = re.compile(r"[^:/]+://([^/:@]*:.*@|[^?]*\?.*(sig|token|secret|password|key|credential)[^=]*=)", re.IGNORECASE)
"""A password before the host, or what signs a URL behind its `?`."""
THREADS = 16
"""Transfers are waited for, not computed."""
_BLOCK_BYTES = 1 << 16
"""What is fetched at once where only headers are read."""
_PACKAGES = "pip install 'instructme[cloud]'"
_ADVICE = "are name, credentials in the environment (for s3 AWS_ACCESS_KEY_ID and so on), their rights and the endpoint right?"


def is_url(text: str) -> bool:
    """Tell whether a text is a URL rather than a path."""
    return _URL.match(text) is not None


def is_remote(path: Path) -> bool:
    """Tell whether a path is one that `parse` made of a URL."""
    return not isinstance(path, Path)


def parse(text: str | Path) -> Path:
    """Turn a path, or a URL that fsspec understands, into an object with the methods of a `Path`; file:// is a local path.

    Raises:
        DataError: credentials in the URL, a kind of store that isn't known, or its package isn't installed.
    """
    if not isinstance(text, str):
        return text
    if not is_url(text):
        return Path(text)
    scheme, _, rest = text.partition("://")
    if _SECRET.match(text):
        raise DataError(f"credentials in a URL ({scheme}://...): give them in the environment, where no table or log keeps them")
    if scheme.lower() in ("file", "local"):
        return Path(rest)
    try:
        from upath import UPath

        path = UPath(f"{scheme.lower()}://{rest.rstrip('/')}")
        path.fs  # noqa: B018  finds the package of this kind of store
    except ImportError as error:
        raise DataError(f"{scheme}:// needs a package; that of s3:// comes with {_PACKAGES} ({_line(error)})") from None
    except ValueError as error:
        raise DataError(f"can't use {text}: {_line(error)}") from None
    return cast(Path, path)


def local(text: str | Path, what: str) -> Path:
    """Turn a string into a path that must be local; messages name it `what`.

    Raises:
        DataError: it is a URL.
    """
    place = parse(text)
    if is_remote(place):
        raise DataError(f"{what} can't be a URL: tables and parts need a local or shared folder; datasets and shards may be URLs")
    return place


def _line(error: object) -> str:
    """Write an error as one line, without what may be a password in the address of an endpoint."""
    return re.sub(r"//[^/@\s]*@", "//***@", " ".join(str(error).split()))


def failures() -> tuple[type[BaseException], ...]:
    """List the errors by which stores say what is wrong, those of the packages that are in use."""
    named = ("botocore.exceptions", "BotoCoreError"), ("botocore.exceptions", "ClientError"), ("aiohttp", "ClientError")
    return (OSError, *(getattr(sys.modules[module], name) for module, name in named if module in sys.modules))


def advice(error: BaseException) -> str:
    """Say in one line what a store refused, and what to look at."""
    return f"{_line(error)}: {_ADVICE}"


@contextmanager
def explained(place: Path) -> Iterator[None]:
    """Turn what a store refuses into one line that names the place; does nothing for a local one.

    Raises:
        DataError: no credentials, no rights, no such bucket, or the endpoint doesn't answer.
    """
    try:
        yield
    except failures() as error:
        # What the local disk refuses names a file.
        if not is_remote(place) or getattr(error, "filename", None):
            raise
        raise DataError(f"can't use {place}: {advice(error)}") from None


def look(place: Path) -> None:
    """Forget what was seen of a remote folder before, and list all below it: a thousand files by one request."""
    if is_remote(place):
        with explained(place):
            place.fs.invalidate_cache()  # type: ignore[attr-defined]
            place.fs.find(place.path)  # type: ignore[attr-defined]


def reopened(place: Path) -> Path:
    """Give a remote place a connection of this process, which may have been forked from the one that made it."""
    return parse(str(place)) if is_remote(place) else place


def read(path: Path, start: int, size: int) -> bytes:
    """Read bytes of a remote file."""
    remote: Any = reopened(path)
    with explained(path):
        return bytes(remote.fs.cat_file(remote.path, start=start, end=start + size))


def get(root: Path, names: Iterable[str], to: Path) -> None:
    """Copy files below a remote folder to the same places below a local one; those that aren't there are left out."""
    source: Any = root

    def copy(name: str) -> None:
        remote: Any = inside(root, name)
        target = inside(to, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            source.fs.get_file(remote.path, str(target))

    with explained(root), ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(copy, names))


def put(files: Iterable[Path], to: Path) -> None:
    """Copy local files into a remote folder, one after the other: each appears whole, the last may say that all are there."""
    with explained(to):
        for file in files:
            target: Any = to / file.name
            target.fs.put_file(str(file), target.path)


@contextmanager
def staged(place: Path, scratch: str | None = None) -> Iterator[Path]:
    """Give a folder to write to: a local place itself, or one in `scratch` whose files then go to a remote place, JSON last.

    Raises:
        DataError: the store refuses them.
    """
    with TemporaryDirectory(dir=scratch) if is_remote(place) else nullcontext(place) as folder:
        yield Path(folder)
        if is_remote(place):
            put(sorted(Path(folder).iterdir(), key=lambda path: (path.suffix == ".json", path.name)), place)


@contextmanager
def copied(place: Path, names: Iterable[str], scratch: str | None = None) -> Iterator[Path]:
    """Give a folder to read files from: a local place itself, or one in `scratch` with copies of those of a remote place.

    Raises:
        DataError: the store refuses them.
    """
    with TemporaryDirectory(dir=scratch) if is_remote(place) else nullcontext(place) as folder:
        if is_remote(place):
            get(place, names, Path(folder))
        yield Path(folder)


class _Ranges:
    """A file as libsndfile reads it, through callbacks that would print what goes wrong and forget it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell
        self.error: BaseException | None = None

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except failures() as error:
            self.error = error
            return b""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Give soundfile what it can open: a local file's path as it is, or a remote file of which little more is fetched than read.

    Raises:
        DataError: the store refuses it.
    """
    if not is_remote(path):
        yield path
        return
    remote: Any = path
    with explained(path), remote.open("rb", block_size=_BLOCK_BYTES, cache_type="blockcache") as file:
        ranges = _Ranges(file)
        try:
            yield ranges
        finally:
            if ranges.error:
                raise ranges.error
