"""Turn samples into MP3 data URIs: every browser plays them, gapless, and the same samples give the same bytes."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import soundfile

from instructme.dataset_tools.audio import Samples, resample

PAGE_BYTES = 6_400_000
"""What the players of a page may take together, as text: 40 players of 10 s at 128 kbit/s, or 10 minutes at 64."""
_KBPS = (128, 112, 96, 80, 64)
_SHORTEST_S = 10.0
"""A clip is never cut shorter than this."""
_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def budget(seconds: Sequence[float]) -> tuple[int, float]:
    """Choose one bit rate (kbit/s) for all players of a page, and how long (s) a clip may be so that the page stays small."""
    total = max(sum(seconds), 1e-3)
    fitting = PAGE_BYTES * 0.75 * 8 / 1000
    kbps = next((kbps for kbps in _KBPS if kbps * total <= fitting), _KBPS[-1])
    if kbps * total <= fitting:
        return kbps, max(seconds, default=0.0)
    return kbps, max(fitting / kbps / len(seconds), _SHORTEST_S)


def data_uri(samples: Samples, rate_hz: int, kbps: int) -> str:
    """Encode `(T,)` or `(T, 2)` as MP3 at a constant rate. What exceeds full scale is clipped. LAME plays all 0.45 dB softer."""
    playable = min((rate for rate in _RATES_HZ if rate >= rate_hz), default=_RATES_HZ[-1])
    heard = resample(samples, rate_hz, playable)
    low, high = (32, 320) if playable >= 32000 else (8, 160) if playable >= 16000 else (8, 64)
    level = np.clip((high - kbps) / (high - low), 0.0, 1.0)  # libsndfile spreads the bit rates of an MPEG version over 1 to 0
    file = io.BytesIO()
    soundfile.write(
        file,
        np.clip(heard, -1.0, 1.0),
        playable,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=float(level),
    )
    return "data:audio/mpeg;base64," + base64.b64encode(file.getvalue()).decode()
