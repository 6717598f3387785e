"""Read, resample, measure and write audio: float32 `(T,)` everywhere in the data code, or `(T, 2)` where it is stereo."""

import io
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
_LOUDEST = 2.0**31
"""Some float files hold integers; the sum of many larger samples might be infinite."""


_CANCELLED = 0.03
"""Share of the channels' power below which their mean is what opposite channels leave (-15 dB)."""


class OppositeChannelsError(DataError):
    """Channels that cancel each other out: one of them is the music."""


def read(
    path: Path,
    rate_hz: int | None = None,
    start: int = 0,
    length: int | None = None,
    *,
    channel: int | None = None,
    channels: int = 1,
) -> Samples:
    """Read a file, or `length` frames from `start` at the file's own rate, at `rate_hz`: as mono, or as stereo with 2 `channels`.

    For mono, channels are averaged, or one `channel` is taken. For stereo, files of two channels stay as they are; of others, the
    mono signal goes to both sides. Resampling is soxr's high quality and runs over the whole excerpt. Memory is bounded by the
    result: files of many channels or a high rate are decoded in blocks.

    Returns:
        (T,) float32, or (T, 2) with 2 `channels`.

    Raises:
        DataError: missing, unreadable, truncated, or with samples that are no audio.
        OppositeChannelsError: the channels cancel each other out.
    """
    import soundfile

    try:
        with soundfile.SoundFile(broken_headers.opened(path)) as file:
            file.seek(start)
            expected = file.frames - start
            wanted = expected if length is None else length
            samples, decoded, cancelled = _decoded(file, rate_hz, wanted, channel, channels)
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise DataError(f"can't read audio: {path}: {error}") from None
    # MP3 headers may promise up to a percent too much.
    if length is None and decoded < 0.98 * expected:
        raise DataError(f"truncated audio: {path}: it holds {decoded} of {expected} frames; copy or download it again")
    # Written so that NaN fails, too.
    if not peak(samples) <= _LOUDEST:
        raise DataError(f"not audio: {path}: it holds NaN or infinite samples, or levels beyond all reason")
    if cancelled:
        raise OppositeChannelsError(f"opposite channels: {path}: their mean is silent though each of them sounds")
    return samples


def _decoded(
    file: "soundfile.SoundFile", rate_hz: int | None, frames: int, channel: int | None, channels: int
) -> tuple[Samples, int, bool]:
    """Decode in blocks, average channels where the file has others than are wanted, and resample.

    Returns:
        The samples, how many frames were decoded, and whether the channels cancel each other out.
    """
    import soxr

    same = rate_hz in (None, file.samplerate)
    stereo = channels == file.channels == 2 and channel is None
    stream = soxr.ResampleStream(file.samplerate, rate_hz or file.samplerate, 2 if stereo else 1, dtype="float32")
    nothing = silence(0, 2 if stereo else 1)
    done, decoded = [nothing], 0
    power = mean_power = 0.0
    while len(block := file.read(min(_BLOCK_FRAMES, frames - decoded), dtype="float32", always_2d=True)):
        if file.channels == 1 or channel is not None:
            mean = block[:, channel or 0]
        else:
            mean = sum(block.T[1:], block[:, 0]) / np.float32(file.channels)
            power, mean_power = power + float(np.vdot(block, block)) / file.channels, mean_power + float(np.vdot(mean, mean))
        heard = block if stereo else mean
        done.append(heard if same else stream.resample_chunk(heard))
        decoded += len(block)
    if not same:
        done.append(stream.resample_chunk(nothing, last=True))
    samples = np.concatenate(done)
    cancelled = mean_power + power > 0 and mean_power < _CANCELLED * power
    return samples if stereo else in_channels(samples, channels), decoded, cancelled


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
    """Write `(T,)` or `(T, 2)`, float or already 16 bit, as 16-bit FLAC, atomically.

    libsndfile doesn't always tell where the disk refuses the last bytes, so that it isn't given the file itself.
    """
    flac = encode_flac(samples, rate_hz)
    with atomic(path) as temporary:
        temporary.write_bytes(flac)


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
