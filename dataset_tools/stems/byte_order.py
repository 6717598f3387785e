"""Tell of stems whose bytes are in the wrong order: music of 16 bits that was read as raw data sounds as loud noise then."""

from pathlib import Path

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stored import Stored

DETAIL = "it is noise, and music if the two bytes of each sample change places: export it again with the right byte order"
ROUGH, SMOOTHER = 0.6, 4.0
"""Power of the differences of neighbouring samples, against that of the samples: 2 for white noise, less than 0.4 for most music.
In the other byte order it is 4 times less. Cymbals are rough, too, and get rougher if their bytes change places."""
_SAMPLES = 1 << 16


def is_swapped(path: Path, samples: Stored) -> bool:
    """Tell whether a file of 16 bits is noise, and music in the other byte order. `samples` are those of the file, resampled."""
    start = len(samples) // 3
    if roughness(samples[start : start + _SAMPLES]) < ROUGH:
        return False
    with audio.opened(path) as file:
        if file.subtype != "PCM_16":
            return False
        file.seek(file.frames // 3)
        heard = file.read(_SAMPLES, dtype="int16", always_2d=True)[:, 0]
    return roughness(heard) >= max(ROUGH, SMOOTHER * roughness(heard.byteswap()))


def roughness(samples: Samples | audio.Pcm) -> float:
    """Compare the power of the differences of `(T,)` or `(T, 2)` with that of the samples."""
    wave = samples.astype(np.float32)
    return float(np.square(np.diff(wave, axis=0)).sum() / max(np.square(wave).sum(), 1e-20))
