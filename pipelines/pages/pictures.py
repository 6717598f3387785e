"""Draw sound: waveforms as SVG paths; spectrograms, chord and pitch matrices as small PNG data URIs.

Every picture of a row spans the same seconds in `COLUMNS` columns; where a shorter clip has ended, it is transparent.
"""

import base64
import io
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from instructme.dataset_tools.audio import Samples, resample
from instructme.dataset_tools.chord_labels import NAMES
from instructme.dataset_tools.recognisers import turns

Matrix = npt.NDArray[np.float32]
"""(rows, columns), lowest row first; NaN is transparent."""
Curve = npt.NDArray[np.float64]
Ticks = tuple[tuple[float, str], ...]
"""Position on an axis, 0 to 1, and label."""

COLUMNS = 480
BANDS, LOWEST_HZ = 128, 30.0
RANGE_DB = 80.0
CHANGE_DB, CHANGE_FLOOR_DB = 24.0, 60.0
"""Change of level that gets the full colour, and how far below the loudest a level still counts."""
CHORD_RATE_HZ = 22050 / 512
PITCHES = 84
_PITCH_RATE_HZ, _PITCH_HOP = 22050, 512
_PITCH_RANGE_DB = 32.0
_LEVELS = 64
_TRIADS = ("", "m", "sus4", "sus2", "dim", "aug")
_MOST_CHORDS, _AUDIBLE_CHORD = 10, 0.2


def waveform(samples: Samples, rate_hz: int, seconds: float, peak: float) -> str:
    """Outline `(T,)` as an SVG path in a box of `COLUMNS` x 100, `peak` at its edges."""
    starts = (np.arange(COLUMNS) * (seconds * rate_hz / COLUMNS)).astype(np.int64)
    starts = starts[starts < len(samples)]
    if not len(starts):
        return ""
    high, low = (np.rint(50 - 48 * edge.reduceat(samples, starts) / peak).astype(int) for edge in (np.maximum, np.minimum))
    steps = [f"l1 {step}" for step in np.diff(high)] + [f"L{len(low) - 1} {low[-1]}"]
    return f"M0 {high[0]}" + "".join(steps + [f"l-1 {step}" for step in np.diff(low[::-1])]) + "z"


def mel_db(samples: Samples, rate_hz: int, seconds: float) -> Matrix:
    """Measure the mel spectrogram (`BANDS`, `COLUMNS`) in dB, `LOWEST_HZ` to half the rate."""
    window = 1 << round(np.log2(0.085 * rate_hz))
    hop = int(np.clip(seconds * rate_hz / COLUMNS, window // 16, window // 4))
    padded = np.pad(samples, (0, max(window - len(samples), 0)))
    with turns.first_use("mel"):
        import librosa

        power = librosa.feature.melspectrogram(
            y=padded, sr=rate_hz, n_fft=window, hop_length=hop, n_mels=BANDS, fmin=LOWEST_HZ, fmax=rate_hz / 2
        )
    level = 10 * np.log10(np.maximum(power, 1e-10))
    return on_axis(level, rate_hz / hop, len(samples) / rate_hz, seconds)


def mel_ticks(rate_hz: int) -> Ticks:
    """Place round frequencies on the axis of `mel_db`."""
    import librosa

    low, high = librosa.hz_to_mel(LOWEST_HZ), librosa.hz_to_mel(rate_hz / 2)
    shown = [hz for hz in (500, 1000, 2000, 4000, 8000, 16000) if hz < 0.45 * rate_hz]
    labels = [f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz" for hz in shown]
    return tuple((float((librosa.hz_to_mel(hz) - low) / (high - low)), label) for hz, label in zip(shown, labels, strict=True))


def pitch_salience(samples: Samples, rate_hz: int, seconds: float) -> Matrix:
    """Measure how strongly each of 84 semitones from C1 sounds, (`PITCHES`, `COLUMNS`), linear.

    It is the peaks of the geometric mean of three harmonics of a constant-Q transform: what has no partials above it fades.
    """
    audio = resample(samples, rate_hz, _PITCH_RATE_HZ)
    audio = np.pad(audio, (0, max(2 * _PITCH_RATE_HZ - len(audio), 0)))  # the lowest filters are more than a second long
    with turns.first_use("cqt"):
        import librosa
        from scipy.stats import gmean

        hz = librosa.cqt_frequencies(PITCHES, fmin=float(librosa.note_to_hz("C1")))
        cqt = librosa.cqt(audio, sr=_PITCH_RATE_HZ, hop_length=_PITCH_HOP, n_bins=PITCHES, tuning=0.0)
        magnitude = np.abs(cqt)
        magnitude += 0.01 * magnitude.max() + 1e-9  # a pure tone fades, but doesn't vanish
        salience = librosa.salience(magnitude, freqs=hz, harmonics=[1, 2, 3], weights=[2, 1, 1], aggregate=gmean, fill_value=0.0)
    return on_axis(salience, _PITCH_RATE_HZ / _PITCH_HOP, len(samples) / rate_hz, seconds)


def pitch_shades(salience: Matrix, loudest: float) -> Matrix:
    """Scale salience to 0 to 1 over the upper decibels below `loudest`."""
    return shades(20 * np.log10(np.maximum(salience, 1e-6)), 20 * np.log10(max(loudest, 1e-3)), _PITCH_RANGE_DB)


PITCH_TICKS: Ticks = tuple(((12 * octave + 0.5) / PITCHES, f"C{octave + 1}") for octave in range(PITCHES // 12))


def triads(matrices: Sequence[npt.NDArray[np.floating]]) -> tuple[list[int], Ticks]:
    """Choose the triads that sound in any of the (100, frames) matrices: their rows, by root, and their ticks.

    Raises:
        ValueError: a matrix is of another shape, such as (frames, 100).
    """
    if shapes := [matrix.shape for matrix in matrices if matrix.shape[:1] != (100,)]:
        raise ValueError(f"a chord matrix is (100, frames), not {shapes[0]}")
    most = np.max([matrix[:73].max(axis=1, initial=0) for matrix in matrices], axis=0)
    sum_ = np.sum([matrix[:73].sum(axis=1, dtype=np.float64) for matrix in matrices], axis=0)
    strongest = [int(row) for row in np.argsort(-sum_, kind="stable")[:_MOST_CHORDS] if most[row] >= _AUDIBLE_CHORD] or [0]
    rows = sorted(strongest, key=lambda row: ((row - 1) % 12, row) if row else (12, 0))[::-1]
    names = [f"{NAMES[(row - 1) % 12]}{_TRIADS[(row - 1) // 12]}" if row else "none" for row in rows]
    return rows, tuple(((place + 0.5) / len(rows), name) for place, name in enumerate(names))


def on_axis(matrix: npt.NDArray[np.floating], frames_hz: float, length_s: float, seconds: float) -> Matrix:
    """Bring (rows, frames), frame f centred on f / frames_hz, to (rows, `COLUMNS`) over `seconds`: the largest of each column."""
    starts_s = np.arange(COLUMNS) * (seconds / COLUMNS)
    if not matrix.shape[1]:
        return np.full((len(matrix), COLUMNS), np.nan, dtype=np.float32)
    frames = np.minimum(np.rint(starts_s * frames_hz).astype(np.int64), matrix.shape[1] - 1)
    columns = np.maximum.reduceat(matrix, frames, axis=1).astype(np.float32)
    columns[:, starts_s >= length_s] = np.nan
    return columns


def shades(level_db: Matrix, top_db: float, range_db: float = RANGE_DB) -> Matrix:
    """Scale decibels to 0 to 1, 1 at `top_db`."""
    return np.asarray(np.clip(1 + (level_db - top_db) / range_db, 0, 1), dtype=np.float32)


@cache
def palette(name: str) -> npt.NDArray[np.uint8]:
    """Compute a map of 64 colours, (64, 4) RGBA.

    `heat`: lightness rises evenly, for levels. `tint`: one colour on the page's own ground, for probabilities. `change`: blue
    for less, orange for more, the page's ground for as before.
    """
    t = np.linspace(0, 1, _LEVELS)
    if name == "heat":
        return _srgb(0.14 + 0.83 * t, 0.19 * np.sin(np.pi * t) ** 0.8, 282 + 180 * t, np.ones(_LEVELS))
    if name == "tint":
        return _srgb(0.52 + 0 * t, 0.22 + 0 * t, 295 + 0 * t, t)
    side = 2 * t - 1
    return _srgb(0.65 + 0 * t, 0.17 + 0 * t, np.where(side < 0, 255, 45), np.abs(side))


def _srgb(lightness: Curve, chroma: Curve, hue: Curve, alpha: Curve) -> npt.NDArray[np.uint8]:
    """Convert OKLCH (Ottosson 2020; hue in degrees) to sRGB."""
    a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
    to_lms = np.array([[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]])
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(to_rgb @ (to_lms @ np.stack([lightness, a, b])) ** 3, 0, 1)
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * np.vstack([rgb, alpha[None]]).T), dtype=np.uint8)


def png(values: npt.NDArray[np.floating], colours: str, row_pixels: int = 1) -> str:
    """Encode (rows, columns) of 0 to 1, lowest row first, as a PNG data URI; browsers blur the edges of rows of one pixel."""
    blank = np.isnan(values)
    index = np.rint(np.where(blank, 0, values) * (_LEVELS - 1)).astype(np.uint8)
    index[blank] = _LEVELS
    table = np.vstack([palette(colours), np.zeros((1, 4), np.uint8)])
    image = Image.fromarray(np.repeat(index[::-1], row_pixels, axis=0))
    image.putpalette(table[:, :3].tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, transparency=table[:, 3].tobytes())
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
