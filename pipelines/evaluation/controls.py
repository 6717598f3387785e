"""Make the edits of the controls, which stand beside the systems in every table."""

from collections.abc import Iterator
from zlib import crc32

import numpy as np

from instructme.dataset_tools.audio import Samples

CONTROLS = {
    "oracle": "the target itself",
    "identity": "the source: nothing is done",
    "shuffled": "the target of another song",
    "noise-30": "the target with white noise, 30 dB below it",
    "noise-20": "the target with white noise, 20 dB below it",
    "rest-20": "the target with what it leaves out of the source, 20 dB below it",
}
"""Name -> what it is."""


def controls(
    key: str, source: Samples, target: Samples, stranger: Samples | None, gain_db: float
) -> Iterator[tuple[str, Samples]]:
    """Make the controls of a triplet: source and target (T,) at 24 kHz, and the gain of the source in the target."""
    yield "oracle", target
    yield "identity", source
    if stranger is not None:
        yield "shuffled", np.pad(stranger, (0, max(len(target) - len(stranger), 0)))[: len(target)]
    noise = np.random.default_rng(crc32(key.encode())).standard_normal(len(target)).astype(np.float32)
    yield "noise-30", _mixed(target, noise, -30)
    yield "noise-20", _mixed(target, noise, -20)
    yield "rest-20", _mixed(target, source * np.float32(10 ** (gain_db / 20)) - target, -20)


def _mixed(target: Samples, other: Samples, level_db: float) -> Samples:
    """Add another signal at a level relative to the RMS of the target."""
    power, wanted = (float(np.mean(np.square(each), dtype=np.float64)) for each in (other, target))
    gain = np.sqrt(wanted / power) * 10 ** (level_db / 20) if power else 0.0
    return np.asarray(target + other * np.float32(gain), dtype=np.float32)
