"""Read, resample, measure and write audio: float32 `(T,)` everywhere in the data code, or `(T, 2)` where it is stereo."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools import broken_headers
from instructme.manifests.files import atomic
from instructme.manifests.rows import DataError

if TYPE_CHECKING:
    import soundfile

Samples = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]
"""Samples as part files hold them: 16 bit, `(T,)` or `(T, 2)`."""
FLOOR_DB = -120.0
STEP = 1.0 / 32768.0
"""One 16-bit step."""
_BLOCK_FRAMES = 1 << 18
SOFT_BITS = 2.0**-8
"""Peak of samples that don't use their highest 8 bits."""
_LOUDEST = 2.0**31
"""Some float files hold integers; the sum of many larger samples might be infinite."""
_CANCELLED = 0.03
"""Share of the channels' power below which their mean is what opposite channels leave (-15 dB)."""


class OppositeChannelsError(DataError):
    """Channels that cancel each other out: one of them is the music."""


@contextmanager
def opened(path: Path) -> "Iterator[soundfile.SoundFile]":
    """Open a sound file, also one whose header states a wrong length.

    Raises:
        DataError: it is missing, or can't be opened or decoded.
    """
    import soundfile

    try:
        with soundfile.SoundFile(broken_headers.opened(path)) as file:
            yield file
    except (OSError, RuntimeError) as error:  # soundfile's own errors are of the second kind
        raise DataError(f"can't read audio: {path}: {error}") from None


def read(
    path: Path, rate_hz: int | None = None, start: int = 0, length: int | None = None, *, channel: int | None = None
) -> Samples:
    """Read a file, or `length` frames from `start` at the file's own rate, as mono at `rate_hz`; see `stream`.

    Returns:
        (T,) float32.

    Raises:
        DataError: missing, unreadable, truncated, or with samples that are no audio.
        OppositeChannelsError: the channels cancel each other out.
    """
    return np.concatenate([*stream(path, rate_hz, start, length, channel=channel)])


def stream(
    path: Path,
    rate_hz: int | None = None,
    start: int = 0,
    length: int | None = None,
    *,
    channel: int | None = None,
    channels: int = 1,
    report: "DecodingReport | None" = None,
) -> Iterator[Samples]:
    """Read a file in blocks, one at least: `(T,)` mono, or `(T, 2)` with 2 `channels`.

    For mono, channels are averaged, or one `channel` is taken. For stereo, files of two channels stay as they are; of others, the
    mono signal goes to both sides. Resampling is soxr's high quality and runs over the whole excerpt. Memory is bounded by the
    result: files of many channels or a high rate are decoded in blocks. The `report` notes what is seen of the file.

    Raises:
        DataError, OppositeChannelsError: see `read`; after the last block where the samples are at fault.
    """
    report = report or DecodingReport()
    with opened(path) as file:
        file.seek(start)
        expected = file.frames - start
        yield from _decoded(file, rate_hz, expected if length is None else length, channel, channels, report)
    # MP3 headers may promise up to a percent too much.
    if length is None and report.frames < 0.98 * expected:
        raise DataError(f"truncated audio: {path}: it holds {report.frames} of {expected} frames; copy or download it again")
    if report.senseless:
        raise DataError(f"not audio: {path}: it holds NaN or infinite samples, or far too large values")
    if report.mean_power + report.power > 0 and report.mean_power < _CANCELLED * report.power:
        raise OppositeChannelsError(f"opposite channels: {path}: their mean is silent though each of them sounds")


def unused_bits(path: Path) -> int:
    """Count the highest bits that no 24- or 32-bit sample of a file uses while the lowest are in use: 8, 16, or 0 for none.

    Samples of 24 bits that lie at the low end of 32 are 48 dB too soft. Loud ones come within 24 dB of their own full scale.
    """
    with opened(path) as file:
        bits, high, low = {"PCM_24": 24, "PCM_32": 32}.get(file.subtype, 0), 0, 0
        while bits and len(block := file.read(_BLOCK_FRAMES, dtype="int32", always_2d=True) >> 32 - bits):
            high |= int(np.bitwise_or.reduce(block ^ (block >> 31), axis=None))
            low |= int(np.bitwise_or.reduce(block & 0xFF, axis=None))
    used = high.bit_length() if low else 0
    return next((unused for unused in (8, 16) if bits - unused >= 16 and bits - unused - 4 < used < bits - unused), 0)


@dataclass
class DecodingReport:
    """What was seen while a file was decoded: frames, the power of its channels and of their mean, and whether it is no audio.

    `hear` takes each block of the file as it is.
    """

    frames: int = 0
    power: float = 0.0
    mean_power: float = 0.0
    senseless: bool = False
    hear: Callable[[Samples], None] | None = None

    @property
    def likeness(self) -> float:
        """How alike two channels are: 1 for equal ones, 0 for those that share nothing, -1 for opposite ones."""
        return 2 * self.mean_power / self.power - 1 if self.power else 1.0


def _decoded(
    file: "soundfile.SoundFile", rate_hz: int | None, frames: int, channel: int | None, channels: int, report: DecodingReport
) -> Iterator[Samples]:
    """Decode in blocks, average channels where the file has others than are wanted, and resample."""
    import soxr

    same = rate_hz in (None, file.samplerate)
    stereo = channels == file.channels == 2 and channel is None
    resampler = soxr.ResampleStream(file.samplerate, rate_hz or file.samplerate, 2 if stereo else 1, dtype="float32")

    def given(samples: Samples) -> Samples:
        # Written so that NaN fails, too.
        report.senseless |= not peak(samples) <= _LOUDEST
        return samples if stereo else in_channels(samples, channels)

    while len(block := file.read(min(_BLOCK_FRAMES, frames - report.frames), dtype="float32", always_2d=True)):
        if report.hear:
            report.hear(block)
        if file.channels == 1 or channel is not None:
            mean = block[:, channel or 0]
        else:
            mean = sum(block.T[1:], block[:, 0]) / np.float32(file.channels)
            report.power += float(np.vdot(block, block)) / file.channels
            report.mean_power += float(np.vdot(mean, mean))
        heard = block if stereo else mean
        yield given(heard if same else resampler.resample_chunk(heard))
        report.frames += len(block)
    nothing = silence(0, 2 if stereo else 1)
    yield given(nothing if same else resampler.resample_chunk(nothing, last=True))


def silence(length: int, channels: int) -> Samples:
    """Make `(length,)` of zeros, or `(length, channels)` for more than one."""
    return np.zeros(length if channels == 1 else (length, channels), dtype=np.float32)


def in_channels(samples: Samples, channels: int) -> Samples:
    """Lay mono `(T,)` on both sides, `(T, 2)`, where 2 `channels` are wanted."""
    return samples if channels == 1 else np.repeat(samples[:, None], channels, axis=1)


def mono(samples: Samples) -> Samples:
    """Average the channels of `(T, 2)`; mono `(T,)` stays."""
    return samples if samples.ndim == 1 else samples.mean(axis=1)


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Resample `(T,)` with soxr (HQ); the length becomes ceil(T * to / from). What has the rate already stays as it is."""
    if from_hz == to_hz:
        return np.asarray(samples, dtype=np.float32)
    import soxr

    return np.asarray(soxr.resample(samples, from_hz, to_hz), dtype=np.float32)


def to_int16(samples: npt.NDArray[np.float32 | np.float64 | np.int16]) -> npt.NDArray[np.int16]:
    """Round float samples to 16 bit; what lies outside the range is clipped, and what is 16 bit stays."""
    if samples.dtype == np.int16:
        return samples.astype(np.int16, copy=False)
    scaled = samples * np.float32(32768)
    np.clip(np.rint(scaled, out=scaled), -32768, 32767, out=scaled)
    return scaled.astype(np.int16)


def encode_flac(samples: npt.NDArray[np.float32 | np.int16], rate_hz: int) -> bytes:
    """Encode `(T,)` or `(T, 2)`, float or already 16 bit, as 16-bit FLAC."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, to_int16(samples), rate_hz, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def write_flac(path: Path, samples: npt.NDArray[np.float32 | np.int16], rate_hz: int) -> None:
    """Write `(T,)` or `(T, 2)`, float or already 16 bit, as 16-bit FLAC, atomically."""
    write_flac_blocks(path, [to_int16(samples)], rate_hz, 1 if samples.ndim == 1 else samples.shape[1])


def write_flac_blocks(path: Path, blocks: Iterable[Pcm], rate_hz: int, channels: int) -> None:
    """Write blocks that follow each other, `(T,)` or `(T, 2)`, as one 16-bit FLAC, atomically."""
    with atomic(path) as temporary:
        write_blocks(temporary, blocks, rate_hz, channels, "PCM_16", "FLAC")


def write_blocks(
    path: Path,
    blocks: Iterable[Samples | Pcm],
    rate_hz: int,
    channels: int,
    subtype: str,
    file_format: str,
    *,
    tags: Mapping[str, str] | None = None,
    compression_level: float | None = None,
) -> None:
    """Write blocks that follow each other, `(T,)` or `(T, channels)`, in a format of libsndfile, with the tags that it can hold.

    Raises:
        OSError: the disk refuses them. libsndfile alone doesn't always say so.
    """
    import soundfile

    with io.FileIO(path, "w") as raw:
        disk = _Disk(raw)
        level = compression_level
        with soundfile.SoundFile(disk, "w", rate_hz, channels, subtype, format=file_format, compression_level=level) as file:
            for name, text in (tags or {}).items():
                with suppress(soundfile.LibsndfileError):  # AU has no tags
                    setattr(file, name, text)
            for block in blocks:
                file.write(block)
                disk.check()
        disk.check()


class _Disk:
    """A file for libsndfile that keeps the error of a disk, such as a full one, until it is asked for."""

    def __init__(self, file: io.FileIO) -> None:
        self._file, self.seek, self.tell = file, file.seek, file.tell
        self._error: OSError | None = None

    def write(self, block: bytes) -> int:
        try:
            rest = memoryview(block)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._error = self._error or error
        return len(block)

    def check(self) -> None:
        if self._error:
            raise self._error


def db(amplitude: float) -> float:
    """Convert an amplitude to dBFS, -120 at least."""
    return float(20.0 * np.log10(max(float(amplitude), 1e-6)))


def power_db(power: float) -> float:
    """Convert a power, or a share of one, to dB, -240 at least."""
    return float(10.0 * np.log10(max(float(power), 1e-24)))


def rms_db(samples: Samples) -> float:
    """Measure the RMS in dBFS, -120 for silence or no samples."""
    return db(np.sqrt(np.mean(np.square(samples), dtype=np.float64))) if len(samples) else FLOOR_DB


def peak(samples: Samples) -> float:
    """Find the largest absolute sample, 0 for no samples."""
    return float(max(samples.max(initial=0), -samples.min(initial=0)))


def peak_db(samples: Samples) -> float:
    """Measure the sample peak in dBFS, -120 for silence or no samples."""
    return db(peak(samples))
