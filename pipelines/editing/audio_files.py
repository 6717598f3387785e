"""Audio files of any length and format in bounded memory."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, NamedTuple, cast

import numpy as np
import soundfile
import soxr

from instructme.dataset_tools import broken_headers
from instructme.dataset_tools.audio import Samples, peak, write_blocks
from instructme.dataset_tools.stems import chained, gaps
from instructme.manifests.rows import DataError
from instructme.manifests.tables import atomic

BLOCK = 1 << 18
"""Samples of each channel that are read, resampled or written at once."""
_SUFFIXES = {"aif": "AIFF", "oga": "OGG"}
_FORMATS = ("WAV", "FLAC", "OGG", "MP3", "AIFF", "CAF", "AU", "W64", "RF64")
_LOSSY = ("OGG", "MP3")
_HIGHEST = 1e12
"""More than any integer format holds unscaled; much higher, and squares overflow."""
_LARGEST_WAV_BYTES = 4_000_000_000


_FINE = 0.1
"""libsndfile's level of compression for MP3 and OGG: 200 to 350 kbit/s, so that a song can be edited again and again."""


class Kind(NamedTuple):
    """What a file is: its rate, libsndfile's name of its sample format, and its tags, such as title and artist."""

    rate_hz: int
    subtype: str
    tags: Mapping[str, str] = MappingProxyType({})


class Scratch:
    """Float audio (n, channels) on disk, in a file without a name that vanishes with the process."""

    def __init__(self, channels: int, folder: Path | None = None) -> None:
        self.channels, self.folder = channels, folder
        self.peak = 0.0
        self._frames = 0
        self._file = cast(BinaryIO, tempfile.TemporaryFile(dir=folder))  # noqa: SIM115

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, span: slice) -> Samples:
        start, stop, _ = span.indices(self._frames)
        self._file.seek(start * self.channels * 4)
        read = np.frombuffer(self._file.read(max(0, stop - start) * self.channels * 4), dtype=np.float32)
        return read.reshape(-1, self.channels)

    def append(self, block: Samples) -> None:
        """Add (n, channels) at the end."""
        self._file.seek(0, 2)
        self._file.write(np.ascontiguousarray(block, dtype=np.float32).tobytes())
        self._frames += len(block)
        self.peak = max(self.peak, peak(block))

    def blocks(self) -> Iterator[Samples]:
        """Yield all of it."""
        for start in range(0, self._frames, BLOCK):
            yield self[start : start + BLOCK]


def decode(path: Path, folder: Path | None = None, rate_hz: int | None = None) -> tuple[Scratch, Kind]:
    """Decode a file to its end, whatever length its header states, and resample it to `rate_hz` if asked.

    Raises:
        DataError: missing, a folder, not audio, empty, truncated, or with samples that aren't finite.
    """
    if not path.is_file():
        raise DataError(f"no such audio file: {path}: give a file, such as song.wav")
    try:
        with soundfile.SoundFile(broken_headers.opened(path)) as file:
            # Title, artist and the like; the software is that of the source.
            tags = {name: text for name, text in file.copy_metadata().items() if text and name != "software"}
            kind = Kind(file.samplerate, file.subtype, tags)
            scratch = Scratch(file.channels, folder)
            stream = soxr.ResampleStream(file.samplerate, rate_hz or file.samplerate, file.channels, dtype="float32")
            same, ended = rate_hz in (None, file.samplerate), False
            decoded = 0
            while not ended:
                block = file.read(BLOCK, dtype="float32", always_2d=True)
                decoded, ended = decoded + len(block), not len(block)
                if not (np.abs(block) < _HIGHEST).all():
                    raise DataError(f"{path} holds NaN, infinite or far too large samples: export it again")
                scratch.append(block if same else stream.resample_chunk(block, last=ended))
            expected = file.frames
    except RuntimeError as error:
        raise DataError(f"can't read audio: {path}: {error}: give a WAV, FLAC, OGG or MP3 file") from None
    if decoded < 0.98 * expected:  # headers of MP3 may promise up to a percent too much
        raise DataError(f"truncated audio: {path}: it holds {decoded} of {expected} frames: copy or download it again")
    if not len(scratch):
        raise DataError(f"{path} holds no samples: export it again")
    return scratch, kind


def doubts(path: Path) -> list[str]:
    """List in one line each why the sound of a file that was decoded may not be all of it, or may be more than it states."""
    with path.open("rb") as file:
        wrong = broken_headers.look(file).wrong_length
    found = [wrong, chained.DETAIL if chained.is_chained(path) else None, gaps.DETAIL if gaps.lacks_pieces(path) else None]
    return [f"{path}: {detail}" for detail in found if detail]


def encode(path: Path, blocks: Iterable[Samples], kind: Kind, frames: int, channels: int) -> None:
    """Write blocks (n, channels) to a file, atomically; its suffix decides the format, which keeps subtype and tags if it can.

    Raises:
        DataError: the format is unknown, or can't hold this rate or so many channels.
        OSError: the disk refuses it.
    """
    form = check_format(path)
    subtype = _subtype(form, kind.subtype)
    if form == "WAV" and frames * channels * 4 > _LARGEST_WAV_BYTES:
        form = "RF64"
    with atomic(path) as temporary, _told(path, kind, channels):
        level = _FINE if form in _LOSSY else None
        write_blocks(temporary, blocks, kind.rate_hz, channels, subtype, form, tags=kind.tags, compression_level=level)


def check_writable(path: Path, kind: Kind, channels: int) -> None:
    """Check that a format holds audio of this rate and so many channels, before it is made.

    Raises:
        DataError: it doesn't.
    """
    form = check_format(path)
    with _told(path, kind, channels):
        soundfile.SoundFile(BytesIO(), "w", kind.rate_hz, channels, _subtype(form, kind.subtype), format=form).close()


@contextmanager
def _told(path: Path, kind: Kind, channels: int) -> Iterator[None]:
    try:
        yield
    except soundfile.LibsndfileError as error:
        what = f"{channels} channels at {kind.rate_hz} Hz ({error.error_string.rstrip('.')})"
        raise DataError(f"can't write {path} with {what}: write a .wav") from None


def check_format(path: Path) -> str:
    """Name libsndfile's format of a file that shall be written.

    Raises:
        DataError: none that describes itself has this suffix, or the path is a folder.
    """
    suffix = path.suffix.lower().removeprefix(".")
    form = _SUFFIXES.get(suffix, suffix.upper())
    if form not in _FORMATS or path.is_dir():
        raise DataError(f"can't write {path}: give a file name that ends with .wav, .flac or .ogg")
    return form


def _subtype(form: str, wanted: str) -> str:
    """Keep a sample format; a codec's only where it is the format's own: libsndfile's WAVs can't hold the MP3 they promise."""
    plain = wanted.startswith("PCM") or wanted in ("FLOAT", "DOUBLE", "ULAW", "ALAW")
    if (plain or form in _LOSSY) and soundfile.check_format(form, wanted):
        return wanted
    deep = wanted in ("FLOAT", "DOUBLE", "PCM_32") and soundfile.check_format(form, "PCM_24")
    return "PCM_24" if deep else str(soundfile.default_subtype(form))
