"""Change the sample rate with gradients, which soxr does not pass on; torchaudio has wheels for few builds of torch."""

import torch
from torch import Tensor


def resample(audio: Tensor, rate_hz: int, new_rate_hz: int) -> Tensor:
    """Resample audio (..., T) to (..., ceil(T * new / old)): band-limited exactly at the lower Nyquist frequency.

    The whole clip goes through one Fourier transform, followed by silence up to the next second, so that its end hardly rings
    into its beginning. Linear and differentiable; float32 whatever comes in.
    """
    audio = audio.float()
    if rate_hz == new_rate_hz:
        return audio
    seconds = audio.shape[-1] // rate_hz + 1
    spectrum = torch.fft.rfft(audio, n=seconds * rate_hz)
    bins = seconds * min(rate_hz, new_rate_hz) // 2  # up to, not with, the Nyquist frequency
    new: Tensor = torch.fft.irfft(spectrum[..., :bins], n=seconds * new_rate_hz) * (new_rate_hz / rate_hz)
    return new[..., : -(-audio.shape[-1] * new_rate_hz // rate_hz)]
