"""Measure the real-time factor of an edit by a preset's editor, with random weights: sampling and VAE, without chords and text.

python3 tests/gpu/real_time.py [--preset paper] [--seconds 10] [--device cuda] [--sampler ddim:200] [--sampler dpm++:25]

The factor is time over the length of the music, after one edit that does not count. The goals are 1 for DDIM with 200 steps, and
0.15 for DPM-Solver++ with 25.
"""

import argparse
import time

import torch

from instructme.model import presets, unet
from instructme.model.conditions import Conditions
from instructme.model.diffusion import Diffusion
from instructme.model.guidance import Scales, sample
from instructme.model.vae import Vae

WORDS = 8


@torch.no_grad()
def main() -> None:
    """Print a line for each sampler."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=presets.PRESETS, default="tiny")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--sampler", action="append", help="NAME:STEPS")
    options = parser.parse_args()
    preset, device = presets.PRESETS[options.preset], torch.device(options.device)
    diffusion, network, vae = Diffusion(preset.diffusion), unet.Unet(preset).to(device).eval(), Vae(preset.vae).to(device).eval()
    audio = 0.1 * torch.randn(1, 1, round(options.seconds * preset.sample_rate_hz), device=device)
    text, mask = torch.randn(1, WORDS, preset.text.width, device=device), torch.ones(1, WORDS, dtype=torch.bool, device=device)
    scales = Scales(preset.diffusion.text_guidance)

    def edit(sampler: str, steps: int) -> None:
        source = vae.to_latent(audio)
        frames = source.shape[-1]
        chords = torch.rand(1, 100, frames, device=device) if preset.unet.chords else None
        noise = torch.randn(1, unet.latents(preset), frames, device=device)
        given = Conditions(text, mask, source, chords)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            *_, made = sample(network, diffusion, given, noise, scales=scales, sampler=sampler, steps=steps)
        for each in made.float().split(preset.vae.latent_channels, dim=1):
            vae.from_latent(each, audio.shape[-1])
        if device.type == "cuda":
            torch.cuda.synchronize()

    for each in options.sampler or ["ddim:200", "dpm++:25"]:
        name, steps = each.split(":")
        edit(name, 2)
        began = time.perf_counter()
        edit(name, int(steps))
        factor = (time.perf_counter() - began) / options.seconds
        print(f"{preset.name} on {device.type}, {name} with {steps} steps: real-time factor {factor:.3f}", flush=True)


if __name__ == "__main__":
    main()
