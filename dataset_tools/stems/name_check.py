"""Ask the sound of a part whether it can have its name: "Tom" may be a singer, and "Bass" a voice of a choir.

Few things are certain: a bass has low notes, flutes and voices have no power below theirs, notes are no noise, and a drum kit
plays no melody. The bounds lie far beyond what any right part reached that was measured, so that right names are not doubted.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems import measures
from instructme.dataset_tools.stored import Stored, mono
from instructme.manifests.instruments import INSTRUMENTS

Floats = npt.NDArray[np.float64]
FRAMES = 240
"""So many moments, spread over all in which the stem sounds, tell enough."""
FEWEST_FRAMES = 50
"""Frames of 0.1 s; a part that sounds for less than 5 s tells nothing."""
RANGE_DB, LEAST_RANGE_DB = 20, 3
"""What sounds is at most 20 dB under the loud level. Test tones and noise, whose level is steady, tell nothing."""
QUIETEST_DB, SILENT_DB = -60, -80
LOWEST_HZ = 30
"""What lies lower is no music, but an offset or rumble."""
LEAST_BASS = 0.3
"""Share of power below 400 Hz. Of 319 bass parts, the least is 0.64; half of the parts of voices and guitars are below 0.3."""
MOST_LOW = 0.5
"""Share of power below 100 Hz. Of 400 parts of `_HIGH` instruments, the most is 0.25; half of the bass parts are above 0.5."""
MOST_FLAT, MOST_FLAT_BREATH = 0.1, 0.25
"""Spectral flatness of 100 to 8000 Hz. Of 1,000 parts, the most is 0.05; rap and metal guitars reach 0.15, white noise 0.56."""
FLAT_HZ = (100, 8000)
MOST_MELODY = 0.12
"""Share of moments in which a pitch is held that is none of the three commonest. Kits reach 0.03, and 30 toms of one kit 0.07."""
LEAST_PITCHED = 0.8
"""Height of the autocorrelation from which a moment has a pitch; 1 is a periodic wave."""
LOWEST_PITCH_HZ = 110
"""Pitches up to 1000 Hz are looked for; those of kick drums lie lower."""
_COMMONEST = 3
_HIGH = {"vocals", "woodwind", "brass", "strings", "plucked strings"}
_LOW = {"tuba", "cello", "cello section", "strings", "string section", "brass section", "harp"}
"""Instruments of these families that have low notes, or sections that hold some."""
_NOTES = {"bass", "keys", "strings", "brass", "woodwind", "plucked strings", "pitched percussion"}
_BREATH = {"vocals", "guitar"}
_STRUCK = {"congas", "bongos", "cajon", "tambourine", "shaker", "cowbell", "claps"}


class SoundMeasures(NamedTuple):
    """What the names are asked of: shares of power below 100 and 400 Hz, flatness, and the share of moments of a melody."""

    below_100_hz: float
    below_400_hz: float
    flatness: float
    melody: float


def measure(sound: Stored, rate_hz: int) -> SoundMeasures | None:
    """Measure a part; None if it sounds for too short a time, too softly, or all the time at one level."""
    levels = np.array(measures.levels_db(sound, rate_hz))
    loud_db = np.percentile(levels[levels > SILENT_DB], 95) if (levels > SILENT_DB).any() else SILENT_DB
    sounding = np.flatnonzero(levels >= loud_db - RANGE_DB)
    if (
        loud_db < QUIETEST_DB
        or len(sounding) < FEWEST_FRAMES
        or np.ptp(np.percentile(levels[sounding], [10, 90])) < LEAST_RANGE_DB
    ):
        return None
    chosen = sounding[np.unique(np.linspace(0, len(sounding) - 1, FRAMES).astype(np.int64))]
    size = 1 << (rate_hz // 10).bit_length()  # 0.17 s
    starts = chosen * rate_hz // 10 + rate_hz // 20 - size // 2
    # half a window more, to hear whether a pitch is held
    heard = np.stack([mono(sound, int(start), int(start) + size + size // 2) for start in starts])
    frequencies = np.fft.rfftfreq(2 * size, 1 / rate_hz)
    power, later = _power(heard[:, :size]), _power(heard[:, size // 2 :])
    power[:, frequencies < LOWEST_HZ] = 0
    shares = (power / np.maximum(power.sum(axis=1, keepdims=True), 1e-20)).mean(axis=0)
    below_100_hz, below_400_hz = (float(shares[frequencies <= edge].sum()) for edge in (100, 400))
    within = power[:, (frequencies >= FLAT_HZ[0]) & (frequencies < FLAT_HZ[1])] + 1e-9 * power.max()
    flatness = float(np.median(np.exp(np.log(within).mean(axis=1)) / within.mean(axis=1)))
    return SoundMeasures(below_100_hz, below_400_hz, flatness, _melody(power, later, rate_hz))


def against(instrument: str, sound: SoundMeasures) -> str | None:
    """Say how a sound contradicts the name of an instrument beyond doubt; None if it does not."""
    family = INSTRUMENTS[instrument].family
    if family == "bass" and sound.below_400_hz < LEAST_BASS:
        return f"{sound.below_400_hz:.0%} of its power is below 400 Hz, and bass parts have at least 60 %"
    if family in _HIGH and instrument not in _LOW and sound.below_100_hz > MOST_LOW:
        return f"{sound.below_100_hz:.0%} of its power is below 100 Hz, and {instrument} parts have at most 25 %"
    flattest = MOST_FLAT if family in _NOTES else MOST_FLAT_BREATH if family in _BREATH else 1.0
    if sound.flatness > flattest:
        return f"it is noise: its spectral flatness is {sound.flatness:.2f}, and {instrument} parts have at most {flattest:g}"
    if (family == "drums" or instrument in _STRUCK) and sound.melody > MOST_MELODY:
        return f"it plays a melody in {sound.melody:.0%} of the time, and {instrument} parts in at most 7 %"
    return None


def _power(frames: Samples) -> Floats:
    """Find the power spectra of frames, with twice as many frequencies as they have, so that their autocorrelation is linear."""
    from scipy.fft import rfft

    size = frames.shape[1]
    window = np.hanning(size).astype(np.float32)
    return np.asarray(np.abs(rfft(frames * window, 2 * size)) ** 2, np.float64)


def _melody(power: Floats, later: Floats, rate_hz: int) -> float:
    """Measure in which share of moments a pitch is held until half a window later that is not one of the three commonest."""
    (first, periodic), (second, still) = (_pitches(each, rate_hz) for each in (power, later))
    held = (np.minimum(periodic, still) > LEAST_PITCHED) & (np.abs(first - second) < 0.6) & (first > 0)
    counts = np.bincount(np.rint(first[held]).astype(np.int64) % 12, minlength=12)
    return float(np.sort(counts)[:-_COMMONEST].sum() / len(first))


def _pitches(power: Floats, rate_hz: int) -> tuple[Floats, Floats]:
    """Find the pitch of each frame in semitones over the lowest one, and the height of its autocorrelation; -1 for no pitch."""
    from scipy.fft import irfft

    size = power.shape[1] - 1
    shortest, longest = rate_hz // 1100, rate_hz // 90 + 2
    window = irfft(_power(np.ones((1, size), np.float32)))[0]
    waves = irfft(np.where(np.fft.rfftfreq(2 * size, 1 / rate_hz) < 100, 0, power), axis=1)
    curve = waves[:, shortest:longest] / np.maximum(waves[:, :1], 1e-20) / (window[shortest:longest] / window[0])
    is_peak = (curve[:, 1:-1] > curve[:, :-2]) & (curve[:, 1:-1] >= curve[:, 2:])
    heights = np.where(is_peak, curve[:, 1:-1], -1.0)
    best = heights.max(axis=1)
    # a wave repeats after two periods as well: the shortest is its pitch
    lags = (heights >= 0.93 * best[:, None]).argmax(axis=1) + 1 + shortest
    return 12 * np.log2(rate_hz / lags / LOWEST_PITCH_HZ), best
