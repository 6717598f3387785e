"""Make the sounds that check the rater's equipment and attention: Huggins pitch for headphones, beeps to count."""

import numpy as np
import numpy.typing as npt

Stereo = npt.NDArray[np.float32]
"""(T, 2)."""
RATE_HZ = 44100
PITCH_HZ = 600.0
_NOISE_S, _PAUSE_S, _RAMP_S = 1.0, 0.5, 0.03
_WIDTH = 0.06
"""Share of the pitch over which the phase of one ear turns."""
_LEVEL = 0.1
MOST_BEEPS = 5


def huggins_trial(answer: int, seed: int) -> Stereo:
    """Make three noises, of which the one with the number `answer` (1 to 3) holds a faint tone.

    The tone exists only between the ears: one ear gets the noise with a phase that turns by 360 degrees around 600 Hz.
    Loudspeakers mix both ears, and the tone is gone (Milne et al. 2021, "An online headphone screening test based on
    dichotic pitch").
    """
    rng = np.random.default_rng(seed)
    pause = np.zeros((round(_PAUSE_S * RATE_HZ), 2), np.float32)
    noises = [_noise(rng, with_pitch=number == answer) for number in (1, 2, 3)]
    return np.concatenate([noises[0], pause, noises[1], pause, noises[2]])


def _noise(rng: np.random.Generator, with_pitch: bool) -> Stereo:
    samples = round(_NOISE_S * RATE_HZ)
    left = rng.standard_normal(samples)
    right = left
    if with_pitch:
        hz = np.fft.rfftfreq(samples, 1 / RATE_HZ)
        low, high = PITCH_HZ * (1 - _WIDTH), PITCH_HZ * (1 + _WIDTH)
        turn = 2 * np.pi * np.clip((hz - low) / (high - low), 0, 1)
        right = np.fft.irfft(np.fft.rfft(left) * np.exp(1j * turn), samples)
    return (_ramped(np.column_stack([left, right])) * _LEVEL).clip(-1, 1).astype(np.float32)


def _ramped(sound: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    ramp = np.sin(np.linspace(0, np.pi / 2, round(_RAMP_S * RATE_HZ)))[:, None] ** 2
    sound[: len(ramp)] *= ramp
    sound[-len(ramp) :] *= ramp[::-1]
    return sound


def beeps(count: int) -> Stereo:
    """Make 1 to 5 beeps in 3 s; every count has the same length."""
    sound = np.zeros(3 * RATE_HZ)
    time_s = np.arange(round(0.2 * RATE_HZ)) / RATE_HZ
    beep = _ramped((_LEVEL * np.sin(2 * np.pi * 880 * time_s))[:, None])[:, 0]
    for place in range(count):
        start = round((0.2 + 0.5 * place) * RATE_HZ)
        sound[start : start + len(beep)] = beep
    return np.repeat(sound[:, None], 2, axis=1).astype(np.float32)
