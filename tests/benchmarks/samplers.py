"""Compare samplers on a trained editor: how near their latents come to the truth, to each other, and in how many passes.

python tests/benchmarks/samplers.py RUN SHARDS [--work WORK] [--split validation] [--triplets 16] [--guidance 1 ...]

The same noise and conditions for all, on latents beside the shards ('instructme train latents'), of the tasks that are sampled in
more than one step. "error" is the power of the difference to the true latents over that of those; "apart" that to the
latents of the first sampler, DDIM 200 as in the paper. The interval is a 95 % bootstrap of the mean difference of errors.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import default_collate
from tqdm import tqdm

from instructme.model.checkpoint import read_config, restore
from instructme.model.conditions import Conditions
from instructme.model.conditions.text import TextEncoder
from instructme.model.diffusion import Diffusion
from instructme.model.guidance import Scales, sample
from instructme.model.unet import Unet
from instructme.pipelines.data.latent_reader import CHANGES
from instructme.pipelines.data.stream import Item, Triplets

SAMPLERS = (("ddim", 200), ("ddim", 50), ("dpm++", 25), ("dpm++", 10))


def chosen(triplets: Triplets, single: tuple[str, ...], count: int) -> Item:
    """Collate the first triplets that are sampled in several steps."""
    items = (triplets[row] for row in range(len(triplets)))
    batch: Item = default_collate(list(itertools.islice((item for item in items if item["task"] not in single), count)))
    return batch


def power(values: torch.Tensor) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Compute the power of each latent (B, C, F)."""
    return values.square().mean(dim=(1, 2)).cpu().numpy()


def interval(differences: np.ndarray[tuple[int], np.dtype[np.float32]]) -> tuple[float, float]:
    """Bootstrap the mean."""
    drawn = np.random.default_rng(0).choice(differences, (4000, len(differences))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--triplets", type=int, default=16)
    parser.add_argument("--guidance", type=float, action="append")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    preset, config = read_config(options.run, "editor")
    changes = preset.diffusion.predict != "target"
    seconds, vae = preset.editor_training.segment_seconds, config["data"]["vae"]
    triplets = Triplets(
        options.shards, options.split, preset, segment_seconds=seconds, changes=changes, chords=True, work=options.work, vae=vae
    )
    assert triplets.encoded, triplets.note
    batch = chosen(triplets, tuple(preset.diffusion.single_step_tasks), options.triplets)
    unet = Unet(preset)
    restore(unet, options.run)
    unet.eval().to(options.device)
    text, mask = TextEncoder(preset.text.encoder, preset.text.width).encode(batch["instruction"])
    chords = batch["chords"] if preset.unet.chords else None
    given = Conditions(*(each if each is None else each.to(options.device) for each in (text, mask, batch["source"], chords)))
    clean = torch.cat([batch[name] for name in (CHANGES if changes else ("target",))], dim=1).to(options.device)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)).to(options.device)
    print(f"{len(clean)} latents of {', '.join(sorted(set(batch['task'])))}")
    print(f"{'guidance':>9}{'sampler':>12}{'error':>9}{'apart':>9}   interval of error beside the first")
    scales = options.guidance or [preset.diffusion.text_guidance]
    errors: list[np.ndarray[tuple[int], np.dtype[np.float32]]] = []
    for scale, (sampler, steps) in tqdm(list(itertools.product(scales, SAMPLERS))):
        diffusion = Diffusion(preset.diffusion)
        *_, made = sample(unet, diffusion, given, noise, scales=Scales(scale), sampler=sampler, steps=steps)
        error = power(made - clean) / power(clean)
        if (sampler, steps) == SAMPLERS[0]:
            first, errors = made, [error]
        low, high = interval(error - errors[0])
        apart = (power(made - first) / power(clean)).mean()
        print(f"{scale:9g}{f'{sampler} {steps}':>12}{error.mean():9.3f}{apart:9.3f}   {low:+.3f} to {high:+.3f}", flush=True)


if __name__ == "__main__":
    main()
