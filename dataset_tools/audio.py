"""Read, resample, measure and write audio: float32 mono `(T,)` everywhere in the data code."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from manifests.rows import DataError
from manifests.tables import atomic

Samples = npt.NDArray[np.float32]
FLOOR_DB = -120.0
STEP = 1.0 / 32768.0
"""One 16-bit step."""


def read(path: Path, rate_hz: int | None = None, start: int = 0, length: int | None = None) -> Samples:
    """Read a file, or `length` frames from `start` at the file's own rate, as mono at `rate_hz`.

    Channels are averaged. Resampling is soxr's high quality and runs over the whole excerpt.

    Returns:
        (T,) float32.

    Raises:
        DataError: missing, unreadable, or with samples that aren't finite.
    """
    import soundfile

    try:
        samples, file_rate_hz = soundfile.read(
            path, start=start, frames=-1 if length is None else length, dtype="float32", always_2d=True
        )
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise DataError(f"can't read audio: {path}: {error}") from None
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise DataError(f"not audio: {path}: it holds NaN or infinite samples")
    return mono if rate_hz in (None, file_rate_hz) else resample(mono, file_rate_hz, rate_hz)


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Resample `(T,)` with soxr (HQ); the length becomes ceil(T * to / from)."""
    import soxr

    return np.asarray(soxr.resample(samples, from_hz, to_hz), dtype=np.float32)


def to_int16(samples: Samples | npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
    """Round float samples to 16 bit; what lies outside the range is clipped."""
    return np.clip(np.rint(samples.astype(np.float64) * 32768.0), -32768, 32767).astype(np.int16)


def write_flac(path: Path, samples: Samples, rate_hz: int) -> None:
    """Write `(T,)` as 16-bit mono FLAC, atomically."""
    import soundfile

    with atomic(path) as temporary:
        soundfile.write(temporary, to_int16(samples), rate_hz, format="FLAC", subtype="PCM_16")


def db(amplitude: float) -> float:
    """Convert an amplitude to dBFS, -120 at least."""
    return float(20.0 * np.log10(max(float(amplitude), 1e-6)))


def rms_db(samples: Samples) -> float:
    """Measure the RMS in dBFS, -120 for silence or no samples."""
    return db(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else FLOOR_DB


def peak_db(samples: Samples) -> float:
    """Measure the sample peak in dBFS, -120 for silence or no samples."""
    return db(np.abs(samples).max()) if len(samples) else FLOOR_DB
