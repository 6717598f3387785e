"""Measure remixes against the corpus' own beats, and what their law hears of targets that are moved.

    instructme pair WORK --total 20000 --eval-count 300 --remix-harmony 0 --tempo-tolerance 0.2
    python tests/benchmarks/remix.py WORK

WORK holds the built-in corpus. The beats are those of each track's beats.txt, not of the grid that made the recipes.
"""

import json
import sys
from pathlib import Path

import numpy as np

from instructme.dataset_tools.audio import Pcm
from instructme.dataset_tools.sharding import library, render, windows
from instructme.dataset_tools.tasks import remix
from instructme.manifests import tables
from instructme.manifests.rows import Track, Triplet

MOVED_MS = (0, 20, 30, 40, 50, 60)


def largest_error_ms(recipe: Triplet, beats_s: dict[str, np.ndarray], rate_hz: int) -> float:
    """Find the largest distance of a source beat in the window to a target beat, as far as the target's beats go."""
    source = beats_s[recipe.source_track] * rate_hz - recipe.source_start_samples
    target = (beats_s[recipe.target_track] * rate_hz - recipe.target_start_samples) / recipe.target_stretch
    known = (source >= 0) & (source < recipe.length_samples) & (source >= target[0] - 720) & (source <= target[-1] + 720)
    return float(np.abs(source[known][:, None] - target).min(axis=1).max()) / rate_hz * 1000


def flagged(recipe: Triplet, music: library.Library) -> list[bool]:
    """Say for each of `MOVED_MS` whether the onsets of the target, moved by so much, are found off the beat."""

    def read(track_id: str, instrument: str, start: int, length: int) -> Pcm:
        return windows.read(music.part(track_id, instrument), start, length)

    target = render.render(recipe, read, rate_hz=music.rate_hz).target
    beats = np.array(music.rhythm(recipe.source_track).beats_samples) - recipe.source_start_samples
    beats = beats[(beats >= 0) & (beats < recipe.length_samples)]
    moved = [np.roll(target, milliseconds * music.rate_hz // 1000) for milliseconds in MOVED_MS]
    return [remix.off_the_beat(samples, beats, music.rate_hz) is not None for samples in moved]


def main(work: Path) -> None:
    """Print errors over 3,000 remixes, and shares flagged over 150."""
    roots = {name: Path(stated["root"]) for name, stated in json.loads((work / "datasets.json").read_text()).items()}
    tracks = tables.read_rows(work / "tracks.parquet", Track)
    beats_s = {t.track_id: np.loadtxt(roots[t.dataset] / t.path / "beats.txt", usecols=0) for t in tracks}
    music = library.read(work)
    recipes = [recipe for recipe in tables.read_rows(work / "triplets.parquet", Triplet) if recipe.task == "remix"]
    chosen = [recipes[number] for number in np.random.default_rng(0).permutation(len(recipes))[:3000]]
    errors = [largest_error_ms(recipe, beats_s, music.rate_hz) for recipe in chosen]
    print("largest beat error: median {:.3f} ms, p99 {:.3f} ms, most {:.3f} ms".format(*np.percentile(errors, [50, 99, 100])))
    print(f"of {len(chosen)}: stretched {np.mean([recipe.target_stretch != 1 for recipe in chosen]):.2f}")
    shares = np.mean([flagged(recipe, music) for recipe in chosen[:150]], axis=0)
    print("moved targets flagged: " + ", ".join(f"{ms} ms {share:.2f}" for ms, share in zip(MOVED_MS, shares, strict=True)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
