"""Treat each part of a song as a rough mix would: equaliser, saturation or amplifier, compressor, reverb, level."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import signal

from instructme.dataset_tools.audio import Samples

_ENVELOPE_HZ = 10.0
_REFLECTIONS_S = (0.004, 0.04)
_LEVEL_SPREAD_DB = 3.0
_BIAS = 0.15
_TINY = 1e-9


@dataclass(frozen=True)
class Treatment:
    """What is done to one part, in this order; what is 0 is left out.

    `bands`: peaks of the equaliser as (Hz, dB, Q). `amplifier_db` and `saturation_db`: how far above its level the part drives
    a soft clipper; the amplifier has a loudspeaker. `ratio` of the compressor above `threshold_db`, seen from the part's level.
    `reverb_s`: time in which the reverb falls by 60 dB; `wet_db`: its level. `level_db`: change of the part's level.
    """

    bands: tuple[tuple[float, float, float], ...] = ()
    amplifier_db: float = 0.0
    saturation_db: float = 0.0
    ratio: float = 1.0
    threshold_db: float = 0.0
    reverb_s: float = 0.0
    wet_db: float = 0.0
    level_db: float = 0.0
    seed: int = 0


def draw(rng: np.random.Generator, drums: bool, driven: bool) -> Treatment:
    """Draw a treatment; drums get less reverb, and a driven guitar its amplifier."""
    bands = [
        (
            round(float(np.exp(rng.uniform(np.log(80), np.log(9000))))),
            round(float(rng.normal(0, 3)), 1),
            round(float(rng.uniform(0.5, 2)), 2),
        )
        for _ in range(int(rng.integers(0, 4)))
    ]
    saturated, compressed, wet = rng.random(3) < (0.3, 0.5, 0.6)
    return Treatment(
        bands=tuple(bands),
        amplifier_db=round(float(rng.uniform(6, 22)), 1) if driven else 0.0,
        saturation_db=round(float(rng.uniform(-12, 3)), 1) if saturated and not driven else 0.0,
        ratio=round(float(rng.uniform(1.5, 6)), 1) if compressed else 1.0,
        threshold_db=round(float(rng.uniform(-9, 3)), 1),
        reverb_s=round(float(np.exp(rng.uniform(np.log(0.15), np.log(1.2 if drums else 2.0)))), 2) if wet else 0.0,
        wet_db=round(float(rng.uniform(-24, -12 if drums else -8)), 1),
        level_db=round(float(rng.normal(0, _LEVEL_SPREAD_DB)), 1),
        seed=int(rng.integers(1 << 31)),
    )


def apply(samples: Samples, treatment: Treatment, rate_hz: int) -> Samples:
    """Treat a part; shape, start and level stay, but for the change of level that is asked for."""
    level = _level(samples)
    if level < _TINY:
        return samples
    treated = samples / level
    for hz, gain_db, q in treatment.bands:
        treated = signal.lfilter(*_peak(hz, gain_db, q, rate_hz), treated)
    if treatment.amplifier_db:
        treated = signal.sosfilt(signal.butter(2, 110, "high", fs=rate_hz, output="sos"), treated)
        # Uneven clipping has even harmonics too, as a valve has; the filter after it takes off the constant that it leaves.
        treated = np.tanh(10 ** (treatment.amplifier_db / 20) * treated + _BIAS) - np.tanh(_BIAS)
        treated = signal.sosfilt(signal.butter(1, 60, "high", fs=rate_hz, output="sos"), treated)
        treated = signal.sosfilt(signal.butter(3, 4800, "low", fs=rate_hz, output="sos"), treated)
    if treatment.saturation_db:
        drive = 10 ** (treatment.saturation_db / 20)
        treated = np.tanh(drive * treated) / drive
    if treatment.ratio > 1:
        treated = treated * _compressor_gain(treated, treatment.ratio, treatment.threshold_db, rate_hz)
    if treatment.reverb_s:
        room = response(treatment.reverb_s, rate_hz, np.random.default_rng(treatment.seed))
        treated = treated + 10 ** (treatment.wet_db / 20) * signal.fftconvolve(treated, room)[: len(treated)]
    gain = level * 10 ** (treatment.level_db / 20) / max(_level(treated), _TINY)
    return (treated * gain).astype(np.float32)


def _level(samples: Samples) -> float:
    """Measure the root mean square over the blocks of 50 ms that are within 40 dB of the loudest."""
    blocks = samples[: len(samples) // 2048 * 2048].reshape(-1, 2048).astype(np.float64)
    power = (blocks**2).mean(axis=1)
    return float(np.sqrt(power[power >= power.max() * 1e-4].mean())) if len(power) else 0.0


def _peak(hz: float, gain_db: float, q: float, rate_hz: int) -> tuple[Sequence[float], Sequence[float]]:
    """Design a peak filter (R. Bristow-Johnson's Audio EQ Cookbook)."""
    amplitude, turn = 10 ** (gain_db / 40), 2 * np.pi * hz / rate_hz
    alpha = np.sin(turn) / (2 * q)
    above = [1 + alpha * amplitude, -2 * np.cos(turn), 1 - alpha * amplitude]
    return above, [1 + alpha / amplitude, -2 * np.cos(turn), 1 - alpha / amplitude]


def _compressor_gain(samples: Samples, ratio: float, threshold_db: float, rate_hz: int) -> Samples:
    """Follow the level of a part, and turn down what is above the threshold."""
    follower = signal.butter(1, _ENVELOPE_HZ, fs=rate_hz, output="sos")
    level_db = 10 * np.log10(np.maximum(signal.sosfilt(follower, samples.astype(np.float64) ** 2), 1e-10))
    gain: Samples = 10 ** (-np.maximum(0, level_db - threshold_db) * (1 - 1 / ratio) / 20)
    return gain


def response(reverb_s: float, rate_hz: int, rng: np.random.Generator) -> Samples:
    """Make the response of a room, of energy 1: early reflections, then noise that decays, its treble sooner.

    Args:
        reverb_s: time in which it falls by 60 dB.
        rate_hz: sample rate.
        rng: chance.
    """
    at_s = np.arange(int(min(reverb_s, 2.0) * rate_hz)) / rate_hz
    noise = rng.standard_normal((2, len(at_s)))
    dark = signal.lfilter([0.35], [1, -0.65], noise[0]) * 10 ** (-3 * at_s / reverb_s)
    bright = 0.4 * noise[1] * 10 ** (-3 * at_s / (0.4 * reverb_s))
    room = 0.3 * (dark + bright) * np.minimum(1, at_s / 0.01)
    for _ in range(int(rng.integers(3, 9))):
        place = int(rng.uniform(*_REFLECTIONS_S) * rate_hz)
        room[place : place + 1] += rng.uniform(-0.8, 0.8)
    normalised: Samples = (room / (np.sqrt((room**2).sum()) + _TINY)).astype(np.float32)
    return normalised
