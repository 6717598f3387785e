"""Measure training steps of a preset's denoiser: rate, memory, and FLOP/s over what the device reaches in a matrix product.

python tests/benchmarks/training.py [--preset paper] [--batch-size 1] [--steps 20] [--set unet.blocks=2] [--profile]

Latents, text and chords are random, so that nothing but the step is measured: forward, backward, AdamW. FLOPs are those of one
step without recomputation, counted by torch; the device's rate is measured in the same run and precision.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from instructme.model import presets, unet
from instructme.model.conditions import Conditions
from instructme.model.config import Preset, override
from instructme.model.diffusion import Diffusion

WORDS = 8


def timed(function: Callable[[], object], times: int, device: torch.device) -> float:
    """Time one call in seconds: the mean of several, after two that don't count."""
    for number in range(times + 2):
        if number == 2:
            begin = _now(device)
        function()
    return (_now(device) - begin) / times


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Measure FLOP/s of a large square matrix product."""
    size = 8192 if device.type == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / timed(lambda: left @ right, 20, device)


def step(preset: Preset, batch: int, device: torch.device) -> Callable[[], object]:
    """Make a function that takes one training step."""
    frames = round(preset.clip_seconds * preset.sample_rate_hz / preset.hop_samples)
    network = unet.Unet(preset).to(device)
    diffusion = Diffusion(preset.diffusion)
    optimizer = torch.optim.AdamW(network.parameters(), fused=device.type == "cuda")
    clean = torch.randn(batch, unet.latents(preset), frames, device=device)
    conditions = Conditions(
        torch.randn(batch, WORDS, preset.text.width, device=device),
        torch.ones(batch, WORDS, dtype=torch.bool, device=device),
        torch.randn(batch, preset.vae.latent_channels, frames, device=device),
        torch.rand(batch, 100, frames, device=device) if preset.unet.chords else None,
    )
    draw = diffusion.draw([torch.Generator().manual_seed(number) for number in range(batch)], clean.shape[1:])
    bf16 = preset.editor_training.precision == "bf16"

    def take() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = diffusion.losses(network, clean, conditions, draw)["loss"].mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return take


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=presets.PRESETS, default="tiny")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--profile", action="store_true", help="print the costliest operations")
    options = parser.parse_args()
    preset, device = override(presets.PRESETS[options.preset], options.settings), torch.device(options.device)
    bf16 = preset.editor_training.precision == "bf16"

    plain = override(preset, ["unet.activation_checkpointing=false"])
    with FlopCounterMode(display=False) as counter:
        step(plain, options.batch_size, device)()
    flops = counter.get_total_flops()
    take = step(preset, options.batch_size, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = timed(take, options.steps, device)
    rate = matrix_rate(device, torch.bfloat16 if bf16 else torch.float32)
    print(f"{preset.name} on {device.type}, batch {options.batch_size}, {'bf16' if bf16 else 'float32'}")
    print(f"{1 / seconds:.3f} steps/s of {flops / 1e12:.3f} TFLOP")
    print(f"{flops / seconds / 1e12:.3f} TFLOP/s, {flops / seconds / rate:.2f} of a matrix product's {rate / 1e12:.3f}")
    if device.type == "cuda":
        print(f"peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
    if options.profile:
        with torch.profiler.profile() as profile:
            take()
        by = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
        print(profile.key_averages().table(sort_by=by, row_limit=12, max_name_column_width=50))


if __name__ == "__main__":
    main()
