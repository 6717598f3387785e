"""What benchmarks of stems share: songs in folders of stems, and what a studio does to a sound."""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from instructme.dataset_tools import audio, layouts
from instructme.dataset_tools.audio import Samples

RATE_HZ = 24000
_SILENT = 1e-3


def songs(folders: Sequence[str], seconds: int) -> Iterator[tuple[str, dict[str, Samples]]]:
    """Read the beginning of the stems of each folder that holds two audio files or more; silent ones are left out."""
    for root in map(Path, folders):
        for folder in sorted({root, *(path for path in root.rglob("*") if path.is_dir())}):
            files = layouts.audio(folder)
            if len(files) > 1:
                waves = {name: audio.read(path, RATE_HZ)[: seconds * RATE_HZ] for name, path in files.items()}
                yield str(folder), {name: wave for name, wave in waves.items() if audio.peak(wave) > _SILENT}


def mixed(waves: Sequence[Samples]) -> Samples:
    """Sum waves of any lengths."""
    total = np.zeros(max(map(len, waves)), np.float32)
    for wave in waves:
        total[: len(wave)] += wave
    return total


def limiter(wave: Samples) -> Samples:
    """Bend the loudest moments by half."""
    return np.asarray(np.tanh(2 * wave / audio.peak(wave)), dtype=np.float32)


def equaliser(wave: Samples) -> Samples:
    """Raise what lies over 4 kHz by 4 dB."""
    high = signal.sosfilt(signal.butter(1, 4000, "high", fs=RATE_HZ, output="sos"), wave)
    return np.asarray(wave + 0.6 * high, dtype=np.float32)


def vorbis(wave: Samples) -> Samples:
    """Encode and decode with a lossy codec."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", RATE_HZ, 1, format="OGG", subtype="VORBIS") as encoder:
        for start in range(0, len(wave), RATE_HZ):  # libsndfile overflows its stack on long pieces
            encoder.write(wave[start : start + RATE_HZ] / max(1.0, audio.peak(wave)))
    file.seek(0)
    return np.asarray(soundfile.read(file, dtype="float32")[0])


def hall(wave: Samples) -> Samples:
    """Make the reverberation of 0.8 s alone, as loud as the wave."""
    length = round(0.8 * RATE_HZ)
    tail = np.random.default_rng(5).standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    heard = signal.fftconvolve(wave, tail)[: len(wave)]
    return np.asarray(heard * np.linalg.norm(wave) / np.linalg.norm(heard), dtype=np.float32)


def master(wave: Samples) -> Samples:
    """Equalise, limit and encode."""
    return vorbis(limiter(equaliser(wave)))


EFFECTS: dict[str, Callable[[Samples], Samples]] = {
    "as it is": lambda wave: 0.5 * wave,
    "limiter": limiter,
    "equaliser": equaliser,
    "Vorbis": vorbis,
    "reverberation 6 dB under it": lambda wave: wave + 0.5 * hall(wave),
}
