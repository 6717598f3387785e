"""Read bytes of a file by their place, here or in an object store, in any number of forked processes."""

import os
import weakref
from pathlib import Path

from instructme.manifests import urls


class Ranges:
    """A file of `size` bytes. `pread` moves no position, so forked workers may share a local one.

    Raises:
        OSError: it can't be opened.
        DataError: the store refuses it.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, -1
        if urls.is_remote(path):
            with urls.explained(path):
                self.size = int(path.stat().st_size)
            return
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        self.size = os.fstat(self._file).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Read so many bytes from a place on; fewer where the file ends.

        Raises:
            DataError: the store refuses it.
        """
        if self._file < 0:
            return urls.read(self._path, offset, size)
        return os.pread(self._file, size, offset)
