"""Structural similarity of mel spectrograms, as Instruct-MusicGen measures it (arXiv 2405.18386; Wang et al., IEEE TIP 2004).

Both sounds at 16 kHz; STFT 400/200, Hann window, centred; powers in 128 HTK mels from 0 to 8 kHz. Means and variances weigh the
cells around each cell by a Gaussian of 1.5 cells, 11 cells wide, reflected at the edges. The constants are those of a data range
of 1, as published, so that the level of the edit matters.

Undefined: a sound of under 6 frames.
"""

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples, resample
from instructme.pipelines.evaluation.metrics import Score
from instructme.pipelines.evaluation.spectra import RATE_HZ, mel_filters, stft

GROUP = "signal"
UNIT, BETTER, RANGE, PERFECT, GAIN_FREE = "", "up", (-1.0, 1.0), 1.0, False
ABOVE_SOURCE = True
HEARD_AT_HZ = 16000
WINDOW_SAMPLES, HOP_SAMPLES, BANDS = 400, 200, 128
SIGMA_CELLS, RADIUS_CELLS = 1.5, 5
_C1, _C2 = 0.01**2, 0.03**2
Image = npt.NDArray[np.float64]


def score(edit: Samples, target: Samples) -> Score:
    """Compare (T,) with (T,)."""
    one, other = (_image(each) for each in (edit, target))
    if len(one) <= RADIUS_CELLS:
        return "too_short"
    mean, other_mean = _local(one), _local(other)
    variance, other_variance = (np.maximum(_local(each**2) - _local(each) ** 2, 0) for each in (one, other))
    shared = _local(one * other) - mean * other_mean
    likeness = (2 * mean * other_mean + _C1) * (2 * shared + _C2)
    return float(np.mean(likeness / ((mean**2 + other_mean**2 + _C1) * (variance + other_variance + _C2))))


def _image(samples: Samples) -> Image:
    spectrum = stft(resample(samples, RATE_HZ, HEARD_AT_HZ), WINDOW_SAMPLES, HOP_SAMPLES)
    return np.square(np.abs(spectrum), dtype=np.float64) @ mel_filters(WINDOW_SAMPLES, BANDS, HEARD_AT_HZ, htk=True)


def _local(image: Image) -> Image:
    """Average the cells around each one."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(image, SIGMA_CELLS, radius=RADIUS_CELLS, mode="mirror"))
