"""Find onsets and beats with librosa, at 22,050 Hz with a hop of 256 samples."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples, resample
from instructme.dataset_tools.recognisers import turns

RATE_HZ, HOP_SAMPLES = 22050, 256
FRAME_RATE_HZ = RATE_HZ / HOP_SAMPLES
CUT_PERCENTILE = 98.0


class Onsets(NamedTuple):
    """Onset envelope (frames,), and times of onsets and beats in seconds."""

    envelope: npt.NDArray[np.float32]
    onsets_s: npt.NDArray[np.float64]
    beats_s: npt.NDArray[np.float64]


def find(samples: Samples, rate_hz: int) -> Onsets:
    """Find the onsets of (T,).

    The envelope is cut at its 98th percentile before onsets are picked, because `onset_detect` divides by its maximum: one loud
    start would hide many others.
    """
    audio = resample(samples, rate_hz, RATE_HZ)
    audio = np.pad(audio, (0, max(2048 - len(audio), 0)))
    with turns.first_use("onsets"):
        import librosa

        envelope = librosa.onset.onset_strength(y=audio, sr=RATE_HZ, hop_length=HOP_SAMPLES).astype(np.float32)
        if not np.ptp(envelope):
            return Onsets(envelope, np.zeros(0), np.zeros(0))
        cut = np.minimum(envelope, np.percentile(envelope, CUT_PERCENTILE))
        options: dict[str, Any] = {"sr": RATE_HZ, "hop_length": HOP_SAMPLES, "units": "time"}
        onsets = librosa.onset.onset_detect(onset_envelope=cut, **options)
        beats = librosa.beat.beat_track(onset_envelope=envelope, **options)[1]
    return Onsets(envelope, np.asarray(onsets, np.float64), np.asarray(beats, np.float64))
