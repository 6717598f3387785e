"""Measure what chords tell of a new part's latents: `python tests/benchmarks/chords_in_latents.py SHARDS VAE`.

Ridge regression for each instrument of `add` and `remove`, from the triad of each frame, fitted on the training split and
tested on the validation split. Prints the explained share of the variance of the latents, and of the logarithm of their size.
SHARDS needs latents of the preset `tiny`, made by `train latents`.
"""

import argparse
import collections
from pathlib import Path

import numpy as np
import torch

from instructme.dataset_tools.recognisers.chord_network import GROUPS
from instructme.model.presets import TINY
from instructme.pipelines.training.editor import open_triplets, with_vae_of

PENALTIES = (30, 100, 300, 1000, 3000)
EVERY, LEAST_EXAMPLES = 5, 25
"""Of five frames, one is read. An instrument needs this many examples."""


def main() -> None:
    """Print a row for each instrument, and the share of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("vae", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    fitted, tested = (examples(options.shards, split, options.vae) for split in ("train", "validation"))
    total, left = np.zeros(2), np.zeros(2)
    for name in sorted(fitted):
        if len(fitted[name]) >= LEAST_EXAMPLES and name in tested:
            both = [errors(fitted[name], tested[name], of) for of in (np.asarray, lambda latent: np.log(np.abs(latent) + 1e-3))]
            total, left = total + [each[0] for each in both], left + [each[1] for each in both]
            print(f"{name:28} {len(fitted[name]):4} {len(tested[name]):3}", *(f"{1 - each[1] / each[0]:7.3f}" for each in both))
    print(f"{'all':28} {'':8}", *(f"{1 - share:7.3f}" for share in left / total))


def examples(shards: Path, split: str, vae: Path) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Collect triads (frames, 73) and latents (frames, C) of the part that is added or removed, by its name."""
    found = collections.defaultdict(list)
    for triplet in open_triplets(shards, split, with_vae_of(TINY, vae), vae):
        if side := {"add": "added", "remove": "removed"}.get(triplet["task"]):
            name = triplet["instruction"].lower().split(" ", 1)[1]
            pair = np.asarray(triplet["chords"])[GROUPS["triad"]], np.asarray(triplet[side])
            found[name].append(tuple(each[:, ::EVERY].T for each in pair))
    return found


def errors(fitted: list, tested: list, of: collections.abc.Callable) -> tuple[float, float]:
    """Compute the square error of the mean of the training split, and the least one of a regression."""
    (triads, latents), (heard, wanted) = ([np.concatenate(each) for each in zip(*side, strict=True)] for side in (fitted, tested))
    latents, wanted, mean = of(latents), of(wanted), of(latents).mean(axis=0)
    inputs, given = (np.hstack([each, np.ones((len(each), 1))]) for each in (triads, heard))
    squares, products = inputs.T @ inputs, inputs.T @ latents
    maps = [np.linalg.solve(squares + penalty * np.eye(len(squares)), products) for penalty in PENALTIES]
    return float(np.square(wanted - mean).sum()), min(float(np.square(wanted - given @ each).sum()) for each in maps)


if __name__ == "__main__":
    main()
