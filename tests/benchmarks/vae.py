"""Measure a VAE run on unseen songs: `python tests/benchmarks/vae.py RUN SHARDS [--split test] [--triplets 100]`.

Prints SI-SDR of what comes back (pooled, and of sources and targets), beside two peers with the same number of values per
second, low pass and the run's VAE before training; log-spectral distance below and above the low pass; what silence
becomes; statistics of the latent; and how far the latent of a mix is the sum of those of its parts, on which source - removed
rests.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from instructme.model.checkpoint import load_weights, read_config
from instructme.model.config import Preset
from instructme.model.losses import si_sdr_db
from instructme.model.vae import Vae
from instructme.pipelines.data.stream import Triplets


def low_pass(audio: Tensor, share: float) -> Tensor:
    """Keep the lowest SHARE of all frequencies: as many real values per second as a latent of that size has."""
    bins = torch.fft.rfft(audio)
    bins[..., round(share * bins.shape[-1]) :] = 0
    return torch.fft.irfft(bins, audio.shape[-1])


def log_spectral_distance_db(decoded: Tensor, audio: Tensor, share: float) -> tuple[float, float]:
    """Average distance of log magnitudes below and above SHARE of all frequencies, floor 60 dB under the clip's level."""
    level = audio.square().mean().sqrt().clamp_min(1e-6)

    def decibels(clip: Tensor) -> Tensor:
        window = torch.hann_window(1024)
        bins = torch.stft(clip[0] / level, 1024, 256, window=window, return_complex=True).abs() / window.square().sum().sqrt()
        return 20 * (bins + 1e-3).log10()

    distance = (decibels(decoded) - decibels(audio)).abs()[0]
    edge = round(share * len(distance))
    return float(distance[:edge].mean()), float(distance[edge:].mean())


def load(run: Path) -> tuple[Preset, Vae]:
    """Load the VAE that a run trained."""
    preset, _ = read_config(run, "vae")
    vae = Vae(preset.vae).eval()
    vae.load_state_dict(load_weights(run))
    return preset, vae


def show(name: str, ratios: np.ndarray, distances: np.ndarray) -> None:
    """Print a line: sources are the even rows, targets the odd ones."""
    tenth, median = np.nanquantile(ratios, [0.1, 0.5])
    print(
        f"{name:20} {np.nanmean(ratios):6.2f} {median:6.2f} {tenth:6.2f} {np.nanmean(ratios[::2]):8.2f} "
        f"{np.nanmean(ratios[1::2]):8.2f} {distances[:, 0].mean():8.1f} {distances[:, 1].mean():8.1f}"
    )


@torch.no_grad()
def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--triplets", type=int, default=100)
    options = parser.parse_args()
    preset, vae = load(options.run)
    untrained = Vae(preset.vae).eval()
    triplets = Triplets(options.shards, options.split, preset)
    rows = np.linspace(0, len(triplets) - 1, min(options.triplets, len(triplets))).astype(int)
    pairs = [triplets[int(row)] for row in rows]
    clips = [pair[side][None] for pair in pairs for side in ("source", "target")]
    rate_hz = preset.sample_rate_hz / preset.hop_samples * preset.vae.latent_channels
    share = min(rate_hz / preset.sample_rate_hz, 1.0)
    print(f"{len(clips)} clips of split {options.split}; {rate_hz:.0f} values/s; peer: low pass at {rate_hz / 2:.0f} Hz")
    print("                       SI-SDR dB: median    10 %   sources  targets  log-spectral dB: low  high")
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "low pass": lambda audio: low_pass(audio, share),
        "untrained": lambda audio: untrained(audio)[0],
        "run": lambda audio: vae(audio)[0],
    }
    begun = 0.0
    for name, way in ways.items():
        begun = time.perf_counter()
        decoded = [way(audio) for audio in clips]
        seconds = time.perf_counter() - begun
        ratios = np.array([si_sdr_db(each, audio).item() for each, audio in zip(decoded, clips, strict=True)])
        distances = [log_spectral_distance_db(each, audio, share) for each, audio in zip(decoded, clips, strict=True)]
        show(name, ratios, np.array(distances))
    print(f"encode and decode: {sum(clip.shape[-1] for clip in clips) / preset.sample_rate_hz / seconds:.0f} x real time")
    latent = torch.cat([vae.to_latent(audio) for audio in clips])
    deviation = latent.std(dim=(0, 2))
    kurtosis = float(((latent - latent.mean()) ** 4).mean() / latent.var() ** 2)
    print(f"latent: mean {latent.mean():.3f}, deviation {latent.std():.3f}, kurtosis {kurtosis:.1f}")
    print(f"deviation of channels: largest {deviation.max():.2f}, median {deviation.median():.2f}, least {deviation.min():.3f}")
    silence = vae(torch.zeros(1, 1, 24000))[0].abs().max()
    print(f"silence becomes {20 * np.log10(max(float(silence), 1e-10)):.0f} dBFS at most")
    errors = []
    for pair in pairs:
        source, target = (pair[side][None] for side in ("source", "target"))
        whole = vae.to_latent(source) - vae.to_latent(torch.zeros_like(source))
        parts = vae.to_latent(target) + vae.to_latent(source - target) - 2 * vae.to_latent(torch.zeros_like(source))
        errors.append(float((whole - parts).square().sum() / whole.square().sum()))
    print(f"latent of source = of target + of the difference: error {10 * np.log10(np.median(errors)):.1f} dB (median)")


if __name__ == "__main__":
    main()
